/* SPDX-License-Identifier: Apache-2.0
 *
 * The requests of adopted connections (see adopted.c), the way into it, and what httpd is to know of them.
 */
#include "httpd/park.h"

#include "httpd/adopted.h"
#include "httpd/connection.h"

#include "ap_mpm.h"
#include "http_core.h"
#include "http_request.h"
#include "scoreboard.h"

struct abl_park_t {
    abl_adopted_t adopted; /* first */
    abl_parking_t parking; /* of its request that is parked */
};

typedef struct abl_park_t abl_park_t;

static abl_seat_counts_t unseen;  /* where there is no ledger */
static abl_seat_counts_t *counts; /* what others are told */

/* ---- a parked request ------------------------------------------------------------------------------- */

static const abl_parking_t *parking_of(const abl_adopted_t *a)
{
    return &((const abl_park_t *)a)->parking;
}

static void continue_request(abl_adopted_t *a)
{
    const abl_parking_t *parking = parking_of(a);
    request_rec *r = a->r;
    int status = parking->on_worker(parking->ctx, &a->waiter);

    if (status == SUSPENDED) {
        abl_adopted_suspend(a);
        return;
    }
    a->r = NULL;
    atomic_fetch_sub_explicit(&counts->parked, 1, memory_order_relaxed);
    ap_die(status, r);
    ap_process_request_after_handler(r);
    abl_adopted_go_on(a);
}

/* As one who may do a worker's work. */
static void look_here(void *baton)
{
    abl_adopted_t *a = baton;
    const abl_parking_t *parking = parking_of(a);

    if (parking->on_loop(parking->ctx, &a->waiter, true)) {
        abl_adopted_resume(a);
        continue_request(a);
    } else {
        abl_lane_give(a->lane, &a->waiter, abl_adopted_wait);
    }
}

static void request_ready(abl_waiter_t *waiter)
{
    abl_adopted_t *a = (abl_adopted_t *)waiter;
    const abl_parking_t *parking = parking_of(a);

    if (abl_adopted_work_here(a, look_here)) {
        return;
    }
    if (parking->on_loop(parking->ctx, waiter, false)) {
        abl_adopted_call_worker(a, continue_request);
    } else {
        abl_adopted_wait(waiter);
    }
}

static void give_up(abl_adopted_t *a)
{
    parking_of(a)->on_stop(parking_of(a)->ctx);
}

/* ---- the handler's side ----------------------------------------------------------------------------- */

/* Will the MPM call a worker as long as this connection is there? It is counted, by now. So it will if it was
 * not yet about to end; or if it is, but had another one to count all the time. */
static bool has_mpm(void)
{
    int state = 0;

    (void)ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state != AP_MPMQ_STOPPING || abl_adopted_count() > 0;
}

bool abl_park_may(const request_rec *r)
{
    const conn_rec *c = r->connection;

    return abl_lane_at(0) != NULL && c->cs != NULL && c->master == NULL && r->main == NULL &&
           r->prev == NULL && !c->clogging_input_filters && !c->aborted && has_mpm();
}

static abl_park_t *adopt(conn_rec *c)
{
    abl_connection_t *connection = abl_connection_of(c);

    if (connection->park == NULL) {
        connection->park = apr_pcalloc(c->pool, sizeof(abl_park_t));
        abl_adopted_init(&connection->park->adopted, c);
    }
    connection->park->adopted.handed = true;
    return connection->park;
}

int abl_park(request_rec *r, const abl_parking_t *parking, const abl_waiter_t *waiter)
{
    abl_park_t *park = adopt(r->connection);
    abl_waiter_t *own = &park->adopted.waiter;

    memcpy(own->fd, waiter->fd, sizeof(waiter->fd));
    memcpy(own->events, waiter->events, sizeof(waiter->events));
    own->line = waiter->line;
    own->drained = waiter->drained;
    own->deadline = waiter->deadline;
    own->on_ready = request_ready;
    park->parking = *parking;
    park->adopted.on_stop = give_up;
    park->adopted.r = r;
    atomic_fetch_add_explicit(&counts->parked, 1, memory_order_relaxed);
    return SUSPENDED;
}

bool abl_park_idle(conn_rec *c)
{
    if (abl_lane_at(0) == NULL || abl_lane_is_here() || abl_connection_of(c)->park != NULL ||
        abl_server_conf(c->base_server)->lane == 0) {
        return false;
    }
    abl_adopted_begin_idle(&adopt(c)->adopted);
    return true;
}

void abl_park_on_suspend(conn_rec *c, request_rec *r)
{
    abl_park_t *park = abl_connection_of(c)->park;

    (void)r;
    if (park != NULL && park->adopted.handed) {
        park->adopted.handed = false;
        abl_adopted_suspended(&park->adopted);
    }
}

/* ---- what httpd would do for a connection it knows --------------------------------------------------- */

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

    if (abl_lane_at(0) != NULL && c->master == NULL) {
        abl_connection_of(c)->keep_alive = s->keep_alive_timeout;
    }
    return DECLINED;
}

int abl_park_on_log(request_rec *r)
{
    const conn_rec *c = r->connection;
    int limit = 0;

    if (ap_extended_status && c->sbh == NULL && c->master == NULL && abl_lane_at(0) != NULL &&
        ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &limit) == APR_SUCCESS && limit > 0) {
        count(r, ap_get_scoreboard_worker_from_indexes((int)(c->id / limit), (int)(c->id % limit)));
    }
    return DECLINED;
}

/* ---- the child -------------------------------------------------------------------------------------- */

void abl_park_on_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    abl_adopted_on_stopping(graceful != 0);
}

/* Before anything else of the child goes: the loops own what other cleanups free. */
static apr_status_t stop(void *unused)
{
    (void)unused;
    abl_adopted_stop();
    return APR_SUCCESS;
}

apr_status_t abl_park_child_init(apr_pool_t *pchild, abl_seat_counts_t *shared)
{
    int async = 0;

    if (ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) != APR_SUCCESS || !async) {
        return APR_SUCCESS;
    }
    counts = shared != NULL ? shared : &unseen;
    abl_adopted_child_init(counts);
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
    return abl_lane_start(pchild);
}
