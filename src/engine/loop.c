/* SPDX-License-Identifier: Apache-2.0
 *
 * One round: call who was posted, sleep, find out who is due, call them. Whoever is called may lose the role
 * on the way (crew.h): so all that is left of a round is in the loop, and the next holder goes on with it.
 */
#include "engine/loop.h"

#include "base/clock.h"
#include "engine/crew.h"

#include <apr_skiplist.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define EVENTS 64       /* taken from the kernel at once */
#define LINES_MAX 65536 /* descriptors above have no line */
#define FRESH ABL_MS    /* so long what the loop has seen is taken for what there is */

#define ENDED ((uint32_t)(EPOLLRDHUP | EPOLLHUP | EPOLLERR)) /* nothing comes after it */

/* A line's other half. By descriptor and not by pointer: an event may still be on its way when the descriptor
 * is another one's, who then looks in vain. */
typedef struct watched_t {
    abl_waiter_t *waiter;  /* the holder's; NULL: nobody waits just now */
    _Atomic uint32_t came; /* what nobody was told of; and that it ended, of which one is told too soon */
} watched_t;

struct abl_loop_t {
    int epoll;
    int bell; /* an eventfd: somebody was posted, or the loop shall stop */
    abl_crew_t *crew;
    /* The holder's. */
    apr_skiplist *timers;   /* waiters with a deadline, the soonest first */
    abl_waiter_t *called;   /* were posted, and are to be called in this round */
    abl_waiter_t *due;      /* the same with those who have waited */
    _Atomic int64_t looked; /* when it last knew what had come; INT64_MAX: it sleeps, and would be told */
    watched_t *lines;       /* by descriptor; the kernel gives memory where it is used */

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
static bool take_posted(abl_loop_t *loop)
{
    bool stopping;

    pthread_mutex_lock(&loop->lock);
    loop->called = loop->first;
    loop->first = NULL;
    loop->end = &loop->first;
    stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    return !stopping;
}

/* False: the role is another thread's. */
static bool call_posted(abl_loop_t *loop)
{
    while (loop->called != NULL) {
        abl_waiter_t *waiter = loop->called;
        loop->called = waiter->next;
        waiter->posted(waiter);
        if (!abl_crew_has_role(loop->crew)) {
            return false;
        }
    }
    return true;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

/* A timer may stand for an earlier time than its waiter's deadline, or for one who does not wait just now:
 * then it is set anew when it is over. So who waits again and again seldom has to be moved. */
static int compare(void *left, void *right)
{
    const abl_waiter_t *a = left, *b = right;

    if (a->timer != b->timer) {
        return a->timer < b->timer ? -1 : 1;
    }
    return a == b ? 0 : (uintptr_t)a < (uintptr_t)b ? -1 : 1;
}

static void clear_timer(abl_loop_t *loop, abl_waiter_t *waiter)
{
    if (waiter->has_timer) {
        apr_skiplist_remove(loop->timers, waiter, NULL);
        waiter->has_timer = false;
    }
}

static void set_timer(abl_loop_t *loop, abl_waiter_t *waiter)
{
    if (waiter->deadline == INT64_MAX || (waiter->has_timer && waiter->timer <= waiter->deadline)) {
        return;
    }
    clear_timer(loop, waiter);
    waiter->timer = waiter->deadline;
    waiter->has_timer = true;
    apr_skiplist_insert(loop->timers, waiter);
}

static void make_due(abl_loop_t *loop, abl_waiter_t *waiter)
{
    if (!waiter->is_due) {
        waiter->is_due = true;
        waiter->next = loop->due;
        loop->due = waiter;
    }
}

/* What an event brings back: 0 is the bell; a waiter's address, the lowest bit says which of its descriptors
 * it is; or a line's descriptor. */
#define IS_LINE UINT64_C(2)
#define LINE_SHIFT 2

static bool control(const abl_loop_t *loop, int what, abl_waiter_t *waiter, int i, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uintptr_t)waiter | (unsigned)i};

    return epoll_ctl(loop->epoll, what, waiter->watched[i], &event) == 0;
}

static void unwatch(const abl_loop_t *loop, abl_waiter_t *waiter, int i)
{
    if (waiter->watched_for[i] != 0) {
        waiter->watched_for[i] = 0;
        (void)control(loop, EPOLL_CTL_DEL, waiter, i, 0);
    }
}

static uint32_t wanted(const abl_waiter_t *waiter, int i)
{
    return waiter->fd[i] >= 0 ? waiter->events[i] : 0;
}

/* What is not kept is watched for one event: after that the kernel still has it in its table, asleep, and may
 * have so from an earlier wait. */
static bool watch_once(const abl_loop_t *loop, abl_waiter_t *waiter, int i, uint32_t events)
{
    return control(loop, EPOLL_CTL_MOD, waiter, i, events | EPOLLONESHOT) ||
           (errno == ENOENT && control(loop, EPOLL_CTL_ADD, waiter, i, events | EPOLLONESHOT));
}

/* A line is watched "edge-triggered": the kernel tells once that something came, and does not again before
 * more comes. Who has not read all of it, or was not there, has it told anew by EPOLL_CTL_MOD. */
static bool control_line(const abl_loop_t *loop, int what, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events | (uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLET),
                                .data.u64 = (uint64_t)fd << LINE_SHIFT | IS_LINE};

    return epoll_ctl(loop->epoll, what, fd, &event) == 0;
}

static bool watch_line_anew(abl_loop_t *loop, abl_line_t *line, int fd, uint32_t events)
{
    bool is_here = line->loop == loop;

    if (line->loop != NULL && !is_here) {
        (void)control_line(line->loop, EPOLL_CTL_DEL, fd, 0);
    }
    atomic_store(&loop->lines[fd].came, 0);
    line->loop = control_line(loop, is_here ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, events) ? loop : NULL;
    return line->loop != NULL;
}

static bool watch_line(abl_loop_t *loop, abl_waiter_t *waiter)
{
    int fd = waiter->fd[0];
    uint32_t events = wanted(waiter, 0);

    if (events == 0) {
        return true;
    }
    loop->lines[fd].waiter = waiter;
    return (events == EPOLLIN && waiter->drained && waiter->line->loop == loop &&
            atomic_load(&loop->lines[fd].came) == 0) ||
           watch_line_anew(loop, waiter->line, fd, events);
}

bool abl_loop_is_quiet(const abl_line_t *line, int fd, int64_t now)
{
    return line->loop != NULL && atomic_load(&line->loop->looked) > now - FRESH &&
           atomic_load(&line->loop->lines[fd].came) == 0;
}

static bool has_line(const abl_waiter_t *waiter)
{
    return waiter->line != NULL && waiter->fd[0] < LINES_MAX;
}

static bool watch(abl_loop_t *loop, abl_waiter_t *waiter, int i)
{
    uint32_t events = wanted(waiter, i), all = events | waiter->keep[i], before = waiter->watched_for[i];

    if (before != 0 && waiter->watched[i] != waiter->fd[i]) {
        unwatch(loop, waiter, i);
        before = 0;
    }
    if (i == 0 && has_line(waiter)) {
        return watch_line(loop, waiter);
    }
    if (events == 0 || ((before & events) == events && (before & ~all) == 0)) {
        return true;
    }
    waiter->watched[i] = waiter->fd[i];
    waiter->watched_for[i] = all;
    if (waiter->keep[i] == 0) {
        return watch_once(loop, waiter, i, all);
    }
    return control(loop, before != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, waiter, i, all);
}

void abl_loop_wait(abl_loop_t *loop, abl_waiter_t *waiter)
{
    int i;

    waiter->is_waiting = true;
    waiter->late = false;
    for (i = 0; i < ABL_WAITER_FDS; i++) {
        waiter->happened[i] = 0;
        if (!watch(loop, waiter, i)) {
            waiter->watched_for[i] = 0;
            waiter->late = true;
        }
    }
    if (waiter->late) {
        waiter->deadline = 0; /* not from in here, but in the next round */
    }
    set_timer(loop, waiter);
}

void abl_loop_forget(abl_loop_t *loop, abl_waiter_t *waiter)
{
    int i;

    clear_timer(loop, waiter);
    for (i = 0; i < ABL_WAITER_FDS; i++) {
        unwatch(loop, waiter, i);
    }
}

void abl_loop_hurry(abl_loop_t *loop, abl_waiter_t *waiter)
{
    waiter->late = true;
    make_due(loop, waiter);
}

static void end_waiting(abl_loop_t *loop, abl_waiter_t *waiter)
{
    bool keeps = false;
    int i;

    waiter->is_waiting = waiter->is_due = false;
    if (has_line(waiter) && wanted(waiter, 0) != 0) {
        loop->lines[waiter->fd[0]].waiter = NULL;
    }
    for (i = 0; i < ABL_WAITER_FDS; i++) {
        if (waiter->keep[i] != 0) {
            keeps = true;
        } else if (waiter->happened[i] != 0) {
            waiter->watched_for[i] = 0; /* that was the one event */
        } else {
            unwatch(loop, waiter, i);
        }
    }
    if (!keeps) {
        clear_timer(loop, waiter);
    }
}

/* Something the kernel was to go on watching for has happened, and just now nobody wants to know. */
static void watch_for_less(const abl_loop_t *loop, abl_waiter_t *waiter, int i)
{
    uint32_t events = waiter->is_waiting ? wanted(waiter, i) : 0;

    if (events == 0) {
        unwatch(loop, waiter, i);
    } else {
        waiter->watched_for[i] = events;
        (void)control(loop, EPOLL_CTL_MOD, waiter, i, events);
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
    left = (first->timer - abl_clock_now() + ABL_MS - 1) / ABL_MS;
    if (left < 0) {
        return 0;
    }
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static void note_line(abl_loop_t *loop, watched_t *watched, uint32_t events)
{
    abl_waiter_t *waiter = watched->waiter;
    uint32_t told = waiter != NULL ? events & (wanted(waiter, 0) | EPOLLHUP | EPOLLERR) : 0;

    if (told != 0) {
        waiter->happened[0] |= events;
        make_due(loop, waiter);
    }
    (void)atomic_fetch_or(&watched->came, events & (ENDED | (EPOLLIN & ~told)));
}

static void note(abl_loop_t *loop, const struct epoll_event *event)
{
    abl_waiter_t *waiter;
    uint64_t rung;
    int i;

    if (event->data.u64 == 0) {
        ssize_t n = read(loop->bell, &rung, sizeof(rung));
        (void)n;
        return;
    }
    if (event->data.u64 & IS_LINE) {
        note_line(loop, &loop->lines[event->data.u64 >> LINE_SHIFT], event->events);
        return;
    }
    waiter = (abl_waiter_t *)(uintptr_t)(event->data.u64 & ~UINT64_C(1));
    i = (int)(event->data.u64 & 1);
    if (waiter->is_waiting && wanted(waiter, i) != 0 &&
        (event->events & (wanted(waiter, i) | EPOLLHUP | EPOLLERR)) != 0) {
        waiter->happened[i] = event->events;
        make_due(loop, waiter);
    } else {
        watch_for_less(loop, waiter, i);
    }
}

static void note_late(abl_loop_t *loop, int64_t now)
{
    abl_waiter_t *waiter;

    while ((waiter = apr_skiplist_peek(loop->timers)) != NULL && waiter->timer <= now) {
        clear_timer(loop, waiter);
        if (!waiter->is_waiting) {
            continue;
        }
        if (waiter->deadline <= now) {
            waiter->late = true;
            make_due(loop, waiter);
        } else {
            set_timer(loop, waiter);
        }
    }
}

/* Everybody who is due is known before the first one is called: whoever is called may free himself, and no
 * event of his may be left. False: the role is another thread's. */
static bool call_due(abl_loop_t *loop)
{
    while (loop->due != NULL) {
        abl_waiter_t *waiter = loop->due;
        loop->due = waiter->next;
        end_waiting(loop, waiter);
        waiter->on_ready(waiter);
        if (!abl_crew_has_role(loop->crew)) {
            return false;
        }
    }
    return true;
}

static void sleep_and_note(abl_loop_t *loop)
{
    struct epoll_event events[EVENTS];
    int64_t now;
    int n, i;

    atomic_store(&loop->looked, INT64_MAX);
    n = epoll_wait(loop->epoll, events, EVENTS, until_first(loop));
    for (i = 0; i < n; i++) {
        note(loop, &events[i]);
    }
    now = abl_clock_now();
    atomic_store(&loop->looked, now);
    note_late(loop, now);
}

/* The holder's work. */
static void run(void *data)
{
    abl_loop_t *loop = data;

    /* first what the last holder has left */
    while (call_due(loop) && call_posted(loop) && take_posted(loop) && call_posted(loop)) {
        sleep_and_note(loop);
    }
}

bool abl_loop_enter(abl_loop_t *loop)
{
    return abl_crew_enter(loop->crew);
}

bool abl_loop_exit(abl_loop_t *loop)
{
    return abl_crew_exit(loop->crew);
}

void abl_loop_leave(void)
{
    abl_crew_leave();
}

/* ---- starting and stopping -------------------------------------------------------------------------- */

static apr_status_t set_up(abl_loop_t *loop, int crew, void (*end)(void))
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
    loop->lines = mmap(NULL, LINES_MAX * sizeof(watched_t), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (loop->lines == MAP_FAILED || loop->epoll < 0 || loop->bell < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->bell, &event) != 0) {
        return errno;
    }
    return abl_crew_start(&loop->crew, crew, run, end, loop);
}

apr_status_t abl_loop_start(abl_loop_t **loop, int crew, void (*end)(void))
{
    *loop = calloc(1, sizeof(**loop));
    return *loop != NULL ? set_up(*loop, crew, end) : APR_ENOMEM;
}

void abl_loop_stop(abl_loop_t *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    pthread_mutex_unlock(&loop->lock);
    ring(loop);
    abl_crew_stop(loop->crew);
}
