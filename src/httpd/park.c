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

#include "apr_portable.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LET_GO ABL_SECOND /* race (b): how long the memory stays */

/* How long a closing connection is read from, as httpd's own MPMs do it; and where a peer is not to be waited
 * for. */
#define LINGER_LONG (30 * ABL_SECOND)
#define LINGER_SHORT (2 * ABL_SECOND)

#define LAST_CHANCE (100 * ABL_MS) /* for the next request, when the child ends */

#define CLIENT 1 /* the waiter's descriptor that is the client's, between requests */

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define STATE_PROCESSING CONN_STATE_PROCESSING
#else
#define STATE_PROCESSING CONN_STATE_READ_REQUEST_LINE
#endif

typedef struct abl_park_t abl_park_t;

struct abl_park_t {
    abl_waiter_t waiter; /* first */
    conn_rec *c;
    int fd;
    request_rec *r; /* the one that is parked; NULL: between requests */
    abl_parking_t parking;
    void (*work)(abl_park_t *park); /* what a worker does next */
    bool handed;                    /* the next suspend hook gives it to the loop */
    bool adopted;
    bool hurried;      /* called because the child ends, not because its time is over */
    int64_t let_go_at; /* when the MPM's worker had run its hooks */
    int64_t keep_alive;
    abl_park_t *next, *prev; /* all those with a request, or all that rest */
    abl_park_t **list;       /* which of the two; NULL: neither */
};

static abl_loop_t *loop; /* NULL: this MPM cannot suspend */
static abl_waiter_t stopper;
static bool stopping; /* the loop's */
static atomic_bool ending;
static atomic_int adopted; /* connections, each of which the MPM counts */

/* Protects the lists. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static abl_park_t *waiting; /* with a request */
static abl_park_t *resting; /* idle, or lingering on close; entered and left on the loop only */

static void go_on(abl_park_t *park);

/* ---- lists ------------------------------------------------------------------------------------------ */

static void leave_list(abl_park_t *park)
{
    pthread_mutex_lock(&lock);
    if (park->list != NULL) {
        *(park->prev != NULL ? &park->prev->next : park->list) = park->next;
        if (park->next != NULL) {
            park->next->prev = park->prev;
        }
        park->list = NULL;
    }
    pthread_mutex_unlock(&lock);
}

static void enter_list(abl_park_t *park, abl_park_t **list)
{
    pthread_mutex_lock(&lock);
    park->list = list;
    park->prev = NULL;
    park->next = *list;
    if (*list != NULL) {
        (*list)->prev = park;
    }
    *list = park;
    pthread_mutex_unlock(&lock);
}

/* ---- from the loop to a worker ---------------------------------------------------------------------- */

static abl_park_t *park_of(abl_waiter_t *waiter)
{
    return (abl_park_t *)waiter;
}

static void on_worker(void *baton)
{
    abl_park_t *park = baton;

    park->c->sbh = NULL; /* the scoreboard's slot is its first worker's, who has other work */
    ap_run_resume_connection(park->c, park->r);
    park->work(park);
}

static void call_worker(abl_park_t *park, void (*work)(abl_park_t *park))
{
    park->work = work;
    (void)ap_mpm_register_timed_callback(0, on_worker, park);
}

/* ---- from a worker to the loop ---------------------------------------------------------------------- */

/* The owner is the loop from here on. */
static void hand_over(abl_park_t *park, abl_waiter_fn_t *to)
{
    ap_run_suspend_connection(park->c, park->r);
    abl_loop_post(loop, &park->waiter, to);
}

static void begin_waiting(abl_waiter_t *waiter)
{
    abl_loop_wait(loop, waiter);
}

static void wait_for_client(abl_park_t *park, uint32_t events, int64_t how_long, abl_waiter_fn_t *on_ready)
{
    park->waiter.fd[0] = -1;
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
    leave_list(park);
    park->r = NULL;
    ap_die(status, r);
    ap_process_request_after_handler(r);
    go_on(park);
}

static void request_ready(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    if (park->parking.on_loop(park->parking.ctx, waiter)) {
        call_worker(park, continue_request);
    } else {
        abl_loop_wait(loop, waiter);
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
    conn_rec *c = park->c;
    remains_t *remains = keep_memory(park);

    if (remains == NULL && abl_clock_now() < park->let_go_at + LET_GO) {
        waiter->fd[0] = waiter->fd[CLIENT] = -1;
        waiter->deadline = park->let_go_at + LET_GO;
        waiter->on_ready = bury;
        abl_loop_wait(loop, waiter);
        return;
    }
    /* What the MPM counted when it let go it takes back in a cleanup, by this state. */
    c->cs->state = CONN_STATE_SUSPENDED;
    atomic_fetch_sub(&adopted, 1);
    apr_pool_destroy(c->pool);
    if (remains != NULL) {
        abl_loop_wait(loop, &remains->waiter);
    }
}

static void close_now(abl_waiter_t *waiter)
{
    apr_socket_t *socket = ap_get_conn_socket(park_of(waiter)->c);

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

    leave_list(park);
    if (drained(park->fd) || (waiter->late && !park->hurried)) {
        close_now(waiter);
        return;
    }
    if (park->hurried || stopping) {
        park->hurried = false;
        waiter->deadline = shortly < waiter->deadline ? shortly : waiter->deadline;
    } else {
        enter_list(park, &resting);
    }
    abl_loop_wait(loop, waiter);
}

static void close_connection(abl_park_t *park)
{
    conn_rec *c = park->c;
    bool in_a_hurry = apr_table_get(c->notes, "short-lingering-close") != NULL;

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
    abl_loop_wait(loop, &park->waiter);
}

static void idle_ready(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    leave_list(park);
    if (park->hurried) {
        wait_once_more(park);
    } else {
        call_worker(park, waiter->late ? close_idle : process);
    }
}

static void begin_idling(abl_waiter_t *waiter)
{
    abl_park_t *park = park_of(waiter);

    if (stopping) {
        wait_once_more(park);
        return;
    }
    enter_list(park, &resting);
    abl_loop_wait(loop, waiter);
}

static void wait_for_request(abl_park_t *park)
{
    park->c->cs->state = CONN_STATE_KEEPALIVE;
    park->c->cs->sense = CONN_SENSE_DEFAULT;
    wait_for_client(park, EPOLLIN, park->keep_alive, idle_ready);
    hand_over(park, begin_idling);
}

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

    return loop != NULL && c->cs != NULL && c->master == NULL && r->main == NULL && r->prev == NULL &&
           !c->clogging_input_filters && !c->aborted && has_mpm();
}

static abl_park_t *adopt(conn_rec *c)
{
    abl_connection_t *connection = abl_connection_of(c);

    if (connection->park == NULL) {
        connection->park = apr_pcalloc(c->pool, sizeof(abl_park_t));
        connection->park->c = c;
        (void)apr_os_sock_get(&connection->park->fd, ap_get_conn_socket(c));
    }
    return connection->park;
}

int abl_park(request_rec *r, const abl_parking_t *parking, const abl_waiter_t *waiter)
{
    abl_park_t *park = adopt(r->connection);
    const server_rec *s = r->server->keep_alive_timeout_set ? r->server : r->connection->base_server;

    park->waiter = *waiter;
    park->waiter.on_ready = request_ready;
    park->parking = *parking;
    park->r = r;
    park->keep_alive = s->keep_alive_timeout;
    park->handed = true;
    enter_list(park, &waiting);
    return SUSPENDED;
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
        atomic_fetch_add(&adopted, 1);
        park->let_go_at = abl_clock_now();
    }
    abl_loop_post(loop, &park->waiter, begin_waiting);
}

/* ---- the child -------------------------------------------------------------------------------------- */

static void hurry_all(abl_waiter_t *unused)
{
    abl_park_t *park, *next;

    (void)unused;
    stopping = true;
    pthread_mutex_lock(&lock);
    park = resting;
    pthread_mutex_unlock(&lock);
    for (; park != NULL; park = next) {
        next = park->next;
        park->hurried = true;
        abl_loop_hurry(loop, &park->waiter);
    }
}

void abl_park_on_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    if (loop != NULL && graceful && !atomic_exchange(&ending, true)) {
        abl_loop_post(loop, &stopper, hurry_all);
    }
}

/* Before anything else of the child goes: the loop owns what other cleanups free. */
static apr_status_t stop(void *unused)
{
    abl_park_t *park;

    (void)unused;
    abl_loop_stop(loop);
    for (park = waiting; park != NULL; park = park->next) {
        park->parking.on_stop(park->parking.ctx);
    }
    return APR_SUCCESS;
}

apr_status_t abl_park_child_init(apr_pool_t *pchild)
{
    int async = 0;
    apr_status_t rv;

    if (ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) != APR_SUCCESS || !async) {
        return APR_SUCCESS;
    }
    rv = abl_loop_start(&loop);
    if (rv == APR_SUCCESS) {
        apr_pool_pre_cleanup_register(pchild, NULL, stop);
    }
    return rv;
}
