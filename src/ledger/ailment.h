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

/* The configuration says anew whether this member is checked. */
void abl_ailment_check(abl_segment_t *segment, uint32_t row, bool is_new);

/* It works again: what it has failed at before does not count any more, and it may start slowly. The caller
 * takes the mark away that it was left out for, afterwards. */
void abl_ailment_back(abl_segment_t *segment, uint32_t row, int64_t now);

/* Somebody wants it left out until then, abl_clock_now(); and back, whatever it was left out for. */
void abl_ailment_eject(abl_segment_t *segment, uint32_t row, int64_t until);
void abl_ailment_pardon(abl_segment_t *segment, const abl_child_t *child, uint32_t row);

/* Somebody accepts connections there again: nothing if it was not away. */
void abl_ailment_return(abl_segment_t *segment, const abl_child_t *child, uint32_t row);

/* Somebody else sits at this address now: nothing is known of him. */
static inline void abl_ailment_forget(abl_segment_t *segment, uint32_t row)
{
    const abl_row_t *r = &segment->rows[row];
    bool unproven = segment->balancers[r->balancer].mandatory && !r->supervised;

    segment->rows[row].ailment = (abl_ailment_t){.met = r->ailment.met, .unproven = unproven};
}

#endif
