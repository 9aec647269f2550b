/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's thread. One round: call who was posted, sleep, find out who is due, call them.
 */
#include "engine/loop.h"

#include "base/clock.h"
#include "base/thread.h"

#include <apr_skiplist.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS 64 /* taken from the kernel at once */

struct abl_loop_t {
    int epoll;
    int bell; /* an eventfd: somebody was posted, or the loop shall stop */
    pthread_t thread;
    apr_skiplist *timers; /* waiters with a deadline, the soonest first */
    abl_waiter_t *due;    /* to be called in this round */

    pthread_mutex_t lock; /* protects what follows */
    abl_waiter_t *first;  /* posted */
    abl_waiter_t **end;
    bool stopping;
};

/* ---- posting ---------------------------------------------------------------------------------------- */

static void ring(const abl_loop_t *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->bell, &one, sizeof(one));

    (void)n;
}

void abl_loop_post(abl_loop_t *loop, abl_waiter_t *waiter, abl_waiter_fn_t *fn)
{
    bool sleeps;

    waiter->posted = fn;
    waiter->next = NULL;
    pthread_mutex_lock(&loop->lock);
    sleeps = loop->first == NULL; /* otherwise somebody has rung, and the loop has not looked yet */
    *loop->end = waiter;
    loop->end = &waiter->next;
    pthread_mutex_unlock(&loop->lock);
    if (sleeps) {
        ring(loop);
    }
}

/* False: the loop shall stop. */
static bool call_posted(abl_loop_t *loop)
{
    abl_waiter_t *waiter, *next;
    bool stopping;

    pthread_mutex_lock(&loop->lock);
    waiter = loop->first;
    loop->first = NULL;
    loop->end = &loop->first;
    stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    for (; waiter != NULL && !stopping; waiter = next) {
        next = waiter->next;
        waiter->posted(waiter);
    }
    return !stopping;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static int compare(void *left, void *right)
{
    const abl_waiter_t *a = left, *b = right;

    if (a->deadline != b->deadline) {
        return a->deadline < b->deadline ? -1 : 1;
    }
    return a == b ? 0 : (uintptr_t)a < (uintptr_t)b ? -1 : 1;
}

static void make_due(abl_loop_t *loop, abl_waiter_t *waiter)
{
    if (!waiter->is_due) {
        waiter->is_due = true;
        waiter->next = loop->due;
        loop->due = waiter;
    }
}

static bool watches(const abl_waiter_t *waiter, int i)
{
    return waiter->fd[i] >= 0 && waiter->events[i] != 0;
}

/* A waiter's address is even: the lowest bit says which of its descriptors it is. */
static bool watch(const abl_loop_t *loop, const abl_waiter_t *waiter, int i)
{
    struct epoll_event event = {.events = waiter->events[i], .data.u64 = (uintptr_t)waiter | (unsigned)i};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, waiter->fd[i], &event) == 0;
}

void abl_loop_wait(abl_loop_t *loop, abl_waiter_t *waiter)
{
    int i;

    waiter->late = false;
    for (i = 0; i < ABL_WAITER_FDS; i++) {
        waiter->happened[i] = 0;
        if (watches(waiter, i) && !watch(loop, waiter, i)) {
            waiter->late = true;
        }
    }
    if (waiter->late) {
        waiter->deadline = 0; /* not from in here, but in the next round */
    }
    if (waiter->deadline != INT64_MAX) {
        apr_skiplist_insert(loop->timers, waiter);
    }
}

void abl_loop_hurry(abl_loop_t *loop, abl_waiter_t *waiter)
{
    waiter->late = true;
    make_due(loop, waiter);
}

static void forget(const abl_loop_t *loop, abl_waiter_t *waiter)
{
    int i;

    for (i = 0; i < ABL_WAITER_FDS; i++) {
        if (watches(waiter, i)) {
            (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, waiter->fd[i], NULL);
        }
    }
    if (waiter->deadline != INT64_MAX) {
        apr_skiplist_remove(loop->timers, waiter, NULL);
    }
}

/* ---- a round ---------------------------------------------------------------------------------------- */

/* Milliseconds, rounded up, so that nobody wakes before it is time. */
static int until_first(abl_loop_t *loop)
{
    const abl_waiter_t *first = apr_skiplist_peek(loop->timers);
    int64_t left;

    if (loop->due != NULL) {
        return 0;
    }
    if (first == NULL) {
        return -1;
    }
    left = (first->deadline - abl_clock_now() + ABL_MS - 1) / ABL_MS;
    if (left < 0) {
        return 0;
    }
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static void note(abl_loop_t *loop, const struct epoll_event *event)
{
    uint64_t rung;

    if (event->data.u64 == 0) {
        ssize_t n = read(loop->bell, &rung, sizeof(rung));
        (void)n;
    } else {
        abl_waiter_t *waiter = (abl_waiter_t *)(uintptr_t)(event->data.u64 & ~UINT64_C(1));
        waiter->happened[event->data.u64 & 1] = event->events;
        make_due(loop, waiter);
    }
}

static void note_late(abl_loop_t *loop)
{
    int64_t now = abl_clock_now();
    apr_skiplistnode *node = apr_skiplist_getlist(loop->timers);
    abl_waiter_t *waiter = node != NULL ? apr_skiplist_element(node) : NULL;

    while (waiter != NULL && waiter->deadline <= now) {
        waiter->late = true;
        make_due(loop, waiter);
        waiter = apr_skiplist_next(loop->timers, &node);
    }
}

/* Everybody who is due is known before the first one is called: whoever is called may free himself, and no
 * event of his may be left. */
static void call_due(abl_loop_t *loop)
{
    while (loop->due != NULL) {
        abl_waiter_t *waiter = loop->due;
        loop->due = waiter->next;
        forget(loop, waiter);
        waiter->is_due = false;
        waiter->on_ready(waiter);
    }
}

static void *run(void *data)
{
    abl_loop_t *loop = data;
    struct epoll_event events[EVENTS];
    int i;

    while (call_posted(loop)) {
        int n = epoll_wait(loop->epoll, events, EVENTS, until_first(loop));
        for (i = 0; i < n; i++) {
            note(loop, &events[i]);
        }
        note_late(loop);
        call_due(loop);
    }
    return NULL;
}

/* ---- starting and stopping -------------------------------------------------------------------------- */

static apr_status_t set_up(abl_loop_t *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    apr_status_t rv = apr_skiplist_init(&loop->timers, NULL); /* malloc's: the loop is nobody's pool's */

    if (rv != APR_SUCCESS) {
        return rv;
    }
    loop->end = &loop->first;
    pthread_mutex_init(&loop->lock, NULL);
    apr_skiplist_set_compare(loop->timers, compare, compare);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->bell < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->bell, &event) != 0) {
        return errno;
    }
    return abl_thread_start_joinable(run, loop, &loop->thread);
}

apr_status_t abl_loop_start(abl_loop_t **loop)
{
    *loop = calloc(1, sizeof(**loop));
    return *loop != NULL ? set_up(*loop) : APR_ENOMEM;
}

void abl_loop_stop(abl_loop_t *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    pthread_mutex_unlock(&loop->lock);
    ring(loop);
    pthread_join(loop->thread, NULL);
}
