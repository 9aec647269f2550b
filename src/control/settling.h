/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a name has been found to stand for to its rows in the ledger: who gets which slot, what has come
 * and gone, and what is said about it.
 */
#ifndef ABL_CONTROL_SETTLING_H
#define ABL_CONTROL_SETTLING_H

#include "control/name.h"
#include "ledger/settle.h"

/* Of one name. The first three are the caller's to set. */
typedef struct abl_settling_t {
    abl_segment_t *segment;
    const abl_child_t *child;
    abl_name_conf_t conf;  /* its texts are the caller's, and may be others after each change */
    bool answered;         /* somebody has been found there once */
    bool crowded;          /* there were more than there was room for, and it was said */
    uint64_t signature;    /* of the last answer, whatever its order; 0: none */
    int n;                 /* in `found` */
    abl_occupant_t *found; /* the last answer, as far as there is room; owned */
} abl_settling_t;

/* Finds out what the ledger knows from before. False: no memory. *pending: some of it waits to be settled. */
bool abl_settling_begin(abl_settling_t *settling, bool *pending);

/* Frees; the rows are the configuration's. */
void abl_settling_end(abl_settling_t *settling);

/* A name without slots is at these addresses. `loud`: whoever reads the log waits for it. */
void abl_settling_hosts(abl_settling_t *settling, const abl_ip_t *ips, int n, bool loud);

/* These are to be in the slots; who comes first is preferred where there are too few. */
void abl_settling_slots(abl_settling_t *settling, const abl_occupant_t *found, int n, bool loud);

/* The rows may be others now, or have forgotten: the last answer once more. */
void abl_settling_again(abl_settling_t *settling);

/* Nobody has ever been found. */
void abl_settling_vacate(abl_settling_t *settling);

#endif
