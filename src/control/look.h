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

/* Looks at this slot's instance, if it is starting, ready or draining, and measures it when that is due. */
abl_finding_t abl_look_at(abl_supervised_t *app, int slot, int64_t now);

/* Lets requests go there, as many as its memory allows. */
void abl_look_open(abl_supervised_t *app, int slot);

#endif
