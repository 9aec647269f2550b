/* SPDX-License-Identifier: Apache-2.0
 *
 * The way into the segment and out of it.
 */
#ifndef ABL_LEDGER_REBUILD_H
#define ABL_LEDGER_REBUILD_H

#include "ledger/grant.h"

/* Takes the lock; if somebody died inside, all caches are made anew first. `child`: the caller's own, NULL in
 * the parent. False: this thread is inside already, because its process was told to exit there, or the
 * child's seat has gone to another process: nothing may be touched. What the process holds is given back when
 * it is dead, or by whoever has its seat now. */
bool abl_enter(abl_segment_t *segment, const abl_child_t *child);

void abl_leave(abl_segment_t *segment);

/* Makes a balancer's list of members anew: those that are listed, by set and order. Inside. */
void abl_rebuild_listing(abl_segment_t *segment, uint32_t balancer);

/* The same where nothing has changed but this row. Inside. */
void abl_rebuild_listing_with(abl_segment_t *segment, uint32_t row);

/* All of them. Inside. */
void abl_rebuild_listings(abl_segment_t *segment);

#endif
