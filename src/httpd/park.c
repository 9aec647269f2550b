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
#include "httpd/park.h"

#include "base/clock.h"
#include "httpd/connection.h"
#include "httpd/unblock.h"

#include "ap_mmn.h"
#include "ap_mpm.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_request.h"
#include "mpm_common.h"
#include "scoreboard.h"

#include "apr_portable.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LET_GO ABL_SECOND /* race (b): how long the memory stays */

/* How long a closing connection is read from, as httpd's own MPMs do it; and where a peer is not to be waited
 * for. */
#define LINGER_LONG (30 * ABL_SECOND)
#define LINGER_SHORT (2 * ABL_SECOND)

#define LANES_MAX 64
#define CREW 8 /* threads of a loop, of which one works and at least one stands by */

#define LOOK_EVERY (100 * ABL_MS) /* after the MPM */

#define LAST_CHANCE (100 * ABL_MS) /* for the next request, when the child ends */

#define CLIENT 1 /* the waiter's descriptor that is the client's, between requests */

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define STATE_PROCESSING CONN_STATE_PROCESSING
#else
#define STATE_PROCESSING CONN_STATE_READ_REQUEST_LINE
#endif

typedef struct abl_park_t abl_park_t;

/* Who has it. */
typedef enum place_t {
    AT_WORK, /* a thread that is not to be disturbed; or it is on its way */
    WAITING, /* the loop, with a request */
    RESTING  /* the loop: idle, or lingering on close */
} place_t;

/* One of this child's loops. */
typedef struct lane_t {
    abl_loop_t *loop;
    abl_waiter_t stopper;
    abl_waiter_t valve; /* looks whether the MPM has too many connections */
    bool stopping;      /* the loop's, as is the following */
    bool looks;         /* the valve's timer runs */
    int slot;           /* of this child in the scoreboard */
} lane_t;

struct abl_park_t {
    abl_waiter_t waiter; /* first */
    conn_rec *c;
    int fd;
    lane_t *lane;
    bool stays;     /* a loop's thread may do a worker's work for it */
    request_rec *r; /* the one that is parked; NULL: between requests */
    abl_parking_t parking;
    void (*work)(abl_park_t *park); /* what a worker does next */
    bool handed;                    /* the next suspend hook gives it to the loop */
    bool adopted;
    bool hurried;            /* called because the child ends, not because its time is over */
    _Atomic place_t at;      /* changed by its owner */
    int64_t let_go_at;       /* when the MPM's worker had run its hooks */
    abl_park_t *next, *prev; /* in the list, once it is adopted */
};

static lane_t *lanes; /* NULL: this MPM cannot suspend */
static int n_lanes;
static atomic_uint next_lane;
static atomic_bool ending;
static atomic_bool closing; /* nothing new begins */
static apr_pool_t *child_pool;
static atomic_int adopted;        /* connections, each of which the MPM counts */
static abl_seat_counts_t unseen;  /* where there is no ledger */
static abl_seat_counts_t *counts; /* what others are told */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects the list */
static abl_park_t *all;

/* What a loop's thread has been given back by the work it is doing itself. */
typedef struct given_t {
    abl_park_t *park;
    abl_waiter_fn_t *to;
} given_t;

static _Thread_local given_t *here; /* NULL: this thread is not a loop's at work */

static void go_on(abl_park_t *park);

/* ---- the list --------------------------------------------------------------------------------------- */

static void leave_list(abl_park_t *park)
{
    pthread_mutex_lock(&lock);
    *(park->prev != NULL ? &park->prev->next : &all) = park->next;
    if (park->next != NULL) {
        park->next->prev = park->prev;
    }
    pthread_mutex_unlock(&lock);
}

static void enter_list(abl_park_t *park)
{
    pthread_mutex_lock(&lock);
    park->next = all;
    if (all != NULL) {
        all->prev = park;
    }
    all = park;
    pthread_mutex_unlock(&lock);
}

/* ---- from a worker to the loop ---------------------------------------------------------------------- */

/* The owner is the loop from here on, or as soon as its thread has come back from this work. */
static void give(abl_park_t *park, abl_waiter_fn_t *to)
{
    if (here != NULL) {
        here->park = park;
        here->to = to;
    } else {
        abl_loop_post(park->lane->loop, &park->waiter, to);
    }
}

static void hand_over(abl_park_t *park, abl_waiter_fn_t *to)
{
    ap_run_suspend_connection(park->c, park->r);
    give(park, to);
}

/* ---- from the loop to a worker ---------------------------------------------------------------------- */

static abl_park_t *park_of(abl_waiter_t *waiter)
{
    return (abl_park_t *)waiter;
}

/* This thread's connection from now on. */
static void resume(abl_park_t *park)
{
    park->c->sbh = NULL; /* the scoreboard's slot is its first worker's, who has other work */
#if AP_HAS_THREAD_LOCAL
    park->c->current_thread = ap_thread_current();
#endif
    ap_run_resume_connection(park->c, park->r);
}

static void on_worker(void *baton)
{
    abl_park_t *park = baton;

    resume(park);
    park->work(park);
}

/* Modules keep things in the pool of the thread that serves a request: a loop's thread needs one, too. */
static _Thread_local apr_pool_t *own_pool;

static bool is_httpds_thread(void)
{
#if AP_HAS_THREAD_LOCAL
    apr_thread_t *thread = NULL;

    if (own_pool == NULL && ap_thread_current_create(&thread, NULL, child_pool) == APR_SUCCESS) {
        own_pool = apr_thread_pool_get(thread);
    }
#endif
    return own_pool != NULL;
}

static void end_thread(void)
{
    if (own_pool != NULL) {
        apr_pool_destroy(own_pool);
    }
}

/* The loop's thread: does it itself. It is not a worker, but while somebody stands by it may be as slow as
 * one. False: it may not; a worker has to. */
static bool work_here(abl_park_t *park, void (*work)(void *park))
{
    abl_loop_t *loop = park->lane->loop;
    given_t given = {NULL, NULL};
    bool is_back;

    if (!park->stays || !is_httpds_thread() || !abl_loop_enter(loop)) {
        return false;
    }
    here = &given;
    work(park);
    here = NULL;
    is_back = abl_loop_exit(loop);
    if (given.park != NULL && is_back) {
        given.to(&given.park->waiter);
    } else if (given.park != NULL) {
        abl_loop_post(loop, &given.park->waiter, given.to);
    }
    return true;
}

static void call_worker(abl_park_t *park, void (*work)(abl_park_t *park))
{
    park->work = work;
    park->at = AT_WORK;
    if (!atomic_load(&closing) && !work_here(park, on_worker)) {
        (void)ap_mpm_register_timed_callback(0, on_worker, park);
    }
}

bool abl_park_on_loop(void)
{
    return here != NULL;
}

void abl_park_leave_loop(void)
{
    if (here != NULL) {
        abl_loop_leave();
    }
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static void wait_as(abl_park_t *park, place_t place)
{
    park->at = place;
    abl_loop_wait(park->lane->loop, &park->waiter);
}

static void begin_waiting(abl_waiter_t *waiter)
{
    wait_as(park_of(waiter), WAITING);
}

static void wait_for_client(abl_park_t *park, uint32_t events, int64_t how_long, abl_waiter_fn_t *on_ready)
{
    park->waiter.fd[0] = -1;
    park->waiter.line = NULL;
    park->waiter.fd[CLIENT] = park->fd;
    park->waiter.events[CLIENT] = events;
    park->waiter.deadline = abl_clock_now() + how_long;
    park->waiter.late = false;
    park->waiter.on_ready = on_ready;
}

/* ---- a request -------------------------------------------------------------------------------------- */

static void continue_request(abl_park_t *park)
{
    request_rec *r = park->r;
    int status = park->parking.on_worker(park->parking.ctx, &park->waiter);

    if (status == SUSPENDED) {
        hand_over(park, begin_waiting);
        return;
    }
    park->r = NULL;
    atomic_fetch_sub_explicit(&counts->parked, 1, memory_order_relaxed);
    ap_die(status, r);
    ap_process_request_after_handler(r);
    go_on(park);
}

/* As one who may do a worker's work. */
static void look_here(void *baton)
{
    abl_park_t *park = baton;

    if (park->parking.on_loop(park->parking.ctx, &park->waiter, true)) {
        resume(park);
        continue_request(park);
    } else {
        give(park, begin_waiting);
    }
}

static void request_ready(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    park->at = AT_WORK;
    if (atomic_load(&closing) || work_here(park, look_here)) {
        return;
    }
    if (park->parking.on_loop(park->parking.ctx, waiter, false)) {
        call_worker(park, continue_request);
    } else {
        wait_as(park, WAITING);
    }
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
static remains_t *keep_memory(const abl_park_t *park)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(park->c->pool);
    remains_t *remains;

    if (abl_clock_now() >= park->let_go_at + LET_GO || apr_allocator_owner_get(allocator) != park->c->pool) {
        return NULL;
    }
    remains = calloc(1, sizeof(*remains));
    if (remains != NULL) {
        apr_allocator_owner_set(allocator, NULL);
        apr_allocator_max_free_set(allocator, APR_ALLOCATOR_MAX_FREE_UNLIMITED);
        remains->allocator = allocator;
        remains->waiter.fd[0] = remains->waiter.fd[CLIENT] = -1;
        remains->waiter.deadline = park->let_go_at + LET_GO;
        remains->waiter.on_ready = free_remains;
    }
    return remains;
}

/* The MPM counts the connection until its pool is destroyed, and accepts only so many: so that happens at
 * once. */
static void bury(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);
    abl_loop_t *loop = park->lane->loop;
    conn_rec *c = park->c;
    remains_t *remains = keep_memory(park);

    if (remains == NULL && abl_clock_now() < park->let_go_at + LET_GO) {
        waiter->fd[0] = waiter->fd[CLIENT] = -1;
        waiter->deadline = park->let_go_at + LET_GO;
        waiter->on_ready = bury;
        wait_as(park, WAITING);
        return;
    }
    /* What the MPM counted when it let go it takes back in a cleanup, by this state. */
    c->cs->state = CONN_STATE_SUSPENDED;
    leave_list(park);
    atomic_fetch_sub(&adopted, 1);
    atomic_fetch_sub_explicit(&counts->adopted, 1, memory_order_relaxed);
    apr_pool_destroy(c->pool);
    if (remains != NULL) {
        abl_loop_wait(loop, &remains->waiter);
    }
}

static void close_now(abl_waiter_t *waiter)
{
    apr_socket_t *socket = ap_get_conn_socket(park_of(waiter)->c);

    abl_loop_forget(park_of(waiter)->lane->loop, waiter);
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
    abl_park_t *park = park_of(waiter);
    int64_t shortly = abl_clock_now() + LINGER_SHORT;

    if (drained(park->fd) || (waiter->late && !park->hurried)) {
        close_now(waiter);
        return;
    }
    if (park->hurried || park->lane->stopping) {
        park->hurried = false;
        waiter->deadline = shortly < waiter->deadline ? shortly : waiter->deadline;
        wait_as(park, WAITING);
    } else {
        wait_as(park, RESTING);
    }
}

static void close_connection(abl_park_t *park)
{
    conn_rec *c = park->c;
    bool in_a_hurry = apr_table_get(c->notes, "short-lingering-close") != NULL;

    if (c->data_in_output_filters) {
        abl_park_leave_loop(); /* once more the client is waited for */
    }
    c->cs->state = CONN_STATE_LINGER;
    if (ap_start_lingering_close(c)) {
        hand_over(park, close_now);
        return;
    }
    wait_for_client(park, EPOLLIN, in_a_hurry ? LINGER_SHORT : LINGER_LONG, drain);
    hand_over(park, drain);
}

/* ---- between two requests --------------------------------------------------------------------------- */

/* A client that is silent, or does not take what it asked for, is not waited for again. */
static void close_shortly(abl_park_t *park)
{
    apr_table_setn(park->c->notes, "short-lingering-close", "1");
    close_connection(park);
}

static void client_ready(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    call_worker(park, waiter->late ? close_shortly : go_on);
}

/* Waits until the client takes or sends something. */
static void wait_and_go_on(abl_park_t *park, bool reading)
{
    wait_for_client(park, reading ? EPOLLIN : EPOLLOUT, park->c->base_server->timeout, client_ready);
    hand_over(park, begin_waiting);
}

static void process(abl_park_t *park)
{
    conn_rec *c = park->c;
    int rc;

    c->cs->state = STATE_PROCESSING;
    rc = ap_run_process_connection(c);
    if ((rc != OK && rc != DONE) || c->cs->state == STATE_PROCESSING) {
        c->cs->state = CONN_STATE_LINGER;
    }
    if (c->cs->state == CONN_STATE_SUSPENDED) {
        ap_run_suspend_connection(c, park->r); /* ours is among them, and hands it over */
    } else {
        go_on(park);
    }
}

/* A request that has come before the connection is closed is still served. */
static bool has_request(const abl_park_t *park)
{
    struct pollfd pfd = {.fd = park->fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

static void close_idle(abl_park_t *park)
{
    if (has_request(park)) {
        process(park);
    } else {
        close_shortly(park);
    }
}

/* The child ends. A client that is about to send its next request gets an answer to that, which tells it to
 * close; the others are no longer waited for. */
static void wait_once_more(abl_park_t *park)
{
    int64_t soon = abl_clock_now() + LAST_CHANCE;

    park->hurried = false;
    park->waiter.deadline = soon < park->waiter.deadline ? soon : park->waiter.deadline;
    wait_as(park, WAITING);
}

static void idle_ready(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    if (park->hurried) {
        wait_once_more(park);
    } else {
        call_worker(park, waiter->late ? close_idle : process);
    }
}

/* ---- too many connections --------------------------------------------------------------------------- */

static void hurry_resting(lane_t *lane)
{
    abl_park_t *park;

    pthread_mutex_lock(&lock);
    for (park = all; park != NULL; park = park->next) {
        if (park->lane == lane && park->at == RESTING) {
            park->hurried = true;
            abl_loop_hurry(lane->loop, &park->waiter);
        }
    }
    pthread_mutex_unlock(&lock);
}

/* When all its workers are busy the MPM accepts no more connections, and closes those that are idle. Of ours
 * it does not know. */
static void look_after_mpm(abl_waiter_t *valve)
{
    lane_t *lane = (lane_t *)((char *)valve - offsetof(lane_t, valve));
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

static void begin_to_look(abl_park_t *park)
{
    lane_t *lane = park->lane;
    int limit = 0;

    if (!lane->looks && ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &limit) == APR_SUCCESS && limit > 0) {
        lane->looks = true;
        lane->slot = (int)(park->c->id / limit);
        lane->valve.fd[0] = lane->valve.fd[CLIENT] = -1;
        lane->valve.on_ready = look_after_mpm;
        lane->valve.deadline = abl_clock_now() + LOOK_EVERY;
        abl_loop_wait(lane->loop, &lane->valve);
    }
}

static void begin_idling(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    begin_to_look(park);
    if (park->lane->stopping) {
        wait_once_more(park);
    } else {
        wait_as(park, RESTING);
    }
}

static void wait_for_request(abl_park_t *park)
{
    park->c->cs->state = CONN_STATE_KEEPALIVE;
    park->c->cs->sense = CONN_SENSE_DEFAULT;
    wait_for_client(park, EPOLLIN, abl_connection_of(park->c)->keep_alive, idle_ready);
    hand_over(park, begin_idling);
}

static void protocol_ready(abl_waiter_t *waiter)
{
    call_worker(park_of(waiter), waiter->late ? close_shortly : process);
}

/* A protocol that has its own way of reading (HTTP/2) waits for its client. */
static void wait_and_process(abl_park_t *park)
{
    bool writing = park->c->cs->sense == CONN_SENSE_WANT_WRITE;

    park->c->cs->sense = CONN_SENSE_DEFAULT;
    wait_for_client(park, writing ? EPOLLOUT : EPOLLIN, park->c->base_server->timeout, protocol_ready);
    hand_over(park, begin_waiting);
}

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define WAITS_IN_ITS_OWN_WAY(c) ((c)->cs->state == CONN_STATE_ASYNC_WAITIO)
#else
#define WAITS_IN_ITS_OWN_WAY(c) false
#endif

/* What the MPM does with a connection that comes back from its process_connection hooks. */
static void go_on(abl_park_t *park)
{
    conn_rec *c = park->c;
    bool broken = c->aborted || c->cs->state == CONN_STATE_LINGER;

    if (!broken && c->cs->state == CONN_STATE_WRITE_COMPLETION) {
        broken = abl_unblock_send(c) != APR_SUCCESS;
        if (!broken && (abl_unblock_is_full(c) || c->cs->sense == CONN_SENSE_WANT_READ)) {
            bool reading = c->cs->sense == CONN_SENSE_WANT_READ;
            c->cs->sense = CONN_SENSE_DEFAULT;
            wait_and_go_on(park, reading);
            return;
        }
    }
    if (!broken && !c->aborted && WAITS_IN_ITS_OWN_WAY(c)) {
        wait_and_process(park);
        return;
    }
    if (broken || c->aborted || c->keepalive != AP_CONN_KEEPALIVE) {
        close_connection(park);
    } else if (c->data_in_input_filters) {
        process(park);
    } else {
        wait_for_request(park);
    }
}

/* ---- the handler's side ----------------------------------------------------------------------------- */

/* Will the MPM call a worker as long as this connection is there? It is counted, by now. So it will if it was
 * not yet about to end; or if it is, but had another one to count all the time. */
static bool has_mpm(void)
{
    int state = 0;

    (void)ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state != AP_MPMQ_STOPPING || atomic_load(&adopted) > 0;
}

bool abl_park_may(const request_rec *r)
{
    const conn_rec *c = r->connection;

    return lanes != NULL && c->cs != NULL && c->master == NULL && r->main == NULL && r->prev == NULL &&
           !c->clogging_input_filters && !c->aborted && has_mpm();
}

static abl_park_t *adopt(conn_rec *c)
{
    abl_connection_t *connection = abl_connection_of(c);
    abl_park_t *park = connection->park;

    if (park == NULL) {
        park = connection->park = apr_pcalloc(c->pool, sizeof(abl_park_t));
        park->c = c;
        park->lane = &lanes[atomic_fetch_add(&next_lane, 1) % (unsigned)n_lanes];
        park->stays = abl_server_conf(c->base_server)->lane != 0;
        if (park->stays) {
            park->waiter.keep[CLIENT] = EPOLLIN | EPOLLRDHUP;
        }
        (void)apr_os_sock_get(&park->fd, ap_get_conn_socket(c));
    }
    park->handed = true;
    return park;
}

int abl_park(request_rec *r, const abl_parking_t *parking, const abl_waiter_t *waiter)
{
    abl_park_t *park = adopt(r->connection);

    memcpy(park->waiter.fd, waiter->fd, sizeof(waiter->fd));
    memcpy(park->waiter.events, waiter->events, sizeof(waiter->events));
    park->waiter.line = waiter->line;
    park->waiter.drained = waiter->drained;
    park->waiter.deadline = waiter->deadline;
    park->waiter.on_ready = request_ready;
    park->parking = *parking;
    park->r = r;
    atomic_fetch_add_explicit(&counts->parked, 1, memory_order_relaxed);
    return SUSPENDED;
}

bool abl_park_idle(conn_rec *c)
{
    abl_park_t *park;

    if (lanes == NULL || here != NULL || abl_connection_of(c)->park != NULL ||
        abl_server_conf(c->base_server)->lane == 0) {
        return false;
    }
    park = adopt(c);
    c->cs->sense = CONN_SENSE_DEFAULT;
    c->cs->state = CONN_STATE_SUSPENDED;
    wait_for_client(park, EPOLLIN, abl_connection_of(c)->keep_alive, idle_ready);
    return true;
}

void abl_park_on_suspend(conn_rec *c, request_rec *r)
{
    abl_park_t *park = abl_connection_of(c)->park;

    (void)r;
    if (park == NULL || !park->handed) {
        return;
    }
    park->handed = false;
    if (!park->adopted) {
        park->adopted = true;
        enter_list(park);
        atomic_fetch_add(&adopted, 1);
        atomic_fetch_add_explicit(&counts->adopted, 1, memory_order_relaxed);
        park->let_go_at = abl_clock_now();
    }
    give(park, park->r != NULL ? begin_waiting : begin_idling);
}

/* httpd counts a request where its connection has a worker's place in the scoreboard. This is the place of
 * the first one: another thread counts there too, so it is an addition that nobody sees half of. */
static void count(request_rec *r, worker_score *score)
{
    (void)__atomic_fetch_add(&score->access_count, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&score->my_access_count, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&score->bytes_served, r->bytes_sent, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&score->my_bytes_served, r->bytes_sent, __ATOMIC_RELAXED);
}

/* The rule is the MPM's own. */
int abl_park_on_request(request_rec *r)
{
    conn_rec *c = r->connection;
    const server_rec *s = r->server->keep_alive_timeout_set ? r->server : c->base_server;

    if (lanes != NULL && c->master == NULL) {
        abl_connection_of(c)->keep_alive = s->keep_alive_timeout;
    }
    return DECLINED;
}

int abl_park_on_log(request_rec *r)
{
    const conn_rec *c = r->connection;
    int limit = 0;

    if (ap_extended_status && c->sbh == NULL && c->master == NULL && lanes != NULL &&
        ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &limit) == APR_SUCCESS && limit > 0) {
        count(r, ap_get_scoreboard_worker_from_indexes((int)(c->id / limit), (int)(c->id % limit)));
    }
    return DECLINED;
}

/* ---- the child -------------------------------------------------------------------------------------- */

static lane_t *lane_of(abl_waiter_t *stopper)
{
    return (lane_t *)((char *)stopper - offsetof(lane_t, stopper));
}

/* Loop. The list does not change for those that rest here. */
static void hurry_all(abl_waiter_t *stopper)
{
    lane_t *lane = lane_of(stopper);

    lane->stopping = true;
    hurry_resting(lane);
}

/* Whoever reads or writes just now shall not wait any more. */
static void shut_down_all(void)
{
    const abl_park_t *park;

    pthread_mutex_lock(&lock);
    for (park = all; park != NULL; park = park->next) {
        if (park->at == AT_WORK) {
            (void)shutdown(park->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&lock);
}

void abl_park_on_stopping(apr_pool_t *pchild, int graceful)
{
    int i;

    (void)pchild;
    if (lanes == NULL) {
        return;
    }
    if (!graceful) {
        shut_down_all();
    } else if (!atomic_exchange(&ending, true)) {
        for (i = 0; i < n_lanes; i++) {
            abl_loop_post(lanes[i].loop, &lanes[i].stopper, hurry_all);
        }
    }
}

/* Before anything else of the child goes: the loops own what other cleanups free. */
static apr_status_t stop(void *unused)
{
    abl_park_t *park;
    int i;

    (void)unused;
    atomic_store(&closing, true);
    shut_down_all();
    for (i = 0; i < n_lanes; i++) {
        abl_loop_stop(lanes[i].loop);
    }
    for (park = all; park != NULL; park = park->next) {
        if (park->r != NULL) {
            park->parking.on_stop(park->parking.ctx);
        }
    }
    return APR_SUCCESS;
}

/* All children together should be able to use all processors. */
static int lanes_needed(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int children = 1;

    (void)ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children);
    if (processors <= children || children < 1) {
        return 1;
    }
    processors = (processors + children - 1) / children;
    return processors < LANES_MAX ? (int)processors : LANES_MAX;
}

apr_status_t abl_park_child_init(apr_pool_t *pchild, abl_seat_counts_t *shared)
{
    int async = 0, needed = lanes_needed();
    apr_status_t rv = APR_SUCCESS;

    if (ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) != APR_SUCCESS || !async) {
        return APR_SUCCESS;
    }
    counts = shared != NULL ? shared : &unseen;
    child_pool = pchild;
    lanes = apr_pcalloc(pchild, (apr_size_t)needed * sizeof(*lanes));
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
    while (rv == APR_SUCCESS && n_lanes < needed) {
        rv = abl_loop_start(&lanes[n_lanes].loop, CREW, end_thread);
        n_lanes += rv == APR_SUCCESS ? 1 : 0;
    }
    return rv;
}
