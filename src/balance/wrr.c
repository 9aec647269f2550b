/* SPDX-License-Identifier: Apache-2.0
 *
 * Smooth weighted round robin among the cheapest of the candidates.
 */
#include "balance/wrr.h"

#include <stddef.h>

/* a / weight_a < b / weight_b? Multiplied crosswise, without a rounding; the products have up to 96 bits, so
 * they are made in two parts. */
static int is_less(apr_uint64_t a, apr_uint32_t weight_a, apr_uint64_t b, apr_uint32_t weight_b)
{
    apr_uint64_t low_a = (a & 0xffffffffu) * weight_b, low_b = (b & 0xffffffffu) * weight_a;
    apr_uint64_t high_a = (a >> 32) * weight_b + (low_a >> 32), high_b = (b >> 32) * weight_a + (low_b >> 32);

    return high_a != high_b ? high_a < high_b : (low_a & 0xffffffffu) < (low_b & 0xffffffffu);
}

/* Index of one of the cheapest; -1: none is usable. */
static int find_cheapest(const abl_candidate_t *candidates, int n)
{
    int best = -1;
    int i;

    for (i = 0; i < n; i++) {
        const abl_candidate_t *c = &candidates[i];
        if (c->usable &&
            (best < 0 || is_less(c->cost, c->weight, candidates[best].cost, candidates[best].weight))) {
            best = i;
        }
    }
    return best;
}

/* Among those that cost no more than `best`; NULL: among all. */
static int take_turn(abl_candidate_t *candidates, int n, const abl_candidate_t *best)
{
    apr_int64_t total = 0;
    int richest = -1;
    int i;

    for (i = 0; i < n; i++) {
        abl_candidate_t *c = &candidates[i];
        if (!c->usable || (best != NULL && is_less(best->cost, best->weight, c->cost, c->weight))) {
            continue;
        }
        c->credit += c->weight;
        total += c->weight;
        if (richest < 0 || c->credit > candidates[richest].credit) {
            richest = i;
        }
    }
    if (richest >= 0) {
        candidates[richest].credit -= total;
    }
    return richest;
}

int abl_wrr_pick_cheapest(abl_candidate_t *candidates, int n)
{
    int best = find_cheapest(candidates, n);

    return best >= 0 ? take_turn(candidates, n, &candidates[best]) : -1;
}

int abl_wrr_pick(abl_candidate_t *candidates, int n)
{
    return take_turn(candidates, n, NULL);
}
