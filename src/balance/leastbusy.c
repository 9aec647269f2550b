/* SPDX-License-Identifier: Apache-2.0
 *
 * Fewest requests per weight, rotation among equals.
 */
#include "balance/methods.h"
#include "balance/wrr.h"

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    apr_uint64_t costs[ABL_MEMBERS_MAX];
    int i;

    (void)request;
    for (i = 0; i < n; i++) {
        costs[i] = abl_load(&candidates[i]);
    }
    return abl_wrr_pick(candidates, n, costs);
}

const abl_method_t abl_method_leastbusy = {.name = "leastbusy", .pick = pick};
