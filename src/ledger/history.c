/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of samples.
 */
#include "ledger/history.h"

#include "ledger/layout.h"

void abl_history_add(abl_segment_t *segment, int balancer, const abl_sample_t *sample,
                     const abl_percentiles_t *minute_took, const abl_percentiles_t *minute_wait,
                     apr_int64_t now)
{
    abl_history_row_t *h = &segment->histories[balancer];
    uint64_t ever = atomic_load_explicit(&h->ever, memory_order_relaxed);

    h->samples[ever % ABL_SAMPLES] = *sample;
    h->minute_took = *minute_took;
    h->minute_wait = *minute_wait;
    h->end = now;
    atomic_store_explicit(&h->ever, ever + 1, memory_order_release);
}

bool abl_history_is_empty(const abl_segment_t *segment, int balancer)
{
    return atomic_load_explicit(&segment->histories[balancer].ever, memory_order_relaxed) == 0;
}

void abl_history_read(const abl_segment_t *segment, int balancer, abl_history_t *history)
{
    const abl_history_row_t *h = &segment->histories[balancer];
    uint64_t ever = atomic_load_explicit(&h->ever, memory_order_acquire);
    int i;

    history->ever = ever;
    history->end = h->end;
    history->minute_took = h->minute_took;
    history->minute_wait = h->minute_wait;
    history->n = ever < ABL_SAMPLES ? (int)ever : ABL_SAMPLES;
    for (i = 0; i < history->n; i++) {
        history->samples[i] = h->samples[(ever - (uint64_t)history->n + (uint64_t)i) % ABL_SAMPLES];
    }
}

void abl_history_clear(abl_segment_t *segment, uint32_t balancer)
{
    static const abl_percentiles_t nothing = {ABL_SAMPLE_NOTHING, ABL_SAMPLE_NOTHING, ABL_SAMPLE_NOTHING};
    abl_history_row_t *h = &segment->histories[balancer];

    h->minute_took = h->minute_wait = nothing;
    atomic_store_explicit(&h->ever, 0, memory_order_release);
}
