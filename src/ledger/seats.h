/* SPDX-License-Identifier: Apache-2.0
 *
 * Seats: who is in them, and what happens when they die.
 */
#ifndef ABL_LEDGER_SEATS_H
#define ABL_LEDGER_SEATS_H

#include "ledger/rebuild.h"

/* Takes the seat that is kept for this process, or a free one: sets child->seat and child->turn. False: there
 * is none. Not inside. */
bool abl_seats_take(abl_child_t *child);

/* Frees the seat if it is still in the turn of whoever died: leases are handed on, tickets go. Not inside.
 * `child`: the caller's own, NULL in the parent. */
void abl_seats_reap(abl_segment_t *segment, const abl_child_t *child, uint32_t seat, uint32_t turn);

#endif
