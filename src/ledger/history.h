/* SPDX-License-Identifier: Apache-2.0
 *
 * The last minutes of each balancer, one sample every few seconds, in a ring: for charts. One process writes
 * (the control process's sampler.h); whoever reads while it does may get a sample twice or half of one.
 */
#ifndef ABL_LEDGER_HISTORY_H
#define ABL_LEDGER_HISTORY_H

#include "ledger/ledger.h"

#define ABL_SAMPLE_SECONDS 5 /* from one to the next */
#define ABL_SAMPLES 120      /* that are kept */

#define ABL_SAMPLE_NOTHING UINT32_MAX /* there was nothing to measure */

/* Times in µs, ABL_SAMPLE_NOTHING where there were none. */
typedef struct abl_percentiles_t {
    apr_uint32_t p50, p90, p99;
} abl_percentiles_t;

typedef struct abl_sample_t {
    apr_uint32_t requests, errors; /* that have ended since the sample before */
    apr_uint32_t queue, busy;      /* now: requests that wait, and those at members */
    abl_percentiles_t took;        /* of those requests */
    apr_uint32_t wait;             /* the 99th percentile of what those waited that had to */
} abl_sample_t;

typedef struct abl_history_t {
    apr_uint64_t ever;                          /* samples that there were; the ring has the last of them */
    apr_int64_t end;                            /* when the last one was taken, seconds since 1970 */
    abl_percentiles_t minute_took, minute_wait; /* of the last minute */
    int n;
    abl_sample_t samples[ABL_SAMPLES]; /* the oldest first */
} abl_history_t;

/* The writer's. `balancer` is an index, as of view.h. `now`: seconds since 1970. */
void abl_history_add(abl_segment_t *segment, int balancer, const abl_sample_t *sample,
                     const abl_percentiles_t *minute_took, const abl_percentiles_t *minute_wait,
                     apr_int64_t now);

/* There was no sample yet since a balancer has got this index. Any process. */
bool abl_history_is_empty(const abl_segment_t *segment, int balancer);

/* Any process. */
void abl_history_read(const abl_segment_t *segment, int balancer, abl_history_t *history);

#endif
