/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rest of the ledger tells about answers, for second tries (hedge.h). All of it inside the lock.
 */
#ifndef ABL_LEDGER_LATENESS_H
#define ABL_LEDGER_LATENESS_H

#include "ledger/hedge.h"
#include "ledger/layout.h"

/* A request has taken a lease: a share of a second try is saved. */
static inline void abl_lateness_save(abl_balancer_row_t *b)
{
    if (b->hedge.percent > 0 && b->hedge_savings < ABL_HEDGE_BURST * 100) {
        b->hedge_savings += b->hedge.percent;
    }
}

/* A request's first byte took so long, µs; below 0: there was none. */
void abl_lateness_learn(abl_balancer_row_t *b, int64_t latency);

/* The configuration says when answers are late. */
void abl_lateness_configure(abl_balancer_row_t *b, const abl_hedge_conf_t *conf);

#endif
