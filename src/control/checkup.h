/* SPDX-License-Identifier: Apache-2.0
 *
 * Active checks (BalancerHealthCheck): who is due, and what follows from a check that has passed or failed.
 *
 * Each member that is checked has a round of its own: at its interval while it is well, at least once a
 * second while it is not, and several times a second while nobody can be reached there. A member whose
 * concurrency is limited is checked when it has a place for that, so that the limit holds; while it has none
 * it is at work, which is not being ill.
 *
 * Only the control process calls these functions. None of them waits.
 */
#ifndef ABL_CONTROL_CHECKUP_H
#define ABL_CONTROL_CHECKUP_H

#include "control/check.h"
#include "control/remnant.h"
#include "ledger/health.h"

typedef struct abl_checkup_entry_t abl_checkup_entry_t;

typedef struct abl_checkup_t {
    /* the caller's to set */
    abl_segment_t *segment;
    const abl_child_t *child;
    /* Tells that a descriptor is to be watched, edge-triggered and both ways, for abl_checkup_ready(), if it
     * is not already; it is closed when it is not needed any more. */
    void (*watch)(void *ctx, int fd, uint32_t row);
    void *ctx;
    /* private */
    abl_checkup_entry_t **entries; /* by row of the ledger; NULL: not begun */
    uint32_t used;                 /* no row above has an entry */
    abl_remnants_t remnants;
} abl_checkup_t;

/* False: no memory. */
bool abl_checkup_begin(abl_checkup_t *checkup);

/* The configuration is another one: targets of before are gone, and what is under way is given up. */
void abl_checkup_reset(abl_checkup_t *checkup);

/* What is known of the member in this row now; `target` NULL, or without a check: it is not checked. */
void abl_checkup_look(abl_checkup_t *checkup, uint32_t row, const abl_health_view_t *view,
                      const abl_target_t *target, int64_t now);

/* There is no member in this row any more. */
void abl_checkup_forget(abl_checkup_t *checkup, uint32_t row);

/* Something has happened to this row's descriptor. */
void abl_checkup_ready(abl_checkup_t *checkup, uint32_t row, int64_t now);

/* Begins what is due, and ends what takes too long. Returns when to call again; INT64_MAX: no need to. */
int64_t abl_checkup_work(abl_checkup_t *checkup, int64_t now);

#endif
