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

/* The configuration has this member now, which somebody has added: what was added gives way. After all of it
 * was entered. */
void abl_steered_give_way(abl_segment_t *segment, uint32_t row);

#endif
