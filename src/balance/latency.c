/* SPDX-License-Identifier: Apache-2.0
 *
 * The shortest expected wait: latency, once for this request and once for each ahead of it per weight.
 *
 * A latency fades while nothing new is learnt, so that a member that was slow once is tried again.
 */
#include "balance/methods.h"
#include "balance/decay.h"
#include "balance/wrr.h"

/* Beyond anything real, and so that the product below fits in 64 bits: 9 hours, a million requests. */
#define LATENCY_MAX ((APR_UINT64_C(1) << 35) - 1)
#define LOAD_MAX (APR_UINT64_C(1) << 20)
#define WEIGHT_ONE 100
#define WEIGHT_MAX (APR_UINT32_MAX / 32)

static apr_uint64_t smaller(apr_uint64_t a, apr_uint64_t b)
{
    return a < b ? a : b;
}

static apr_uint64_t latency_now(const abl_candidate_t *c, const abl_pick_t *request)
{
    apr_uint64_t latency = abl_decay(c->latency, request->now - c->latency_at, ABL_HALF_LIFE);

    return latency > 0 ? smaller(latency, LATENCY_MAX) : 1;
}

/* Each one's, as its cost. Members that have not answered yet are taken for average, so that a newcomer gets
 * its share and no more. */
static void find_latencies(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    apr_uint64_t sum = 0;
    int known = 0;
    int i;

    for (i = 0; i < n; i++) {
        candidates[i].cost = 0;
        if (candidates[i].latency > 0) {
            candidates[i].cost = latency_now(&candidates[i], request);
            sum += candidates[i].cost;
            known++;
        }
    }
    for (i = 0; i < n; i++) {
        if (candidates[i].cost == 0) {
            candidates[i].cost = known > 0 ? sum / (apr_uint64_t)known : 1;
        }
    }
}

/* latency × (1 + load / weight), times the weight, which abl_wrr_pick_cheapest() divides by. The 1 is not
 * divided: while nobody is busy, members of the same latency get shares by weight, and not the heaviest
 * everything. */
static apr_uint64_t cost_of(const abl_candidate_t *c, apr_uint64_t latency)
{
    return latency * (smaller(c->weight, WEIGHT_MAX) + smaller(abl_load(c), LOAD_MAX) * WEIGHT_ONE);
}

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    int i;

    find_latencies(candidates, n, request);
    for (i = 0; i < n; i++) {
        candidates[i].cost = cost_of(&candidates[i], candidates[i].cost);
    }
    return abl_wrr_pick_cheapest(candidates, n);
}

const abl_method_t abl_method_latency = {.name = "latency", .pick = pick};
