/* SPDX-License-Identifier: Apache-2.0
 *
 * Two jobs, one thread, asleep unless there is something to do:
 *
 * - Another process has granted leases to requests of this one: its eventfd rings, and the requests are told.
 * - Another process dies: the kernel tells by its pidfd, and what it held is given back at once. One child,
 * the leader, watches all others; the others watch the leader, and when it dies the first of them to notice
 * is the next one. httpd's parent notices deaths too, but only once a second, and not while it reads a
 * configuration.
 */
#include "ledger/watch.h"

#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Somebody who is watched. */
typedef struct watched_t {
    pid_t pid; /* 0: nobody */
    int fd;
} watched_t;

typedef struct watch_t {
    abl_child_t *child;
    int epoll;
    uint32_t people;    /* shared->people as of the last look */
    watched_t *watched; /* [seat] */
} watch_t;

#define EVENTS 16
#define BELL UINT64_MAX /* the eventfd's mark */

/* The mark of somebody who is watched: an event that comes late must not be taken for the next one's in the
 * seat. */
static uint64_t mark_of(uint32_t seat, pid_t pid)
{
    return (uint64_t)seat << 32 | (uint32_t)pid;
}

static bool add(const watch_t *watch, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};

    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- others ----------------------------------------------------------------------------------------- */

static void stop_watching(const watch_t *watch, watched_t *w)
{
    if (w->pid != 0 && w->fd >= 0) {
        /* Closing alone would not do it where somebody has forked a copy of the descriptor. */
        (void)epoll_ctl(watch->epoll, EPOLL_CTL_DEL, w->fd, NULL);
        close(w->fd);
    }
    w->pid = 0;
    w->fd = -1;
}

/* Where the kernel cannot tell, httpd's parent is left. */
static void start_watching(watch_t *watch, uint32_t seat, pid_t pid)
{
    watched_t *w = &watch->watched[seat];

    w->pid = pid;
    w->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (w->fd >= 0) {
        (void)add(watch, w->fd, mark_of(seat, pid));
    } else if (errno == ESRCH) {
        abl_seats_reap(watch->child->segment, watch->child, seat, pid);
        w->pid = 0;
    }
}

static void look_at(watch_t *watch, uint32_t seat, pid_t pid)
{
    watched_t *w = &watch->watched[seat];

    if (w->pid != pid) {
        stop_watching(watch, w);
        if (pid != 0) {
            start_watching(watch, seat, pid);
        }
    }
}

/* Who has to be watched may have changed. */
static void look_at_people(watch_t *watch, uint32_t leader)
{
    const abl_segment_t *segment = watch->child->segment;
    uint32_t seat;

    for (seat = 1; seat <= segment->nseats; seat++) {
        bool mine = seat != watch->child->seat && (leader == watch->child->seat || leader == seat);
        look_at(watch, seat, mine ? atomic_load(&segment->seats[seat].pid) : 0);
    }
}

/* ---- mail ------------------------------------------------------------------------------------------- */

static void deliver(const abl_child_t *child)
{
    abl_segment_t *segment = child->segment;
    abl_seat_row_t *seat = &segment->seats[child->seat];

    while (seat->mail.first != 0) {
        uint32_t ticket = seat->mail.first;
        abl_queue_unmail(segment, ticket);
        abl_grant_tell(segment, child, ticket);
    }
}

/* Delivers what has come, leads if nobody does, and looks whether people came or went. */
static void attend(watch_t *watch)
{
    const abl_child_t *child = watch->child;
    abl_shared_t *shared = child->segment->shared;

    do {
        uint32_t people, leader;
        if (!abl_enter(child->segment, child)) {
            return;
        }
        deliver(child);
        if (shared->leader == 0) {
            shared->leader = child->seat;
            shared->people++;
        }
        people = shared->people;
        leader = shared->leader;
        abl_leave(child->segment);
        if (people == watch->people) {
            return;
        }
        watch->people = people;
        look_at_people(watch, leader);
    } while (true); /* looking may have found somebody dead, and that is a change too */
}

/* ---- the thread ------------------------------------------------------------------------------------- */

static void on_death(watch_t *watch, uint32_t seat, pid_t pid)
{
    watched_t *w = &watch->watched[seat];

    if (w->pid == pid) {
        stop_watching(watch, w);
        abl_seats_reap(watch->child->segment, watch->child, seat, pid);
    }
}

static void on_event(watch_t *watch, uint64_t mark)
{
    uint64_t rung;

    if (mark == BELL) {
        ssize_t n = read(watch->child->segment->wakers[watch->child->seat], &rung, sizeof(rung));
        (void)n;
    } else {
        on_death(watch, (uint32_t)(mark >> 32), (pid_t)(uint32_t)mark);
    }
}

static void *run(void *data)
{
    watch_t *watch = data;
    struct epoll_event events[EVENTS];

    for (;;) {
        int i, n;
        attend(watch);
        n = epoll_wait(watch->epoll, events, EVENTS, -1);
        for (i = 0; i < n; i++) {
            on_event(watch, events[i].data.u64);
        }
    }
    return NULL;
}

static bool listen_to(watch_t *watch, abl_child_t *child)
{
    watch->child = child;
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch->watched = calloc((size_t)child->segment->nseats + 1, sizeof(*watch->watched));
    return watch->watched != NULL && watch->epoll >= 0 &&
           add(watch, child->segment->wakers[child->seat], BELL);
}

apr_status_t abl_watch_start(abl_child_t *child)
{
    watch_t *watch = calloc(1, sizeof(*watch));
    apr_status_t rv;

    if (watch == NULL || !listen_to(watch, child)) {
        rv = errno;
        free(watch);
        return rv; /* the child ends without it, and the rest with the child */
    }
    return abl_thread_start(run, watch);
}
