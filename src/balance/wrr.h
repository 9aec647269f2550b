/* SPDX-License-Identifier: Apache-2.0
 *
 * The choice that methods share: the cheapest for its weight, in turn among equals.
 */
#ifndef ABL_BALANCE_WRR_H
#define ABL_BALANCE_WRR_H

#include "mod_appbalance.h"

/* Requests that a member has, or will have as soon as it can. */
static inline apr_uint64_t abl_load(const abl_candidate_t *c)
{
    return (apr_uint64_t)c->busy + c->queued;
}

/* One turn of smooth weighted round robin among the usable candidates whose `cost` per weight is the least.
 * Returns the index, -1 for none. */
int abl_wrr_pick_cheapest(abl_candidate_t *candidates, int n);

/* Likewise among all usable ones. */
int abl_wrr_pick(abl_candidate_t *candidates, int n);

#endif
