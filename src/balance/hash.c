/* SPDX-License-Identifier: Apache-2.0
 *
 * The member that the request's key belongs to, unless that has far more than its share of the load.
 */
#include "balance/methods.h"
#include "balance/rendezvous.h"
#include "balance/wrr.h"

/* What all usable members have together. */
typedef struct total_t {
    apr_uint64_t load;
    apr_uint64_t weight;
} total_t;

static total_t sum_up(const abl_candidate_t *candidates, int n)
{
    total_t total = {0, 0};
    int i;

    for (i = 0; i < n; i++) {
        if (candidates[i].usable) {
            total.load += abl_load(&candidates[i]);
            total.weight += candidates[i].weight;
        }
    }
    return total;
}

/* Would one request more be over 5/4 of its share of all, this one included? Never so for all members at
 * once. Exact: these products are whole numbers below 2^53, unless weights or loads are absurd. */
static int is_overloaded(const abl_candidate_t *c, const total_t *total)
{
    return 4.0 * (double)abl_load(c) * (double)total->weight >= 5.0 * ((double)total->load + 1) * c->weight;
}

static int pick_by_key(const abl_candidate_t *candidates, int n, apr_uint64_t key)
{
    total_t total = sum_up(candidates, n);
    abl_draw_t best = ABL_DRAW_NONE;
    int i;

    for (i = 0; i < n; i++) {
        if (candidates[i].usable && !is_overloaded(&candidates[i], &total)) {
            abl_rendezvous_draw(&best, i, candidates[i].id, candidates[i].weight, key);
        }
    }
    return best.who;
}

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    int picked = request->has_key ? pick_by_key(candidates, n, request->key) : -1;

    /* Without a key every member is as good; in a world of absurd numbers, too. */
    return picked >= 0 ? picked : abl_method_leastbusy.pick(candidates, n, request);
}

const abl_method_t abl_method_hash = {.name = "hash", .pick = pick, .takes_key = 1};
