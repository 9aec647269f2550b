/* SPDX-License-Identifier: Apache-2.0
 *
 * Seats: who is in them, and what happens when they die.
 */
#ifndef ABL_LEDGER_SEATS_H
#define ABL_LEDGER_SEATS_H

#include "ledger/rebuild.h"

/* Takes a free seat for this process. 0: there is none. Not inside. */
uint32_t abl_seats_take(abl_segment_t *segment);

/* Frees the seat if it is still this process's that died: leases are handed on, tickets go. Not inside.
 * `child`: the caller's own, NULL in the parent. */
void abl_seats_reap(abl_segment_t *segment, const abl_child_t *child, uint32_t seat, pid_t pid);

#endif
