/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting by relaxed additions. Few of them: a line of memory that two processors write costs more than the
 * addition, so what always goes together is one number (how a request ended, and with what status).
 */
#include "ledger/tally.h"

#include "ledger/layout.h"

static void add(_Atomic uint64_t *to, uint64_t n)
{
    if (n != 0) {
        atomic_fetch_add_explicit(to, n, memory_order_relaxed);
    }
}

static unsigned class_of(int status)
{
    unsigned first = (unsigned)status / 100;

    return first < ABL_TALLY_CLASSES ? first : 0;
}

void abl_tally_count(abl_ledger_t *ledger, const abl_tally_event_t *event)
{
    abl_tally_row_t *t = &ledger->segment->tallies[ledger->balancer];

    if (ledger->balancer == 0 || event->end >= ABL_TALLY_ENDS) {
        return; /* the segment was full */
    }
    add(&t->ended[event->end][class_of(event->status)], 1);
    add(&t->out, event->out);
    add(&t->in, event->in);
    if (event->took >= 0) {
        add(&t->took_sum, (uint64_t)event->took);
        add(&t->took[abl_latency_step(event->took)], 1);
    }
    if (event->waited >= 0) {
        add(&t->waited, 1);
        add(&t->waits_sum, (uint64_t)event->waited);
        add(&t->waits[abl_latency_step(event->waited)], 1);
    }
    add(&t->retries, event->retries);
    add(&t->hedged, event->hedged);
}

static uint64_t get(const _Atomic uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void read_steps(const _Atomic uint64_t *from, apr_uint64_t *to)
{
    int i;

    for (i = 0; i < ABL_LATENCY_STEPS; i++) {
        to[i] = get(&from[i]);
    }
}

void abl_tally_read(const abl_segment_t *segment, int balancer, abl_tally_t *tally)
{
    const abl_tally_row_t *t = &segment->tallies[balancer];
    int i, j;

    for (i = 0; i < ABL_TALLY_ENDS; i++) {
        for (j = 0; j < ABL_TALLY_CLASSES; j++) {
            tally->ended[i][j] = get(&t->ended[i][j]);
        }
    }
    tally->waited = get(&t->waited);
    tally->retries = get(&t->retries);
    tally->hedged = get(&t->hedged);
    tally->in = get(&t->in);
    tally->out = get(&t->out);
    tally->took_sum = get(&t->took_sum);
    tally->waits_sum = get(&t->waits_sum);
    read_steps(t->took, tally->took);
    read_steps(t->waits, tally->waits);
}

/* Not in one step: whoever ends just then may be counted a little, which is as good as before or after. */
void abl_tally_clear(abl_segment_t *segment, uint32_t balancer)
{
    _Atomic uint64_t *at = (_Atomic uint64_t *)(void *)&segment->tallies[balancer];
    size_t i;

    for (i = 0; i < sizeof(abl_tally_row_t) / sizeof(*at); i++) {
        atomic_store_explicit(&at[i], 0, memory_order_relaxed);
    }
}
