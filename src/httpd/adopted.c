/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of an adopted connection; boxes are where its owner waits for something:
 *
 *     handler: abl_park() ──► suspend hook ──► [request: loop] ──► continue_request (worker) ─┐
 *                                                  ▲                  │ waits again           │ answered
 *                                                  └──────────────────┘                       ▼
 *     adopted connection closed ◄── [drain: loop] ◄── close (worker) ◄──────────────── go_on (worker)
 *                                                                         next request │ ▲ │ ▲
 *                                                       process_connection hooks ◄─────┘ │ │ │
 *                                                                        [idle: loop] ───┘ │ │
 *                                                                     [flushing: loop] ◄───┘─┘
 *
 * Two races with the MPM's worker that suspended the connection first: (a) it touches the connection until
 * its suspend_connection hooks have run, so only that hook hands the connection to the loop; (b) after the
 * hooks it still stores two words into it, so the connection's memory stays for a second after them.
 *
 * And one with its listener: when the child ends, that leaves as soon as it counts no connection, and without
 * it timed callbacks are no longer called. A connection is counted once a worker has begun with it; one that
 * was accepted, but not begun with by then, is served by a worker nobody can follow.
 */
#include "httpd/adopted.h"

#include "base/clock.h"
#include "httpd/connection.h"
#include "httpd/unblock.h"

#include "ap_mmn.h"
#include "ap_mpm.h"
#include "http_connection.h"
#include "http_core.h"
#include "mpm_common.h"
#include "scoreboard.h"

#include "apr_portable.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LET_GO ABL_SECOND /* race (b): how long the memory stays */

/* How long a closing connection is read from, as httpd's own MPMs do it; and where a peer is not to be waited
 * for. */
#define LINGER_LONG (30 * ABL_SECOND)
#define LINGER_SHORT (2 * ABL_SECOND)

#define LOOK_EVERY (100 * ABL_MS) /* after the MPM */

#define LAST_CHANCE (100 * ABL_MS) /* for the next request, when the child ends */

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define STATE_PROCESSING CONN_STATE_PROCESSING
#else
#define STATE_PROCESSING CONN_STATE_READ_REQUEST_LINE
#endif

static atomic_bool ending;
static atomic_bool closing; /* nothing new begins */
static atomic_int adopted;
static abl_seat_counts_t *counts;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects the list */
static abl_adopted_t *all;

/* ---- the list --------------------------------------------------------------------------------------- */

static void leave_list(abl_adopted_t *a)
{
    pthread_mutex_lock(&lock);
    *(a->prev != NULL ? &a->prev->next : &all) = a->next;
    if (a->next != NULL) {
        a->next->prev = a->prev;
    }
    pthread_mutex_unlock(&lock);
}

static void enter_list(abl_adopted_t *a)
{
    pthread_mutex_lock(&lock);
    a->next = all;
    if (all != NULL) {
        all->prev = a;
    }
    all = a;
    pthread_mutex_unlock(&lock);
}

/* ---- between workers and the loop ------------------------------------------------------------------- */

static abl_adopted_t *adopted_of(abl_waiter_t *waiter)
{
    return (abl_adopted_t *)waiter;
}

static void hand_over(abl_adopted_t *a, abl_waiter_fn_t *to)
{
    ap_run_suspend_connection(a->c, a->r);
    abl_lane_give(a->lane, &a->waiter, to);
}

void abl_adopted_resume(abl_adopted_t *a)
{
    a->c->sbh = NULL; /* the scoreboard's slot is its first worker's, who has other work */
#if AP_HAS_THREAD_LOCAL
    a->c->current_thread = ap_thread_current();
#endif
    ap_run_resume_connection(a->c, a->r);
}

static void on_worker(void *baton)
{
    abl_adopted_t *a = baton;

    abl_adopted_resume(a);
    a->work(a);
}

bool abl_adopted_work_here(abl_adopted_t *a, void (*work)(void *a))
{
    a->at = ABL_AT_WORK;
    return atomic_load(&closing) || (a->stays && abl_lane_work(a->lane, work, a));
}

void abl_adopted_call_worker(abl_adopted_t *a, void (*work)(abl_adopted_t *a))
{
    a->work = work;
    if (!abl_adopted_work_here(a, on_worker)) {
        (void)ap_mpm_register_timed_callback(0, on_worker, a);
    }
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static void wait_as(abl_adopted_t *a, abl_whose_t place)
{
    a->at = place;
    abl_loop_wait(a->lane->loop, &a->waiter);
}

void abl_adopted_wait(abl_waiter_t *waiter)
{
    wait_as(adopted_of(waiter), ABL_WAITING);
}

void abl_adopted_suspend(abl_adopted_t *a)
{
    hand_over(a, abl_adopted_wait);
}

static void wait_for_client(abl_adopted_t *a, uint32_t events, int64_t how_long, abl_waiter_fn_t *on_ready)
{
    a->waiter.fd[0] = -1;
    a->waiter.line = NULL;
    a->waiter.fd[ABL_CLIENT] = a->fd;
    a->waiter.events[ABL_CLIENT] = events;
    a->waiter.deadline = abl_clock_now() + how_long;
    a->waiter.late = false;
    a->waiter.on_ready = on_ready;
}

/* ---- closing ---------------------------------------------------------------------------------------- */

/* What is left of a connection that had to go while the MPM's worker may still touch its memory. */
typedef struct remains_t {
    abl_waiter_t waiter; /* first */
    apr_allocator_t *allocator;
} remains_t;

static void free_remains(abl_waiter_t *waiter)
{
    remains_t *remains = (remains_t *)waiter;

    apr_allocator_destroy(remains->allocator);
    free(remains);
}

/* The memory stays with the allocator when the pool is destroyed. NULL: no need, or no way. */
static remains_t *keep_memory(const abl_adopted_t *a)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(a->c->pool);
    remains_t *remains;

    if (abl_clock_now() >= a->let_go_at + LET_GO || apr_allocator_owner_get(allocator) != a->c->pool) {
        return NULL;
    }
    remains = calloc(1, sizeof(*remains));
    if (remains != NULL) {
        apr_allocator_owner_set(allocator, NULL);
        apr_allocator_max_free_set(allocator, APR_ALLOCATOR_MAX_FREE_UNLIMITED);
        remains->allocator = allocator;
        remains->waiter.fd[0] = remains->waiter.fd[ABL_CLIENT] = -1;
        remains->waiter.deadline = a->let_go_at + LET_GO;
        remains->waiter.on_ready = free_remains;
    }
    return remains;
}

/* The MPM counts the connection until its pool is destroyed, and accepts only so many: so that happens at
 * once. */
static void bury(abl_waiter_t *waiter)
{
    abl_adopted_t *a = adopted_of(waiter);
    abl_loop_t *loop = a->lane->loop;
    conn_rec *c = a->c;
    remains_t *remains = keep_memory(a);

    if (remains == NULL && abl_clock_now() < a->let_go_at + LET_GO) {
        waiter->fd[0] = waiter->fd[ABL_CLIENT] = -1;
        waiter->deadline = a->let_go_at + LET_GO;
        waiter->on_ready = bury;
        wait_as(a, ABL_WAITING);
        return;
    }
    /* What the MPM counted when it let go it takes back in a cleanup, by this state. */
    c->cs->state = CONN_STATE_SUSPENDED;
    atomic_fetch_sub(&adopted, 1);
    atomic_fetch_sub_explicit(&counts->adopted, 1, memory_order_relaxed);
    apr_pool_destroy(c->pool);
    if (remains != NULL) {
        abl_loop_wait(loop, &remains->waiter);
    }
}

/* It leaves the list first: when it is closed the descriptor's number may at once be another connection's,
 * and shut_down_all() would take that for ours. */
static void close_now(abl_waiter_t *waiter)
{
    abl_adopted_t *a = adopted_of(waiter);
    apr_socket_t *socket = ap_get_conn_socket(a->c);

    abl_loop_forget(a->lane->loop, waiter);
    leave_list(a);
    if (socket != NULL) {
        apr_socket_close(socket);
    }
    bury(waiter);
}

/* True: the client has ended its side too. */
static bool drained(int fd)
{
    char thrown_away[4096];
    ssize_t n;
    int times = 16; /* whoever sends for ever does not keep the loop */

    do {
        n = recv(fd, thrown_away, sizeof(thrown_away), MSG_DONTWAIT);
    } while (n > 0 && --times > 0);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void drain(abl_waiter_t *waiter)
{
    abl_adopted_t *a = adopted_of(waiter);
    int64_t shortly = abl_clock_now() + LINGER_SHORT;

    if (drained(a->fd) || (waiter->late && !a->hurried)) {
        close_now(waiter);
        return;
    }
    if (a->hurried || a->lane->stopping) {
        a->hurried = false;
        waiter->deadline = shortly < waiter->deadline ? shortly : waiter->deadline;
        wait_as(a, ABL_WAITING);
    } else {
        wait_as(a, ABL_RESTING);
    }
}

static void close_connection(abl_adopted_t *a)
{
    conn_rec *c = a->c;
    bool in_a_hurry = apr_table_get(c->notes, "short-lingering-close") != NULL;

    if (c->data_in_output_filters) {
        abl_lane_leave(); /* once more the client is waited for */
    }
    c->cs->state = CONN_STATE_LINGER;
    if (ap_start_lingering_close(c)) {
        hand_over(a, close_now);
        return;
    }
    wait_for_client(a, EPOLLIN, in_a_hurry ? LINGER_SHORT : LINGER_LONG, drain);
    hand_over(a, drain);
}

/* ---- between two requests --------------------------------------------------------------------------- */

/* A client that is silent, or does not take what it asked for, is not waited for again. */
static void close_shortly(abl_adopted_t *a)
{
    apr_table_setn(a->c->notes, "short-lingering-close", "1");
    close_connection(a);
}

static void client_ready(abl_waiter_t *waiter)
{
    abl_adopted_t *a = adopted_of(waiter);

    abl_adopted_call_worker(a, waiter->late ? close_shortly : abl_adopted_go_on);
}

/* Waits until the client takes or sends something. */
static void wait_and_go_on(abl_adopted_t *a, bool reading)
{
    wait_for_client(a, reading ? EPOLLIN : EPOLLOUT, a->c->base_server->timeout, client_ready);
    hand_over(a, abl_adopted_wait);
}

static void process(abl_adopted_t *a)
{
    conn_rec *c = a->c;
    int rc;

    c->cs->state = STATE_PROCESSING;
    rc = ap_run_process_connection(c);
    if ((rc != OK && rc != DONE) || c->cs->state == STATE_PROCESSING) {
        c->cs->state = CONN_STATE_LINGER;
    }
    if (c->cs->state == CONN_STATE_SUSPENDED) {
        ap_run_suspend_connection(c, a->r); /* ours is among them, and hands it over */
    } else {
        abl_adopted_go_on(a);
    }
}

/* A request that has come before the connection is closed is still served. */
static bool has_request(const abl_adopted_t *a)
{
    struct pollfd pfd = {.fd = a->fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

static void close_idle(abl_adopted_t *a)
{
    if (has_request(a)) {
        process(a);
    } else {
        close_shortly(a);
    }
}

/* The child ends. A client that is about to send its next request gets an answer to that, which tells it to
 * close; the others are no longer waited for. */
static void wait_once_more(abl_adopted_t *a)
{
    int64_t soon = abl_clock_now() + LAST_CHANCE;

    a->hurried = false;
    a->waiter.deadline = soon < a->waiter.deadline ? soon : a->waiter.deadline;
    wait_as(a, ABL_WAITING);
}

static void idle_ready(abl_waiter_t *waiter)
{
    abl_adopted_t *a = adopted_of(waiter);

    if (a->hurried) {
        wait_once_more(a);
    } else {
        abl_adopted_call_worker(a, waiter->late ? close_idle : process);
    }
}

/* ---- too many connections --------------------------------------------------------------------------- */

static void hurry_resting(abl_lane_t *lane)
{
    abl_adopted_t *a;

    pthread_mutex_lock(&lock);
    for (a = all; a != NULL; a = a->next) {
        if (a->lane == lane && a->at == ABL_RESTING) {
            a->hurried = true;
            abl_loop_hurry(lane->loop, &a->waiter);
        }
    }
    pthread_mutex_unlock(&lock);
}

/* When all its workers are busy the MPM accepts no more connections, and closes those that are idle. Of ours
 * it does not know. */
static void look_after_mpm(abl_waiter_t *valve)
{
    abl_lane_t *lane = (abl_lane_t *)((char *)valve - offsetof(abl_lane_t, valve));
    const process_score *child = ap_get_scoreboard_process(lane->slot);

    if (child != NULL && child->not_accepting) {
        hurry_resting(lane);
    }
    lane->looks = atomic_load(&adopted) > 0;
    if (lane->looks) {
        valve->deadline = abl_clock_now() + LOOK_EVERY;
        abl_loop_wait(lane->loop, valve);
    }
}

static void begin_to_look(abl_adopted_t *a)
{
    abl_lane_t *lane = a->lane;
    int limit = 0;

    if (!lane->looks && ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &limit) == APR_SUCCESS && limit > 0) {
        lane->looks = true;
        lane->slot = (int)(a->c->id / limit);
        lane->valve.fd[0] = lane->valve.fd[ABL_CLIENT] = -1;
        lane->valve.on_ready = look_after_mpm;
        lane->valve.deadline = abl_clock_now() + LOOK_EVERY;
        abl_loop_wait(lane->loop, &lane->valve);
    }
}

static void begin_idling(abl_waiter_t *waiter)
{
    abl_adopted_t *a = adopted_of(waiter);

    begin_to_look(a);
    if (a->lane->stopping) {
        wait_once_more(a);
    } else {
        wait_as(a, ABL_RESTING);
    }
}

static void wait_for_request(abl_adopted_t *a)
{
    a->c->cs->state = CONN_STATE_KEEPALIVE;
    a->c->cs->sense = CONN_SENSE_DEFAULT;
    wait_for_client(a, EPOLLIN, abl_connection_of(a->c)->keep_alive, idle_ready);
    hand_over(a, begin_idling);
}

static void protocol_ready(abl_waiter_t *waiter)
{
    abl_adopted_call_worker(adopted_of(waiter), waiter->late ? close_shortly : process);
}

/* A protocol that has its own way of reading (HTTP/2) waits for its client. */
static void wait_and_process(abl_adopted_t *a)
{
    bool writing = a->c->cs->sense == CONN_SENSE_WANT_WRITE;

    a->c->cs->sense = CONN_SENSE_DEFAULT;
    wait_for_client(a, writing ? EPOLLOUT : EPOLLIN, a->c->base_server->timeout, protocol_ready);
    hand_over(a, abl_adopted_wait);
}

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define WAITS_IN_ITS_OWN_WAY(c) ((c)->cs->state == CONN_STATE_ASYNC_WAITIO)
#else
#define WAITS_IN_ITS_OWN_WAY(c) false
#endif

/* What the MPM does with a connection that comes back from its process_connection hooks. */
void abl_adopted_go_on(abl_adopted_t *a)
{
    conn_rec *c = a->c;
    bool broken = c->aborted || c->cs->state == CONN_STATE_LINGER;

    if (!broken && c->cs->state == CONN_STATE_WRITE_COMPLETION) {
        broken = abl_unblock_send(c) != APR_SUCCESS;
        if (!broken && (abl_unblock_is_full(c) || c->cs->sense == CONN_SENSE_WANT_READ)) {
            bool reading = c->cs->sense == CONN_SENSE_WANT_READ;
            c->cs->sense = CONN_SENSE_DEFAULT;
            wait_and_go_on(a, reading);
            return;
        }
    }
    if (!broken && !c->aborted && WAITS_IN_ITS_OWN_WAY(c)) {
        wait_and_process(a);
        return;
    }
    if (broken || c->aborted || c->keepalive != AP_CONN_KEEPALIVE) {
        close_connection(a);
    } else if (c->data_in_input_filters) {
        process(a);
    } else {
        wait_for_request(a);
    }
}

/* ---- for park.c ------------------------------------------------------------------------------------- */

int abl_adopted_count(void)
{
    return atomic_load(&adopted);
}

void abl_adopted_init(abl_adopted_t *a, conn_rec *c)
{
    a->c = c;
    a->lane = abl_lane_next();
    a->stays = abl_server_conf(c->base_server)->lane != 0;
    if (a->stays) {
        a->waiter.keep[ABL_CLIENT] = EPOLLIN | EPOLLRDHUP;
    }
    (void)apr_os_sock_get(&a->fd, ap_get_conn_socket(c));
}

void abl_adopted_begin_idle(abl_adopted_t *a)
{
    a->c->cs->sense = CONN_SENSE_DEFAULT;
    a->c->cs->state = CONN_STATE_SUSPENDED;
    wait_for_client(a, EPOLLIN, abl_connection_of(a->c)->keep_alive, idle_ready);
}

void abl_adopted_suspended(abl_adopted_t *a)
{
    if (!a->listed) {
        a->listed = true;
        enter_list(a);
        atomic_fetch_add(&adopted, 1);
        atomic_fetch_add_explicit(&counts->adopted, 1, memory_order_relaxed);
        a->let_go_at = abl_clock_now();
    }
    abl_lane_give(a->lane, &a->waiter, a->r != NULL ? abl_adopted_wait : begin_idling);
}

/* ---- the child -------------------------------------------------------------------------------------- */

void abl_adopted_child_init(abl_seat_counts_t *told)
{
    counts = told;
}

/* Loop. The list does not change for those that rest here. */
static void hurry_all(abl_waiter_t *stopper)
{
    abl_lane_t *lane = (abl_lane_t *)((char *)stopper - offsetof(abl_lane_t, stopper));

    lane->stopping = true;
    hurry_resting(lane);
}

/* Whoever reads or writes just now shall not wait any more. */
static void shut_down_all(void)
{
    const abl_adopted_t *a;

    pthread_mutex_lock(&lock);
    for (a = all; a != NULL; a = a->next) {
        if (a->at == ABL_AT_WORK) {
            (void)shutdown(a->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&lock);
}

void abl_adopted_on_stopping(bool graceful)
{
    abl_lane_t *lane;
    int i;

    if (!graceful) {
        shut_down_all();
    } else if (!atomic_exchange(&ending, true)) {
        for (i = 0; (lane = abl_lane_at(i)) != NULL; i++) {
            abl_loop_post(lane->loop, &lane->stopper, hurry_all);
        }
    }
}

void abl_adopted_stop(void)
{
    abl_adopted_t *a;

    atomic_store(&closing, true);
    shut_down_all();
    abl_lane_stop();
    for (a = all; a != NULL; a = a->next) {
        if (a->r != NULL) {
            a->on_stop(a);
        }
    }
}
