/* SPDX-License-Identifier: Apache-2.0
 *
 * What is remembered of a member for those who look: how long its answers took, and its last failures.
 */
#ifndef ABL_LEDGER_CHRONICLE_H
#define ABL_LEDGER_CHRONICLE_H

#include "ledger/gate.h"

#define ABL_FAILURES_KEPT 3
#define ABL_FAILURE_WHY 120 /* bytes of a reason */

typedef struct abl_failure_t {
    int64_t at; /* abl_clock_now() */
    int error;  /* an errno or one of APR's that says more; 0: none does */
    char why[ABL_FAILURE_WHY];
} abl_failure_t;

/* Inside the ledger's lock, all of them. */

/* A request's first byte took so long, µs; below 0: there was none. */
void abl_chronicle_latency(abl_segment_t *segment, uint32_t row, int64_t latency);

/* It has failed; why and error as above. */
void abl_chronicle_failure(abl_segment_t *segment, uint32_t row, const char *why, int error, int64_t now);

/* A request has failed there. */
void abl_chronicle_outcome(abl_segment_t *segment, uint32_t row, const abl_outcome_t *outcome, int64_t now);

/* Somebody else is there now. */
void abl_chronicle_clear(abl_segment_t *segment, uint32_t row);

/* Statistics begin anew; who has changed the member by hand is remembered. */
void abl_chronicle_reset(abl_segment_t *segment, uint32_t row);

/* From outside the lock: a member has failed in another way than with a request. */
void abl_chronicle_note(const abl_gate_t *gate, const char *why, int error);

#endif
