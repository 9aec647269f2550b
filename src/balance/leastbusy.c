/* SPDX-License-Identifier: Apache-2.0
 *
 * Fewest requests per weight, rotation among equals.
 */
#include "balance/methods.h"
#include "balance/wrr.h"

#include <stddef.h>

static int pick(abl_candidate_t *candidates, int n)
{
    const abl_candidate_t *best = NULL;
    int i;

    for (i = 0; i < n; i++) {
        if (candidates[i].usable && (best == NULL || abl_wrr_less_busy(&candidates[i], best))) {
            best = &candidates[i];
        }
    }
    return best == NULL ? -1 : abl_wrr_pick(candidates, n, best);
}

const abl_method_t abl_method_leastbusy = {"leastbusy", pick};
