/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's past.
 */
#include "ledger/chronicle.h"

#include "base/clock.h"
#include "ledger/rebuild.h"

#include <apr_strings.h>
#include <string.h>

void abl_chronicle_latency(abl_segment_t *segment, uint32_t row, int64_t latency)
{
    if (latency >= 0) {
        abl_latency_count(&segment->chronicles[row].latencies, latency);
    }
}

void abl_chronicle_failure(abl_segment_t *segment, uint32_t row, const char *why, int error, int64_t now)
{
    abl_chronicle_row_t *c = &segment->chronicles[row];
    abl_failure_t *failure = &c->failures[c->nfailures % ABL_FAILURES_KEPT];

    failure->at = now;
    failure->error = error;
    apr_cpystrn(failure->why, why, sizeof(failure->why));
    c->nfailures++;
}

void abl_chronicle_outcome(abl_segment_t *segment, uint32_t row, const abl_outcome_t *outcome, int64_t now)
{
    char why[ABL_FAILURE_WHY];

    if (outcome->status == 0) {
        abl_chronicle_failure(segment, row, outcome->why != NULL ? outcome->why : "a request has failed",
                              outcome->error, now);
        return;
    }
    (void)apr_snprintf(why, sizeof(why), "it has answered %d", outcome->status);
    abl_chronicle_failure(segment, row, why, 0, now);
}

void abl_chronicle_note(const abl_gate_t *gate, const char *why, int error)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return;
    }
    row = abl_gate_find(gate);
    if (row != 0) {
        abl_chronicle_failure(gate->segment, row, why, error, abl_clock_now());
    }
    abl_leave(gate->segment);
}

void abl_chronicle_reset(abl_segment_t *segment, uint32_t row)
{
    abl_chronicle_row_t *c = &segment->chronicles[row];

    memset(&c->latencies, 0, sizeof(c->latencies));
    c->nfailures = 0;
}

void abl_chronicle_clear(abl_segment_t *segment, uint32_t row)
{
    memset(&segment->chronicles[row], 0, sizeof(segment->chronicles[row]));
}
