/* SPDX-License-Identifier: Apache-2.0
 *
 * What an exchange holds, given back: its place in the queue, its lease, its connection.
 */
#include "engine/transfer.h"

#include "base/hash.h"
#include "ledger/health.h"

#include <string.h>

/* Is what went wrong the member's fault? A client that leaves is not. */
static bool is_failure(const abl_exchange_t *x)
{
    if (x->turned_away != 0) {
        return x->turned_away >= 500;
    }
    if (x->answered && x->ended_as == ABL_END_NONE) {
        return x->head_status >= 500;
    }
    switch (x->ended_as != ABL_END_NONE ? x->ended_as : x->end) {
    case ABL_END_BROKEN:
    case ABL_END_BAD_ANSWER:
    case ABL_END_TIMEOUT:
    case ABL_END_SHORT:
    case ABL_END_NO_MEMBER: /* this one refused, and no other is to be tried */
    case ABL_END_NONE:      /* another attempt follows */
        return true;
    default:
        return false;
    }
}

/* Its method and target. 0 where nobody wants to know. */
static apr_uint64_t what_of(const abl_exchange_t *x, bool failed)
{
    const char *target = x->request->head.target;

    if (x->what != 0) {
        return x->what;
    }
    if (target == NULL || (!failed && !abl_health_asks(x->balancer->ledger))) {
        return 0;
    }
    return abl_hash_text(target) ^ abl_hash_text(x->request->head.method);
}

/* What says nothing about the member's health: that it could not be reached (abl_health_away() does), a
 * client that has left, and an answer that it cannot do what was asked for. */
static bool says_nothing(const abl_exchange_t *x, bool failed)
{
    bool refuses = x->answered && (x->head_status == 501 || x->head_status == 505);

    return (x->conn == NULL && !x->greeting_failed) || (!failed && !x->answered) || refuses;
}

/* Of an answer that was all there, and a failure. */
static int failed_status(const abl_exchange_t *x)
{
    if (x->turned_away != 0) {
        return x->turned_away;
    }
    return x->answered && x->ended_as == ABL_END_NONE ? x->head_status : 0;
}

/* An orphan's own words are gone with its request. */
static const char *why_of(const abl_exchange_t *x)
{
    if (x->pool != NULL) {
        return x->why;
    }
    return x->ended_as == ABL_END_TIMEOUT ? "no answer in time" : "its answer broke off";
}

static abl_outcome_t outcome_of(const abl_exchange_t *x)
{
    bool failed = is_failure(x);

    return (abl_outcome_t){.latency = x->first_byte_at != 0 ? x->first_byte_at - x->taken_at : -1,
                           .bytes = x->conn != NULL ? x->conn->bytes : 0,
                           .failed = failed,
                           .unanswered = !x->answered && x->turned_away == 0,
                           .broken = !x->answered && x->turned_away == 0 && x->why_rv != APR_TIMEUP,
                           .began = x->taken_at,
                           .says_nothing = says_nothing(x, failed),
                           .rest = x->rest,
                           .what = what_of(x, failed),
                           .client = x->want.client,
                           .status = failed ? failed_status(x) : 0,
                           .why = failed ? why_of(x) : NULL,
                           .error = x->why_rv};
}

/* A rough mean: that two threads may overwrite each other's does not matter. */
static void learn_first_byte(const abl_exchange_t *x)
{
    _Atomic int64_t *mean = &x->balancer->first_bytes[x->member];
    int64_t before = atomic_load_explicit(mean, memory_order_relaxed);

    if (x->first_byte_at != 0) {
        atomic_store_explicit(mean, before + (x->first_byte_at - x->taken_at - before) / 8,
                              memory_order_relaxed);
    }
}

static void give_lease(abl_exchange_t *x, const abl_outcome_t *outcome)
{
    if (x->leased) {
        x->leased = false;
        learn_first_byte(x);
        abl_ledger_give(x->balancer->ledger, x->member, outcome);
    }
}

void abl_release_remember(abl_exchange_t *x)
{
    x->what = what_of(x, true);
}

void abl_release_connecting(abl_exchange_t *x)
{
    if (x->connecting) {
        x->connecting = false;
        atomic_fetch_sub(&x->balancer->connecting[x->member], 1);
    }
}

void abl_release_early(abl_exchange_t *x)
{
    abl_outcome_t outcome = outcome_of(x);

    if (!x->keep || x->balancer->pools[x->member] == NULL) {
        give_lease(x, &outcome);
    }
}

void abl_release(abl_exchange_t *x, bool keep)
{
    abl_outcome_t outcome = outcome_of(x);

    if (x->ticket != NULL) {
        abl_ledger_leave(x->balancer->ledger, &x->ticket);
    }
    abl_release_connecting(x);
    /* The connection first: the next request must not find the member occupied by it. */
    if (x->conn != NULL) {
        abl_pool_t *pool = x->balancer->pools[x->member];
        if (keep && pool != NULL) {
            abl_pool_put(pool, &x->conn, x->now);
        } else {
            abl_conn_close(&x->conn);
        }
    }
    give_lease(x, &outcome);
    x->member = -1;
}
