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
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whoever sits somewhere, as of one moment. */
typedef struct person_t {
    pid_t pid; /* 0: nobody */
    uint32_t turn;
} person_t;

/* Somebody who is watched. */
typedef struct watched_t {
    person_t who; /* pid 0: nobody */
    int fd;
} watched_t;

typedef struct watch_t {
    abl_child_t *child;
    int epoll;
    uint32_t people;    /* shared->people as of the last look */
    bool blind;         /* somebody should be watched and cannot: look again soon */
    person_t *sitting;  /* [seat], as of the last look */
    watched_t *watched; /* [seat]; 0: httpd's parent, which sits nowhere */
} watch_t;

#define EVENTS 16
#define PARENT 0
#define BLIND_PAUSE 250 /* ms until the next look at those who cannot be watched */
#define BELL UINT64_MAX /* the eventfd's mark */

/* The mark of somebody who is watched: an event that comes late must not be taken for the next one's in the
 * seat. */
static uint64_t mark_of(uint32_t seat, uint32_t turn)
{
    return (uint64_t)seat << 32 | turn;
}

static bool add(const watch_t *watch, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};

    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- others ----------------------------------------------------------------------------------------- */

static void stop_watching(const watch_t *watch, watched_t *w)
{
    if (w->who.pid != 0) {
        /* Closing alone would not do it where somebody has forked a copy of the descriptor. */
        (void)epoll_ctl(watch->epoll, EPOLL_CTL_DEL, w->fd, NULL);
        close(w->fd);
    }
    w->who.pid = 0;
}

static void reap(const watch_t *watch, uint32_t seat, uint32_t turn)
{
    if (seat != PARENT) {
        abl_seats_reap(watch->child->segment, watch->child, seat, turn);
    }
}

/* No descriptor is left, or this kernel has none of the kind: whether the process exists can be asked for. */
static void ask_for(watch_t *watch, uint32_t seat, person_t who)
{
    if (kill(who.pid, 0) != 0 && errno == ESRCH) {
        reap(watch, seat, who.turn);
    } else {
        watch->blind = true;
    }
}

static void start_watching(watch_t *watch, uint32_t seat, person_t who)
{
    watched_t *w = &watch->watched[seat];

    w->fd = (int)syscall(SYS_pidfd_open, who.pid, 0);
    if (w->fd >= 0 && add(watch, w->fd, mark_of(seat, who.turn))) {
        w->who = who;
        return;
    }
    if (w->fd >= 0) {
        close(w->fd);
    }
    ask_for(watch, seat, who);
}

static void look_at(watch_t *watch, uint32_t seat, person_t who)
{
    watched_t *w = &watch->watched[seat];

    if (w->who.pid != who.pid || (who.pid != 0 && w->who.turn != who.turn)) {
        stop_watching(watch, w);
        if (who.pid != 0) {
            start_watching(watch, seat, who);
        }
    }
}

/* Who has to be watched may have changed. The leader watches the parent too: if that dies inside the ledger,
 * somebody has to make good for it, and those whom it has granted something wait for that. */
static void look_at_people(watch_t *watch, uint32_t leader)
{
    const abl_child_t *child = watch->child;
    const person_t nobody = {0, 0};
    const person_t parent = {getppid(), 0};
    uint32_t seat;

    watch->blind = false;
    for (seat = 1; seat <= child->segment->nseats; seat++) {
        bool mine = seat != child->seat && (leader == child->seat || leader == seat);
        look_at(watch, seat, mine ? watch->sitting[seat] : nobody);
    }
    look_at(watch, PARENT, leader == child->seat && parent.pid > 1 ? parent : nobody);
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

/* From now on this child leads, and the others have to watch it. Inside. */
static void lead(const abl_child_t *child)
{
    abl_segment_t *segment = child->segment;

    segment->shared->leader = child->seat;
    segment->shared->people++;
    abl_grant_wake_others(segment, child->seat);
}

/* Inside. True: they have changed. */
static bool note_people(watch_t *watch)
{
    const abl_segment_t *segment = watch->child->segment;
    uint32_t seat;

    if (watch->people == segment->shared->people) {
        return false;
    }
    watch->people = segment->shared->people;
    for (seat = 1; seat <= segment->nseats; seat++) {
        watch->sitting[seat] = (person_t){segment->seats[seat].pid, segment->seats[seat].turn};
    }
    return true;
}

/* Delivers what has come, leads if nobody does, and looks whether people came or went. False: the child's
 * seat has gone to another process, and the bell and the mail with it. */
static bool attend(watch_t *watch)
{
    const abl_child_t *child = watch->child;
    const abl_shared_t *shared = child->segment->shared;
    bool look = watch->blind;

    do {
        uint64_t rung;
        uint32_t leader;
        ssize_t n;
        if (!abl_enter(child->segment, child)) {
            return false;
        }
        n = read(child->segment->wakers[child->seat], &rung, sizeof(rung));
        (void)n;
        deliver(child);
        if (shared->leader == 0) {
            lead(child);
        }
        leader = shared->leader;
        look = note_people(watch) || look;
        abl_leave(child->segment);
        if (!look) {
            return true;
        }
        look_at_people(watch, leader);
        look = false; /* but it may have found somebody dead, and that is a change too */
    } while (true);
}

/* ---- the thread ------------------------------------------------------------------------------------- */

static void on_death(watch_t *watch, uint32_t seat, uint32_t turn)
{
    watched_t *w = &watch->watched[seat];

    if (w->who.pid != 0 && w->who.turn == turn) {
        stop_watching(watch, w);
        reap(watch, seat, turn);
    }
}

static void *run(void *data)
{
    watch_t *watch = data;
    struct epoll_event events[EVENTS];

    while (attend(watch)) {
        int n = epoll_wait(watch->epoll, events, EVENTS, watch->blind ? BLIND_PAUSE : -1);
        int i;
        for (i = 0; i < n; i++) {
            if (events[i].data.u64 != BELL) {
                on_death(watch, (uint32_t)(events[i].data.u64 >> 32), (uint32_t)events[i].data.u64);
            }
        }
    }
    return NULL;
}

static bool listen_to(watch_t *watch, abl_child_t *child)
{
    watch->child = child;
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch->watched = calloc((size_t)child->segment->nseats + 1, sizeof(*watch->watched));
    watch->sitting = calloc((size_t)child->segment->nseats + 1, sizeof(*watch->sitting));
    return watch->watched != NULL && watch->sitting != NULL && watch->epoll >= 0 &&
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
