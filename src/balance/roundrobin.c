/* SPDX-License-Identifier: Apache-2.0
 *
 * Smooth weighted round robin.
 */
#include "balance/methods.h"
#include "balance/wrr.h"

static int pick(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    (void)request;
    return abl_wrr_pick(candidates, n);
}

const abl_method_t abl_method_roundrobin = {.name = "roundrobin", .pick = pick};
