/* SPDX-License-Identifier: Apache-2.0
 *
 * The rotation that methods share.
 */
#ifndef ABL_BALANCE_WRR_H
#define ABL_BALANCE_WRR_H

#include "mod_appbalance.h"

/* One turn of smooth weighted round robin among the usable candidates, or, when `best` is given, among
 * those of them that are as good as *best: busy per weight no greater. Returns the index, -1 for none. */
int abl_wrr_pick(abl_candidate_t *candidates, int n, const abl_candidate_t *best);

/* Is `a` less busy for its weight than `b`? Cross-multiplied: no division, no rounding. */
static inline int abl_wrr_less_busy(const abl_candidate_t *a, const abl_candidate_t *b)
{
    return (apr_uint64_t)a->busy * b->weight < (apr_uint64_t)b->busy * a->weight;
}

#endif
