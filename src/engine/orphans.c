/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread in each child drives its orphans, from the first one on. Nothing here is in a pool: the request
 * is gone, and the thread runs until the process ends.
 */
#include "engine/orphans.h"
#include "engine/sweeper.h"
#include "ledger/gate.h"

#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A copy of all that the rest of an exchange needs. */
typedef struct orphan_t {
    struct orphan_t *next, *prev;
    int64_t until;           /* once the answer has begun; 0: it has not */
    size_t thrown_away;      /* bytes of it */
    abl_balancer_t balancer; /* its ledger and pools are malloc's and stay; its members are not looked at */
    abl_timeouts_t timeouts;
    abl_request_t request;
    abl_exchange_t x; /* last: it is large, and its end is not copied whole */
} orphan_t;

/* An answer that has begun is read on for so long, and so much of it. Then closing is what stops the member:
 * its next write fails. */
#define ENDING_TIME (5 * ABL_SECOND)
#define ENDING_BYTES UINT64_C(1048576)

#define EVENTS 16

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int epoll = -1; /* written once, before the first orphan */
static atomic_int count;
static bool keeping; /* this process is a keeper */

/* Protects the list and every orphan in it: the thread works on one inside. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static orphan_t *all;

/* ---- an answer that nobody wants -------------------------------------------------------------------- */

static apr_status_t ignore_answer(void *ctx, const abl_answer_t *answer)
{
    (void)ctx;
    (void)answer;
    return APR_SUCCESS;
}

static apr_status_t note_head(void *ctx, const abl_answer_t *answer)
{
    orphan_t *orphan = ctx;

    (void)answer;
    orphan->until = abl_clock_now() + ENDING_TIME;
    return APR_SUCCESS;
}

/* A member that sends faster than it can be read would never let go, by time alone. */
static apr_status_t ignore_data(void *ctx, const char *bytes, size_t len)
{
    orphan_t *orphan = ctx;

    (void)bytes;
    orphan->thrown_away += len;
    return orphan->thrown_away > ENDING_BYTES ? APR_ENOSPC : APR_SUCCESS;
}

static apr_status_t ignore(void *ctx)
{
    (void)ctx;
    return APR_SUCCESS;
}

static const abl_exchange_events_t events = {
    .on_interim = ignore_answer,
    .on_head = note_head,
    .on_upgrade = note_head,
    .on_data = ignore_data,
    .on_pass = ignore,
    .on_trailers = ignore_answer,
    .on_finish = ignore,
};

/* ---- the thread ------------------------------------------------------------------------------------- */

static void link_locked(orphan_t *orphan)
{
    orphan->next = all;
    if (all != NULL) {
        all->prev = orphan;
    }
    all = orphan;
    atomic_fetch_add(&count, 1);
}

static void bury_locked(orphan_t *orphan)
{
    *(orphan->prev != NULL ? &orphan->prev->next : &all) = orphan->next;
    if (orphan->next != NULL) {
        orphan->next->prev = orphan->prev;
    }
    /* Closing alone would not do it where somebody has forked a copy of the descriptor. */
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, orphan->x.conn->fd, NULL);
    abl_release(&orphan->x, false);
    free(orphan);
    atomic_fetch_sub(&count, 1);
}

/* Reads what there is. A member that closes has finished, whatever it said. */
static void go_on_locked(orphan_t *orphan)
{
    abl_transfer_t rc = abl_transfer_run(&orphan->x, ABL_READY_MEMBER_READ);

    while (rc == ABL_TRANSFER_WAIT && orphan->x.can_read) { /* TLS has more, of which no poll tells */
        rc = abl_transfer_run(&orphan->x, 0);
    }
    if (rc != ABL_TRANSFER_WAIT) {
        bury_locked(orphan);
    } else if (orphan->until != 0 && !keeping) {
        abl_sweeper_wake(orphan->until);
    }
}

static bool is_here_locked(const orphan_t *orphan)
{
    const orphan_t *other = all;

    while (other != NULL && other != orphan) {
        other = other->next;
    }
    return other != NULL;
}

static void wait_and_go_on(int timeout)
{
    struct epoll_event found[EVENTS];
    int n = epoll_wait(epoll, found, EVENTS, timeout);
    int i;

    pthread_mutex_lock(&lock);
    for (i = 0; i < n; i++) {
        if (is_here_locked(found[i].data.ptr)) {
            go_on_locked(found[i].data.ptr);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        wait_and_go_on(-1);
    }
    return NULL;
}

/* The sweeper's: ends those that have sent long enough, and accuses members that do not answer. Returns when
 * the next one is due. */
static int64_t sweep(void *unused, int64_t now)
{
    orphan_t *orphan, *next;
    int64_t due = INT64_MAX;

    (void)unused;
    pthread_mutex_lock(&lock);
    for (orphan = all; orphan != NULL; orphan = next) {
        next = orphan->next;
        if (orphan->x.stuck_at <= now) {
            orphan->x.stuck_at = INT64_MAX;
            abl_gate_accuse(orphan->balancer.ledger, orphan->x.member);
        }
        if (orphan->until != 0 && orphan->until <= now) {
            bury_locked(orphan);
            continue;
        }
        due = orphan->until != 0 && orphan->until < due ? orphan->until : due;
        due = orphan->x.stuck_at < due ? orphan->x.stuck_at : due;
    }
    pthread_mutex_unlock(&lock);
    return due;
}

static void start(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0) {
        return;
    }
    epoll = fd;
    if (abl_thread_start(run, NULL) != 0) {
        close(fd);
        epoll = -1;
    }
}

/* ---- adopting --------------------------------------------------------------------------------------- */

static orphan_t *copy_of(const abl_exchange_t *x)
{
    orphan_t *orphan = calloc(1, sizeof(*orphan));

    if (orphan == NULL) {
        return NULL;
    }
    orphan->balancer = *x->balancer;
    orphan->timeouts = (abl_timeouts_t){INT64_MAX / 2, INT64_MAX / 2, INT64_MAX / 2, INT64_MAX / 2};
    orphan->request.to_head = x->request->to_head;
    orphan->x = *x;
    orphan->x.ended_as = x->end;
    orphan->x.balancer = &orphan->balancer;
    orphan->x.timeouts = &orphan->timeouts;
    orphan->x.request = &orphan->request;
    orphan->x.events = &events;
    orphan->x.ctx = orphan;
    orphan->x.pool = NULL;
    if (x->client_was_slow && x->stuck_at != INT64_MAX) { /* its own time begins now */
        orphan->x.stuck_at = abl_clock_now() + x->balancer->members[x->member].stuck;
    }
    return orphan;
}

/* Nothing more is sent: a server that looks sees that nobody listens, and may stop. */
static void make_deaf(abl_exchange_t *x)
{
    abl_send_stop(x);
    abl_conn_shutdown_write(x->conn);
    x->end = ABL_END_NONE;
    x->keep = false;
    x->unpassed = false;
}

/* An answer that was not understood, or bytes of a tunnel, have no end but the connection's. */
static void choose_end(orphan_t *orphan)
{
    bool lost = orphan->x.ended_as == ABL_END_BAD_ANSWER ||
                (orphan->x.ended_as == ABL_END_SHORT && orphan->x.why_rv != APR_TIMEUP) || orphan->x.tunnel;

    if (lost) {
        abl_receive_drain(&orphan->x);
    } else {
        abl_receive_resume(&orphan->x);
    }
    if (orphan->x.head_done) {
        orphan->until = abl_clock_now() + ENDING_TIME;
    }
}

static bool watch(orphan_t *orphan)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = orphan};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, orphan->x.conn->fd, &event) == 0;
}

void abl_orphans_adopt(abl_exchange_t *x)
{
    orphan_t *orphan;

    pthread_once(&once, start);
    abl_release_remember(x);
    orphan = epoll >= 0 ? copy_of(x) : NULL;
    if (orphan == NULL) {
        abl_release(x, false);
        return;
    }
    x->conn = NULL;
    x->leased = false;
    x->member = -1;
    make_deaf(&orphan->x);
    choose_end(orphan);
    abl_conn_ask_for_life(orphan->x.conn);
    pthread_mutex_lock(&lock);
    link_locked(orphan);
    if (orphan->x.stuck_at != INT64_MAX && !keeping) {
        abl_sweeper_wake(orphan->x.stuck_at);
    }
    if (watch(orphan)) {
        go_on_locked(orphan); /* something may be in the connection's buffer, which no poll would tell of */
    } else {
        bury_locked(orphan);
    }
    pthread_mutex_unlock(&lock);
}

apr_status_t abl_orphans_start(void)
{
    return abl_sweeper_add(sweep, NULL);
}

int abl_orphans_count(void)
{
    return atomic_load(&count);
}

/* ---- the keeper ------------------------------------------------------------------------------------- */

#define LOOK_EVERY 1000    /* ms: whether the parent still lives, and whose time is up */
#define MOVE_PATIENCE 5000 /* ms: then the child ends without knowing whether the keeper has its seat */

static bool is_needed(const abl_child_t *child, int fd)
{
    const orphan_t *orphan = all;

    while (orphan != NULL && orphan->x.conn->fd != fd) {
        orphan = orphan->next;
    }
    return orphan != NULL || fd == epoll || fd <= STDERR_FILENO || abl_segment_needs(child, fd);
}

/* The ports httpd listens on must be free when httpd is gone, and clients must see their connections end. */
static void close_others(const abl_child_t *child, int ready)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10); /* "." and "..": 0, which stays */
        if (fd != dirfd(dir) && fd != ready && !is_needed(child, fd)) {
            close(fd);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static void forget_signals(void)
{
    sigset_t none;
    int number;

    for (number = 1; number < NSIG; number++) {
        (void)signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The forked copy, with no thread but this one. */
__attribute__((noreturn)) static void keep(abl_child_t *child, pid_t parent, int ready)
{
    keeping = true;
    forget_signals();
    close_others(child, ready);
    if (!abl_segment_move(child)) {
        _exit(0); /* the child was killed meanwhile, and what it had is given back: so must it end */
    }
    (void)!write(ready, "", 1);
    close(ready);
    pthread_mutex_unlock(&lock); /* as it was taken before the fork */
    while (abl_orphans_count() > 0 && (kill(parent, 0) == 0 || errno == EPERM)) {
        wait_and_go_on(LOOK_EVERY);
        sweep(NULL, abl_clock_now());
    }
    _exit(0);
}

void abl_orphans_move_out(abl_child_t *child)
{
    pid_t parent = getppid();
    struct pollfd moved = {.events = POLLIN};
    int ready[2];
    pid_t pid;

    if (pipe(ready) != 0) {
        return;
    }
    pthread_mutex_lock(&lock); /* for good: this process has nothing more to do with them */
    pid = fork();
    if (pid == 0) {
        close(ready[0]);
        keep(child, parent, ready[1]);
    }
    close(ready[1]);
    moved.fd = ready[0];
    (void)poll(&moved, 1, MOVE_PATIENCE);
    close(ready[0]);
}
