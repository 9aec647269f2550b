/* SPDX-License-Identifier: Apache-2.0
 *
 * When is an answer late enough for a second try beside the first, and how many of those may there be? Both
 * are known for a balancer's requests of all processes together.
 *
 * Child; any thread.
 */
#ifndef ABL_LEDGER_HEDGE_H
#define ABL_LEDGER_HEDGE_H

#include "ledger/ledger.h"

#define ABL_HEDGE_BURST 10 /* second tries that may be saved up */

/* So long after a lease was taken its request's first byte is late, µs; INT64_MAX: it never is, or too little
 * is known yet. Outside the lock: a moment late does no harm. */
int64_t abl_hedge_after(const abl_ledger_t *ledger);

/* May there be another second try? True: it has been counted. */
bool abl_hedge_spend(abl_ledger_t *ledger);

/* Nothing came of the one that was counted: another request may have it. */
void abl_hedge_return(abl_ledger_t *ledger);

#endif
