/* SPDX-License-Identifier: Apache-2.0
 *
 * Smooth weighted round robin over a subset of the candidates.
 */
#include "balance/wrr.h"

#include <stddef.h>

int abl_wrr_pick(abl_candidate_t *candidates, int n, const abl_candidate_t *best)
{
    /* *best is one of the candidates, but only credit is written here, so it stays comparable. */
    apr_int64_t total = 0;
    int richest = -1;
    int i;

    for (i = 0; i < n; i++) {
        abl_candidate_t *c = &candidates[i];
        if (!c->usable || (best != NULL && abl_wrr_less_busy(best, c))) {
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
