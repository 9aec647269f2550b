/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rest of the ledger asks about members that administrators have changed (steer.h). Inside the lock.
 */
#ifndef ABL_LEDGER_STEERED_H
#define ABL_LEDGER_STEERED_H

#include "ledger/layout.h"
#include "ledger/steer.h"

/* The configuration says this about a member: sets its status, weight and limit, unless somebody has changed
 * them and it says what it said then. */
void abl_steered_configure(abl_segment_t *segment, uint32_t row, const abl_member_conf_t *conf, bool is_new);

/* These bits of what somebody has changed are lost: for the journal. */
void abl_steered_note_loss(abl_segment_t *segment, uint32_t row, unsigned lost);

/* From now on so many requests at once. */
static inline void abl_row_limit(abl_row_t *row, uint32_t limit)
{
    row->c.limit = limit;
    row->allowed = limit;
    row->ceiling = limit != 0 && row->c.busy > limit ? row->c.busy : 0;
}

#endif
