/* SPDX-License-Identifier: Apache-2.0
 *
 * Fewest requests per weight, rotation among equals.
 */
#include "balance/methods.h"
#include "balance/wrr.h"

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    int i;

    (void)request;
    for (i = 0; i < n; i++) {
        candidates[i].cost = abl_load(&candidates[i]);
    }
    return abl_wrr_pick_cheapest(candidates, n);
}

const abl_method_t abl_method_leastbusy = {.name = "leastbusy", .pick = pick};
