/* SPDX-License-Identifier: Apache-2.0
 *
 * Every few seconds: what has ended since the last time becomes one sample of each balancer's history
 * (ledger/history.h). The control process's; after its death its successor begins with a sample that says
 * nothing.
 */
#ifndef ABL_CONTROL_SAMPLER_H
#define ABL_CONTROL_SAMPLER_H

#include "ledger/history.h"
#include "ledger/tally.h"

#define ABL_MINUTE (60 / ABL_SAMPLE_SECONDS) /* samples */

/* What the sampler knows of one balancer. */
typedef struct abl_sampled_t {
    bool begun; /* `last` is known */
    bool added; /* a sample, to its history */
    abl_tally_t last;
    abl_latency_t took[ABL_MINUTE], waits[ABL_MINUTE]; /* rings */
} abl_sampled_t;

typedef struct abl_sampler_t {
    abl_segment_t *segment;
    const abl_child_t *child;
    int64_t due; /* the next sample; 0: at once */
    uint64_t turns;
    abl_sampled_t *balancers[ABL_LEDGER_BALANCERS + 1];
} abl_sampler_t;

/* Does what is due. Returns when to call again, abl_clock_now()'s scale. `wall`: seconds since 1970. */
int64_t abl_sampler_work(abl_sampler_t *sampler, int64_t now, apr_int64_t wall);

#endif
