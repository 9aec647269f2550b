/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request that has ended teaches about its member: the numbers of a candidate, brought up to date.
 * For the ledger, which then also sets traffic_at and latency_at to `now`.
 */
#ifndef ABL_BALANCE_LEARN_H
#define ABL_BALANCE_LEARN_H

#include "balance/decay.h"

#include <stdbool.h>

#define ABL_FAILURE_LATENCY APR_INT64_C(5000000)      /* µs; what a failure costs at least */
#define ABL_FAILURE_LATENCY_MAX APR_INT64_C(60000000) /* to where failure after failure may drive it */

/* Bytes both ways. */
static inline apr_uint64_t abl_traffic_learn(apr_uint64_t old, apr_int64_t old_at, apr_int64_t now,
                                             apr_uint64_t bytes)
{
    apr_uint64_t left = abl_decay(old, now - old_at, ABL_HALF_LIFE);

    return left + bytes < left ? APR_UINT64_MAX : left + bytes;
}

/* Bytes of one request: an eighth of the way to each new one. 0 means none yet, so it is never 0 again. */
static inline apr_uint64_t abl_mean_learn(apr_uint64_t old, apr_uint64_t bytes)
{
    apr_uint64_t mean = bytes > old ? old + (bytes - old) / 8 : old - (old - bytes) / 8;

    if (old == 0) {
        mean = bytes;
    }
    return mean > 0 ? mean : 1;
}

/* A failure is charged as a slow answer, or a member that fails fast would look like the best of all. */
static inline apr_int64_t abl_latency_of_failure(apr_uint64_t latency, apr_int64_t sample)
{
    apr_int64_t charge = ABL_FAILURE_LATENCY_MAX;

    if (latency < (apr_uint64_t)ABL_FAILURE_LATENCY_MAX / 2) {
        charge = 2 * (apr_int64_t)latency;
    }
    if (charge < ABL_FAILURE_LATENCY) {
        charge = ABL_FAILURE_LATENCY;
    }
    return charge > sample ? charge : sample;
}

/* Latency as peak EWMA. What is slower than what is left of the old value counts at once. What is faster
 * takes away, on top of what time has taken, as much of the distance to it: a good answer teaches more than
 * silence does. `sample` below 0: the request has ended without an answer. 0 means none yet; once there was
 * one it is never 0 again. */
static inline apr_uint64_t abl_latency_learn(apr_uint64_t old, apr_int64_t old_at, apr_int64_t now,
                                             apr_int64_t sample, bool failed)
{
    apr_uint64_t left = abl_decay(old, now - old_at, ABL_HALF_LIFE);
    apr_uint64_t taken;

    if (failed) {
        sample = abl_latency_of_failure(left, sample);
    }
    if (sample < 0) {
        return old > 0 && left == 0 ? 1 : left;
    }
    taken = sample > 0 ? (apr_uint64_t)sample : 1;
    return taken >= left ? taken : taken + abl_decay(left - taken, now - old_at, ABL_HALF_LIFE);
}

#endif
