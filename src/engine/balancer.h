/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer as the engine sees it: its members, its limits, and, once the child has started, its ledger and
 * pools.
 */
#ifndef ABL_ENGINE_BALANCER_H
#define ABL_ENGINE_BALANCER_H

#include "base/clock.h"
#include "engine/pool.h"
#include "ledger/ledger.h"

#include <stdatomic.h>

/* All in microseconds. */
typedef struct abl_timeouts_t {
    int64_t connect;  /* until the member accepts */
    int64_t response; /* from the request's last byte to the end of the answer's head */
    int64_t gap;      /* between two pieces of a body, either way */
    int64_t tunnel;   /* silence, in both directions, of an upgraded connection */
} abl_timeouts_t;

#define ABL_QUEUE_LENGTH 1000               /* the default */
#define ABL_QUEUE_TIMEOUT (30 * ABL_SECOND) /* the default */

typedef struct abl_queue_conf_t {
    apr_uint32_t length;     /* requests that may wait; 0: none */
    apr_uint32_t per_client; /* of one client; 0: no limit of its own */
    int64_t timeout;         /* how long one may wait, µs */
} abl_queue_conf_t;

/* After what a request may be sent again; bits. */
#define ABL_RETRY_CONNECT 1u /* no byte of it was sent */
#define ABL_RETRY_RESET 2u   /* the connection ended before the answer began */
#define ABL_RETRY_TIMEOUT 4u /* no answer in time */
#define ABL_RETRY_500 8u
#define ABL_RETRY_502 16u
#define ABL_RETRY_503 32u
#define ABL_RETRY_504 64u
#define ABL_RETRY_429 128u

/* When a request goes on to another member. A request that certainly reached nobody costs nothing of
 * `attempts` and `percent`. */
typedef struct abl_retry_conf_t {
    unsigned on;          /* ABL_RETRY_*; 0: never */
    bool respect;         /* a member that answers 503 with Retry-After is left alone for so long */
    int attempts;         /* times that a request may be sent again which has perhaps reached a member */
    int64_t time;         /* after the first member was taken, µs: no new attempt later than this */
    apr_uint32_t percent; /* of the balancer's requests that may be sent again; 100: all of them */
    const char *const *methods; /* that may be sent again, NULL at the end; NULL: the idempotent ones */
} abl_retry_conf_t;

#define ABL_RETRY_ATTEMPTS 2 /* the defaults */
#define ABL_RETRY_TIME (10 * ABL_SECOND)

/* What holds where nothing is configured. */
static inline abl_retry_conf_t abl_retry_defaults(void)
{
    return (abl_retry_conf_t){.on = ABL_RETRY_CONNECT | ABL_RETRY_RESET,
                              .attempts = ABL_RETRY_ATTEMPTS,
                              .time = ABL_RETRY_TIME,
                              .percent = ABL_RETRY_PERCENT};
}

typedef struct abl_balancer_t {
    const char *name;
    const abl_method_t *method;
    abl_member_t *members;
    int nmembers;
    abl_timeouts_t timeouts;
    abl_queue_conf_t queue;
    abl_eject_conf_t eject;
    abl_retry_conf_t retry;
    abl_hedge_conf_t hedge;
    bool checked, mandatory; /* BalancerHealthCheck; see abl_ledger_conf_t */
    bool limited;            /* some member has a limit of requests at once */
    /* from abl_balancers_configure() on: */
    abl_ledger_t *ledger;
    /* from abl_balancer_start() on: */
    abl_pool_t **pools;           /* one per member; NULL where no connection is kept */
    atomic_int *connecting;       /* per member: connects under way in this child */
    _Atomic int64_t *first_bytes; /* per member: what an answer's first byte took lately in this child, µs */
} abl_balancer_t;

/* Enters the balancers into the ledger; see abl_segment_configure(). Parent, when the configuration was read.
 */
apr_status_t abl_balancers_configure(abl_segment_t *segment, abl_balancer_t *const *balancers, int n,
                                     apr_pool_t *pool, int *left_out);

/* Gives the balancer what it needs in a child. Child, at its start, after abl_segment_join(), before any
 * other thread of the caller's. APR_ENOMEM is the only error. */
apr_status_t abl_balancer_start(abl_balancer_t *balancer, abl_child_t *child);

#endif
