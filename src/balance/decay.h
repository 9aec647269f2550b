/* SPDX-License-Identifier: Apache-2.0
 *
 * Forgetting: a number of which only a half counts each half life later. Integers only, because it runs
 * inside the ledger's lock and must give every process the same.
 */
#ifndef ABL_BALANCE_DECAY_H
#define ABL_BALANCE_DECAY_H

#include <apr.h>

#define ABL_HALF_LIFE APR_INT64_C(10000000) /* µs, of traffic and latency */

#define ABL_DECAY_BITS 24 /* of a fraction of a half life: of 10 s, less than 1 µs */

/* value × part / whole for part <= whole < 2^39, rounded down; never overflows. */
static inline apr_uint64_t abl_decay_share(apr_uint64_t value, apr_int64_t part, apr_int64_t whole)
{
    apr_uint64_t fraction = ((apr_uint64_t)part << ABL_DECAY_BITS) / (apr_uint64_t)whole;
    apr_uint64_t low = value & ((APR_UINT64_C(1) << ABL_DECAY_BITS) - 1);

    return (value >> ABL_DECAY_BITS) * fraction + ((low * fraction) >> ABL_DECAY_BITS);
}

/* What is left of `value` after `elapsed` µs: halved for each whole half life (at most 2^39 µs), and on a
 * straight line in between. Never rises with time. Rounded down, so that a value that is looked at and
 * written back every few µs goes down all the same. */
static inline apr_uint64_t abl_decay(apr_uint64_t value, apr_int64_t elapsed, apr_int64_t half_life)
{
    apr_int64_t halvings, rest;
    apr_uint64_t half, lost;

    if (elapsed <= 0 || value == 0) {
        return value; /* below 0: another process was here a moment ago */
    }
    halvings = elapsed / half_life;
    rest = elapsed % half_life;
    if (halvings > 63) {
        return 0;
    }
    value >>= halvings;
    half = value - value / 2;
    lost = abl_decay_share(half, rest, half_life);
    return value - lost - (rest > 0 && lost < half);
}

#endif
