/* SPDX-License-Identifier: Apache-2.0
 *
 * The instances of one application: how many there should be, and which one has to come or go next. Pure: it
 * looks at the slots and at the clock that it is given, and decides; whoever calls does it (instance.h).
 *
 * A **slot** is a place for one instance, with an address of its own: a port, or a socket. There are more
 * slots than instances, so that a replacement can be ready before the old one goes. An instance is **worn**
 * when it should be replaced; it serves until its replacement is ready.
 */
#ifndef ABL_CONTROL_FLEET_H
#define ABL_CONTROL_FLEET_H

#include "control/instance.h"

#define ABL_SLOTS_OF_APP_MAX 64
#define ABL_FAILURES_MAX 32 /* of failures= */

typedef struct abl_fleet_conf_t {
    int least, most; /* instances */
    int surge;       /* so many more while one replaces another */
    int starts;      /* at once */
    int64_t grow;    /* one more when a request has waited for so long, µs */
    int64_t idle;    /* one fewer when it was not needed for so long, µs */
    int failures;    /* so many in `within` µs: it has failed, and is tried again every `retry` µs only */
    int64_t within;
    int64_t retry;
    abl_instance_times_t times;
} abl_fleet_conf_t;

#define ABL_SLOT_UNUSED INT64_MAX /* it is not in the configuration any more */

typedef struct abl_slot_t {
    abl_instance_t instance;
    abl_leave_t worn;      /* why it should be replaced; ABL_LEAVE_NOT: it should not */
    int64_t blocked_until; /* nothing is started there before; 0: it is free; ABL_SLOT_UNUSED */
} abl_slot_t;

/* All zero but for `n`, the slots that there are (they become more, never fewer): nothing runs. */
typedef struct abl_fleet_t {
    int n;
    abl_slot_t slots[ABL_SLOTS_OF_APP_MAX];
    int target;                          /* how many are wanted now; 0: `least` */
    int64_t full_at;                     /* when all of them were last needed */
    int64_t not_before;                  /* the next start */
    int in_a_row;                        /* failures since an instance was good */
    int64_t failed_at[ABL_FAILURES_MAX]; /* the last ones, in a ring */
    unsigned nfailed;
    bool failed; /* see `failures` */
    bool stops;  /* nothing is started any more */
} abl_fleet_t;

typedef enum abl_move_t {
    ABL_MOVE_NONE = 0,
    ABL_MOVE_START, /* ABL_EVENT_START for this slot */
    ABL_MOVE_RETIRE /* ABL_EVENT_RETIRE */
} abl_move_t;

typedef struct abl_decision_t {
    abl_move_t move;
    int slot;
    abl_leave_t why; /* RETIRE */
    int64_t again;   /* NONE: when to ask again at the latest; INT64_MAX: when something has happened */
} abl_decision_t;

/* What is to be done next. Ask again, after having done it, until it is nothing. */
abl_decision_t abl_fleet_decide(const abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int64_t now);

/* ABL_DO_COUNT: an instance has ended unasked, or did not become ready. `ready_at`: when it became so, 0:
 * it did not. */
void abl_fleet_failed(abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int64_t ready_at, int64_t now);

/* An instance that is ready has been looked at. */
void abl_fleet_worked(abl_fleet_t *fleet, const abl_instance_t *instance, int64_t now);

/* How busy they are: requests under way at the slots that are ready, and how long the first in the queue
 * has waited. Changes `target`. */
void abl_fleet_measure(abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int busy, int64_t head_age,
                       int64_t now);

/* A rolling restart: one by one is replaced. */
void abl_fleet_roll(abl_fleet_t *fleet);

/* Is a rolling restart under way? */
bool abl_fleet_is_rolling(const abl_fleet_t *fleet);

/* How many there should be now. */
int abl_fleet_wanted(const abl_fleet_t *fleet, const abl_fleet_conf_t *conf);

/* Instances in this state. */
int abl_fleet_count(const abl_fleet_t *fleet, abl_instance_state_t state);

#endif
