/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rest of the ledger asks about members that have failed (health.h). All of it inside the lock.
 */
#ifndef ABL_LEDGER_AILMENT_H
#define ABL_LEDGER_AILMENT_H

#include "ledger/layout.h"

/* A request has ended at this member. True: the member has been ejected for it, or has come back from its
 * trial: whoever waits has to be looked at, see abl_grant_balancer(). */
bool abl_ailment_learn(abl_segment_t *segment, uint32_t row, const abl_outcome_t *outcome, int64_t now);

/* Members whose time is over come back, and who waits for them is served. Costs nothing while there are none.
 * `child` as in grant.h. */
void abl_ailment_refresh(abl_segment_t *segment, const abl_child_t *child, uint32_t balancer);

/* May a request wait although everybody is away? Notes that one wants to. */
bool abl_ailment_may_wait(abl_segment_t *segment, uint32_t balancer);

/* The configuration says anew how this member starts, and with `now` it does: its weight and concurrency grow
 * from next to nothing, if it has slow-start=. */
void abl_ailment_start(abl_segment_t *segment, uint32_t row, bool now);

/* Somebody else sits at this address now: nothing is known of him. */
static inline void abl_ailment_forget(abl_segment_t *segment, uint32_t row)
{
    abl_ailment_t *a = &segment->rows[row].ailment;

    *a = (abl_ailment_t){.met = a->met};
}

#endif
