/* SPDX-License-Identifier: Apache-2.0
 *
 * Lateness and the budget of second tries.
 */
#include "ledger/hedge.h"

#include "ledger/lateness.h"
#include "ledger/rebuild.h"

#define AT_LEAST 100 /* answers, before a percentile means something */
#define EVERY 32     /* answers it is made anew */

void abl_lateness_learn(abl_balancer_row_t *b, int64_t latency)
{
    if (b->hedge.percentile == 0 || latency < 0) {
        return;
    }
    abl_latency_count(&b->latencies, latency);
    if (b->latencies.n >= AT_LEAST && b->latencies.n % EVERY == 0) {
        atomic_store_explicit(&b->late_after, abl_latency_percentile(&b->latencies, b->hedge.percentile),
                              memory_order_relaxed);
    }
}

void abl_lateness_configure(abl_balancer_row_t *b, const abl_hedge_conf_t *conf)
{
    b->hedge = *conf;
    atomic_store(&b->late_after, conf->percentile == 0 ? conf->after
                                 : b->latencies.n >= AT_LEAST
                                     ? abl_latency_percentile(&b->latencies, conf->percentile)
                                     : 0);
}

int64_t abl_hedge_after(const abl_ledger_t *ledger)
{
    int64_t after =
        atomic_load_explicit(&ledger->segment->balancers[ledger->balancer].late_after, memory_order_relaxed);

    return after > 0 ? after : INT64_MAX;
}

bool abl_hedge_spend(abl_ledger_t *ledger)
{
    abl_balancer_row_t *b = &ledger->segment->balancers[ledger->balancer];
    bool may;

    if (!abl_enter(ledger->segment, ledger->child)) {
        return false;
    }
    may = b->hedge.percent >= 100 || (b->hedge.percent > 0 && b->hedge_savings >= 100);
    b->hedge_savings -= b->hedge_savings >= 100 && may ? 100 : 0;
    abl_leave(ledger->segment);
    return may;
}

void abl_hedge_return(abl_ledger_t *ledger)
{
    if (abl_enter(ledger->segment, ledger->child)) {
        ledger->segment->balancers[ledger->balancer].hedge_savings += 100;
        abl_leave(ledger->segment);
    }
}
