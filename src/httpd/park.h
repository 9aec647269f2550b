/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that wait without a thread, under the event MPM. What becomes of their connections is adopted.h's.
 */
#ifndef ABL_HTTPD_PARK_H
#define ABL_HTTPD_PARK_H

#include "engine/loop.h"
#include "httpd/config.h"

/* What a parked request does. Each function is called by whoever owns the request just then. */
typedef struct abl_parking_t {
    /* Loop: what was waited for has happened. True: a worker shall go on with it. False: the waiter was
     * filled in again. Must not block. `is_worker`: this thread can do a worker's work, too. */
    bool (*on_loop)(void *ctx, abl_waiter_t *waiter, bool is_worker);
    /* Worker: goes on. SUSPENDED: the waiter was filled in again. Anything else is what the handler would
     * have returned. */
    int (*on_worker)(void *ctx, abl_waiter_t *waiter);
    /* The process ends, and no loop and no worker will ever call again. */
    void (*on_stop)(void *ctx);
    void *ctx;
} abl_parking_t;

/* Makes the loops and learns about the MPM. Child, at its start. `shared`: where to say how many there are;
 * NULL: nowhere. Returns errno's reason. */
apr_status_t abl_park_child_init(apr_pool_t *pchild, abl_seat_counts_t *shared);

/* May this request be parked? Worker, in the handler. */
bool abl_park_may(const request_rec *r);

/* Parks the request; the handler returns what this returns. Worker. `waiter` has been filled in, apart from
 * on_ready, and is copied. */
int abl_park(request_rec *r, const abl_parking_t *parking, const abl_waiter_t *waiter);

/* A connection that waits for its next request: is adopted too, where that is cheaper than to give it back to
 * the MPM. False: it is not. True: the process_connection hook returns OK and does not touch it any more.
 * Worker, outside of a request; everything that was written has been sent, and what was read used. */
bool abl_park_idle(conn_rec *c);

/* Hooks. */
void abl_park_on_suspend(conn_rec *c, request_rec *r);
int abl_park_on_request(request_rec *r); /* post_read_request */
int abl_park_on_log(request_rec *r);
void abl_park_on_stopping(apr_pool_t *pchild, int graceful);

#endif
