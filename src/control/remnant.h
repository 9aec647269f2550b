/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of checks that nobody waits for any more, at members whose concurrency is limited: such a
 * member is still at work for the check, so its place stays taken until it has answered or closed, as it does
 * for requests (engine/orphans.h).
 *
 * Only the control process calls these functions. None of them waits.
 */
#ifndef ABL_CONTROL_REMNANT_H
#define ABL_CONTROL_REMNANT_H

#include "engine/conn.h"

typedef struct abl_remnant_t abl_remnant_t;

typedef struct abl_remnants_t {
    abl_segment_t *segment; /* the caller's to set, */
    const abl_child_t *child;
    abl_remnant_t *first; /* private */
} abl_remnants_t;

/* Takes over the connection, which is watched already, and the lease of this row. Without memory both are
 * given back at once. */
void abl_remnants_add(abl_remnants_t *remnants, abl_conn_t **conn, uint32_t row);

/* Is there one of this row? */
bool abl_remnants_has(const abl_remnants_t *remnants, uint32_t row);

/* Something has happened to a descriptor of this row. */
void abl_remnants_ready(abl_remnants_t *remnants, uint32_t row, int64_t now);

/* Nobody accepts connections there any more: whoever was at work is taken for dead. */
void abl_remnants_drop(abl_remnants_t *remnants, uint32_t row);

/* Ends those whose answer does not end. Returns when to call again; INT64_MAX: no need to. */
int64_t abl_remnants_work(abl_remnants_t *remnants, int64_t now);

#endif
