/* SPDX-License-Identifier: Apache-2.0
 *
 * From counters that only grow to what happened in the last seconds.
 */
#include "control/sampler.h"

#include "base/clock.h"
#include "engine/ends.h"
#include "ledger/view.h"

#include <stdlib.h>
#include <string.h>

static abl_percentiles_t percentiles_of(const abl_latency_t *latency)
{
    if (latency->n == 0) {
        return (abl_percentiles_t){ABL_SAMPLE_NOTHING, ABL_SAMPLE_NOTHING, ABL_SAMPLE_NOTHING};
    }
    return (abl_percentiles_t){(apr_uint32_t)abl_latency_percentile(latency, 50),
                               (apr_uint32_t)abl_latency_percentile(latency, 90),
                               (apr_uint32_t)abl_latency_percentile(latency, 99)};
}

/* A counter that was set to nothing meanwhile has grown from there. */
static uint64_t grown(apr_uint64_t before, apr_uint64_t now)
{
    return now >= before ? now - before : now;
}

static void take_steps(const apr_uint64_t *before, const apr_uint64_t *now, abl_latency_t *latency)
{
    int i;

    latency->n = 0;
    for (i = 0; i < ABL_LATENCY_STEPS; i++) {
        latency->steps[i] = (uint32_t)grown(before[i], now[i]);
        latency->n += latency->steps[i];
    }
}

static abl_percentiles_t of_a_minute(const abl_latency_t *ring)
{
    abl_latency_t all = {.n = 0};
    int i, j;

    for (i = 0; i < ABL_MINUTE; i++) {
        all.n += ring[i].n;
        for (j = 0; j < ABL_LATENCY_STEPS; j++) {
            all.steps[j] += ring[i].steps[j];
        }
    }
    return percentiles_of(&all);
}

static void count_ends(const abl_tally_t *before, const abl_tally_t *now, abl_sample_t *sample)
{
    unsigned end;
    int class;

    for (end = 0; end < ABL_TALLY_ENDS; end++) {
        for (class = 0; class < ABL_TALLY_CLASSES; class ++) {
            uint32_t n = (uint32_t)grown(before->ended[end][class], now->ended[end][class]);
            sample->requests += n;
            sample->errors += abl_end_is_error(end, class) ? n : 0;
        }
    }
}

/* Its place has another balancer now, of which there is no sample: what was known is of the one before. */
static void forget_other(const abl_sampler_t *sampler, int balancer, abl_sampled_t *s)
{
    if (s->added && abl_history_is_empty(sampler->segment, balancer)) {
        memset(s, 0, sizeof(*s));
    }
}

static void sample_balancer(abl_sampler_t *sampler, int balancer, abl_sampled_t *s, apr_int64_t wall)
{
    int turn = (int)(sampler->turns % ABL_MINUTE);
    abl_percentiles_t took, wait;
    abl_sample_t sample = {.requests = 0};
    abl_tally_t now;

    forget_other(sampler, balancer, s);
    abl_tally_read(sampler->segment, balancer, &now);
    if (s->begun) {
        take_steps(s->last.took, now.took, &s->took[turn]);
        take_steps(s->last.waits, now.waits, &s->waits[turn]);
        count_ends(&s->last, &now, &sample);
        sample.took = percentiles_of(&s->took[turn]);
        sample.wait = percentiles_of(&s->waits[turn]).p99;
        abl_view_load(sampler->segment, sampler->child, balancer, &sample.queue, &sample.busy);
        took = of_a_minute(s->took);
        wait = of_a_minute(s->waits);
        abl_history_add(sampler->segment, balancer, &sample, &took, &wait, wall);
        s->added = true;
    }
    s->begun = true;
    s->last = now;
}

int64_t abl_sampler_work(abl_sampler_t *sampler, int64_t now, apr_int64_t wall)
{
    int i;

    if (now < sampler->due) {
        return sampler->due;
    }
    for (i = 1; i <= abl_view_balancers(sampler->segment); i++) {
        if (sampler->balancers[i] == NULL) {
            sampler->balancers[i] = calloc(1, sizeof(abl_sampled_t));
        }
        if (sampler->balancers[i] != NULL) {
            sample_balancer(sampler, i, sampler->balancers[i], wall);
        }
    }
    sampler->turns++;
    sampler->due = now + ABL_SAMPLE_SECONDS * ABL_SECOND;
    return sampler->due;
}
