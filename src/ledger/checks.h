/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of a member that somebody asks from time to time whether it is well.
 *
 * Only who looks after members (the control process) calls these functions, with a member named as in
 * gate.h. A member that is not known, or not checked, is no error: nothing happens.
 */
#ifndef ABL_LEDGER_CHECKS_H
#define ABL_LEDGER_CHECKS_H

#include "ledger/gate.h"

typedef enum abl_checks_change_t {
    ABL_CHECKS_SAME, /* it is used, or left out, as before */
    ABL_CHECKS_IN,   /* it is used from now on */
    ABL_CHECKS_OUT   /* it is left out, from now on or still */
} abl_checks_change_t;

/* A check has passed. Who was away is back at once, and who is new is used; who was unfit is fit after `rise`
 * of them in a row, and ABL_CHECKS_OUT before. */
abl_checks_change_t abl_checks_pass(const abl_gate_t *gate, unsigned rise);

/* A check has failed: after `fall` of them in a row it is unfit. */
abl_checks_change_t abl_checks_fail(const abl_gate_t *gate, unsigned fall);

/* A place at a member whose concurrency is limited, so that a check is not one request too many. Returns its
 * row, for abl_checks_give(); 0: there is none at this moment, it is busy. */
uint32_t abl_checks_take(const abl_gate_t *gate);

/* Gives the place back, or hands it on. */
void abl_checks_give(abl_segment_t *segment, const abl_child_t *child, uint32_t row);

#endif
