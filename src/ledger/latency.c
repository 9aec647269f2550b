/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's steps: 0, 32, 64 … 224 µs, then eight from each power of two to the next.
 */
#include "ledger/latency.h"

#define STEPS_PER_DOUBLING 8
#define FIRST_DOUBLING 8 /* of 256 µs; the steps below are of 32 µs */
#define MANY 4096

uint32_t abl_latency_step(int64_t micros)
{
    uint64_t took = micros > 0 ? (uint64_t)micros : 0;
    uint32_t doubling, step;

    if (took < 1u << FIRST_DOUBLING) {
        return (uint32_t)(took / 32);
    }
    doubling = 63 - (uint32_t)__builtin_clzll(took);
    step = STEPS_PER_DOUBLING * (doubling - FIRST_DOUBLING + 1) + (uint32_t)(took >> (doubling - 3)) % 8;
    return step < ABL_LATENCY_STEPS ? step : ABL_LATENCY_STEPS - 1;
}

/* Where the step after this one begins. */
int64_t abl_latency_end(uint32_t step)
{
    uint32_t next = step + 1;
    uint32_t doubling;

    if (next < STEPS_PER_DOUBLING) {
        return (int64_t)next * 32;
    }
    doubling = next / STEPS_PER_DOUBLING - 1 + FIRST_DOUBLING;
    return (int64_t)(STEPS_PER_DOUBLING + next % STEPS_PER_DOUBLING) << (doubling - 3);
}

static void halve(abl_latency_t *latency)
{
    uint32_t i;

    latency->n = 0;
    for (i = 0; i < ABL_LATENCY_STEPS; i++) {
        latency->steps[i] /= 2;
        latency->n += latency->steps[i];
    }
}

void abl_latency_count(abl_latency_t *latency, int64_t took)
{
    if (latency->n >= MANY) {
        halve(latency);
    }
    latency->steps[abl_latency_step(took)]++;
    latency->n++;
}

int64_t abl_latency_percentile(const abl_latency_t *latency, uint32_t percent)
{
    uint64_t wanted = ((uint64_t)latency->n * percent + 99) / 100, seen = 0;
    uint32_t i;

    for (i = 0; i < ABL_LATENCY_STEPS && wanted > 0; i++) {
        seen += latency->steps[i];
        if (seen >= wanted) {
            return abl_latency_end(i);
        }
    }
    return 0;
}
