/* SPDX-License-Identifier: Apache-2.0
 *
 * Handing leases to those who wait, and telling them. All of it inside the lock.
 *
 * What holds whenever the lock is released: nobody waits for a member that has room and that he may use. So a
 * request that finds a member with room takes it from nobody.
 */
#ifndef ABL_LEDGER_GRANT_H
#define ABL_LEDGER_GRANT_H

#include "ledger/pick.h"
#include "ledger/queue.h"

/* `child`: the caller's own, so that its requests are told without a detour; NULL in the parent. */

/* A member may have room now: the oldest requests that may use it get it. */
void abl_grant_row(abl_segment_t *segment, const abl_child_t *child, uint32_t row);

/* Anything may have changed about this balancer's members: who waits for one that is out of use waits for
 * the others from now on, who has nobody left to wait for is refused, and who can be served is. */
void abl_grant_balancer(abl_segment_t *segment, const abl_child_t *child, uint32_t balancer);

/* Tells the owner of a ticket that there is something to collect. */
void abl_grant_tell(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket);

/* Rings the bell of who looks after members (health.h). */
void abl_grant_ring(const abl_segment_t *segment);

/* Wakes the thread of another child. */
void abl_grant_wake(const abl_segment_t *segment, uint32_t seat);

/* Wakes all others, empty seats too: who sits down there reads the bell first. Inside. */
void abl_grant_wake_others(const abl_segment_t *segment, uint32_t but);

/* A ticket is not wanted any more: a lease that it holds is handed on. */
void abl_grant_drop(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket);

/* Whoever waits and has tried this member may try it again: it is another one, or works again. */
void abl_grant_forget_tries(abl_segment_t *segment, uint32_t row);

/* Is it in the configuration, or in that of a child that is still there? */
bool abl_grant_is_known(const abl_segment_t *segment, uint32_t row);

/* A member without requests that no child knows any more is forgotten. */
void abl_grant_forget(abl_segment_t *segment, uint32_t row);

static inline abl_asker_t abl_grant_asker(const abl_place_row_t *ticket)
{
    abl_asker_t asker = {.balancer = ticket->balancer,
                         .generation = ticket->generation,
                         .tried = ticket->tried.n > 0 ? &ticket->tried : NULL};

    return asker;
}

#endif
