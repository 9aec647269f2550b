/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at an instance that runs: is it ready, worn, stuck, idle? What is found is an event for its state
 * machine (instance.h); whoever calls tells it.
 */
#ifndef ABL_CONTROL_LOOK_H
#define ABL_CONTROL_LOOK_H

#include "control/supervised.h"

typedef struct abl_finding_t {
    abl_instance_event_t event;
    abl_leave_t why; /* goes with it */
    int64_t again;   /* ABL_EVENT_NONE: look again then; INT64_MAX: there is nothing to look at */
} abl_finding_t;

abl_finding_t abl_look_at(abl_supervised_t *app, int slot, int64_t now);

/* Lets requests go there, as many as its memory allows. */
void abl_look_open(abl_supervised_t *app, int slot);

/* May an instance be started at this slot's address? False: somebody or something else is there, which has
 * been said, and the slot is blocked for a while. */
bool abl_look_is_free(abl_supervised_t *app, int slot);

#endif
