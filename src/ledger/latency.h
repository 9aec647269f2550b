/* SPDX-License-Identifier: Apache-2.0
 *
 * How long answers take, as a table of how many took how long: eight steps to each doubling, so a percentile
 * is at most an eighth too high. What is old counts less and less. Plain memory; whoever has it locks it.
 */
#ifndef ABL_LEDGER_LATENCY_H
#define ABL_LEDGER_LATENCY_H

#include <stdint.h>

#define ABL_LATENCY_STEPS 208 /* to 2^33 µs, more than two hours; all above are in the last one */

typedef struct abl_latency_t {
    uint32_t n; /* all together */
    uint32_t steps[ABL_LATENCY_STEPS];
} abl_latency_t;

/* Counts one that took so long, µs. Where there are many already, all of them count half from now on. */
void abl_latency_count(abl_latency_t *latency, int64_t took);

/* The step in which something is that took so long, µs. */
uint32_t abl_latency_step(int64_t took);

/* How long what is in this step took at most, µs. */
int64_t abl_latency_end(uint32_t step);

/* So many percent (1 to 99) took less than this, µs; 0 where there are none. */
int64_t abl_latency_percentile(const abl_latency_t *latency, uint32_t percent);

#endif
