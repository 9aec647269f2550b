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

/* Members that have not answered yet are taken for average, so that a newcomer gets its share and no more. */
static void find_latencies(const abl_candidate_t *candidates, int n, const abl_pick_t *request,
                           apr_uint64_t *latencies)
{
    apr_uint64_t sum = 0;
    int known = 0;
    int i;

    for (i = 0; i < n; i++) {
        latencies[i] = 0;
        if (candidates[i].latency > 0) {
            latencies[i] = latency_now(&candidates[i], request);
            sum += latencies[i];
            known++;
        }
    }
    for (i = 0; i < n; i++) {
        if (latencies[i] == 0) {
            latencies[i] = known > 0 ? sum / (apr_uint64_t)known : 1;
        }
    }
}

/* latency × (1 + load / weight), times the weight, which abl_wrr_pick() divides by. The 1 is not divided:
 * while nobody is busy, members of the same latency get shares by weight, and not the heaviest everything. */
static apr_uint64_t cost_of(const abl_candidate_t *c, apr_uint64_t latency)
{
    return latency * (smaller(c->weight, WEIGHT_MAX) + smaller(abl_load(c), LOAD_MAX) * WEIGHT_ONE);
}

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    apr_uint64_t costs[ABL_MEMBERS_MAX];
    int i;

    find_latencies(candidates, n, request, costs);
    for (i = 0; i < n; i++) {
        costs[i] = cost_of(&candidates[i], costs[i]);
    }
    return abl_wrr_pick(candidates, n, costs);
}

const abl_method_t abl_method_latency = {.name = "latency", .pick = pick};
