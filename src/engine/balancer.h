/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer as the engine sees it: its members, its limits, and, once the child has started, its ledger and
 * pools.
 */
#ifndef ABL_ENGINE_BALANCER_H
#define ABL_ENGINE_BALANCER_H

#include "engine/pool.h"
#include "ledger/ledger.h"

/* All in microseconds. */
typedef struct abl_timeouts_t {
    int64_t connect;  /* until the member accepts */
    int64_t response; /* from the request's last byte to the end of the answer's head */
    int64_t gap;      /* between two pieces of a body, either way */
    int64_t tunnel;   /* silence, in both directions, of an upgraded connection */
} abl_timeouts_t;

typedef struct abl_balancer_t {
    const char *name;
    const abl_method_t *method;
    abl_member_t *members;
    int nmembers;
    abl_timeouts_t timeouts;
    /* from abl_balancer_start() on: */
    abl_ledger_t *ledger;
    abl_pool_t **pools; /* one per member; NULL where no connection is kept */
} abl_balancer_t;

/* Gives the balancer its ledger and pools. Child, at its start, before any other thread.
 * APR_ENOMEM is the only error. */
apr_status_t abl_balancer_start(abl_balancer_t *balancer);

#endif
