/* SPDX-License-Identifier: Apache-2.0
 *
 * Fewest bytes per weight, those of the requests under way included as far as they can be guessed.
 */
#include "balance/methods.h"
#include "balance/decay.h"
#include "balance/wrr.h"

/* More than any request has, and the sum of all members' still fits in. */
#define BYTES_MAX (APR_UINT64_C(1) << 52)

/* Bytes of a request as the members that know have it, for those that had none yet; at least 1, so that a
 * request always counts for something. */
static apr_uint64_t typical_bytes(const abl_candidate_t *candidates, int n)
{
    apr_uint64_t sum = 0;
    int known = 0;
    int i;

    for (i = 0; i < n; i++) {
        if (candidates[i].mean_bytes > 0) {
            sum += candidates[i].mean_bytes < BYTES_MAX ? candidates[i].mean_bytes : BYTES_MAX;
            known++;
        }
    }
    return known > 0 ? sum / (apr_uint64_t)known : 1;
}

/* a + b * c; what is too large is the largest number. */
static apr_uint64_t add_product(apr_uint64_t a, apr_uint64_t b, apr_uint64_t c)
{
    if (c > 0 && b > (APR_UINT64_MAX - a) / c) {
        return APR_UINT64_MAX;
    }
    return a + b * c;
}

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    apr_uint64_t typical = typical_bytes(candidates, n);
    int i;

    for (i = 0; i < n; i++) {
        abl_candidate_t *c = &candidates[i];
        apr_uint64_t past = abl_decay(c->traffic, request->now - c->traffic_at, ABL_HALF_LIFE);
        c->cost = add_product(past, abl_load(c), c->mean_bytes > 0 ? c->mean_bytes : typical);
    }
    return abl_wrr_pick_cheapest(candidates, n);
}

const abl_method_t abl_method_traffic = {.name = "traffic", .pick = pick};
