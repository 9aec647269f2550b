/* SPDX-License-Identifier: Apache-2.0
 *
 * One supervised process as a state machine: (state, event, now) → actions. Pure: whoever calls does what
 * the actions say, and tells what came of it by further events. docs/design.md has the drawing.
 */
#ifndef ABL_CONTROL_INSTANCE_H
#define ABL_CONTROL_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum abl_instance_state_t {
    ABL_INSTANCE_NONE = 0, /* there is no process */
    ABL_INSTANCE_STARTING, /* it runs, and is not ready */
    ABL_INSTANCE_READY,    /* requests go there */
    ABL_INSTANCE_DRAINING, /* it finishes what it has, and gets nothing new */
    ABL_INSTANCE_STOPPING, /* it was asked to end */
    ABL_INSTANCE_KILLED    /* it did not, and was killed */
} abl_instance_state_t;

typedef enum abl_instance_event_t {
    ABL_EVENT_NONE = 0,
    ABL_EVENT_START,     /* one is wanted here */
    ABL_EVENT_NOT_BEGUN, /* the process could not be made */
    ABL_EVENT_READY,     /* it accepts connections, and answers as it should */
    ABL_EVENT_RETIRE,    /* it is worn, or not needed any more */
    ABL_EVENT_IDLE,      /* no request is there */
    ABL_EVENT_STUCK,     /* a request has been there for too long */
    ABL_EVENT_STOP,      /* it has to end now */
    ABL_EVENT_EXIT,      /* it has ended */
    ABL_EVENT_TIME       /* the deadline has passed */
} abl_instance_event_t;

/* Actions, as bits. */
#define ABL_DO_SPAWN 1u   /* make the process, and ask it from time to time whether it is ready */
#define ABL_DO_OPEN 2u    /* let requests go there */
#define ABL_DO_SHUT 4u    /* let no more go there */
#define ABL_DO_TERM 8u    /* the signal that asks it to end */
#define ABL_DO_QUIT 16u   /* SIGQUIT: what was it doing? */
#define ABL_DO_KILL 32u   /* SIGKILL, to its whole process group */
#define ABL_DO_SWEEP 64u  /* it has ended: kill what it has left behind */
#define ABL_DO_COUNT 128u /* a failure of the application: it ended unasked, or did not become ready */

/* Why it is not to stay. */
typedef enum abl_leave_t {
    ABL_LEAVE_NOT = 0,
    ABL_LEAVE_MEMORY,
    ABL_LEAVE_REQUESTS,
    ABL_LEAVE_AGE,
    ABL_LEAVE_ROLL,     /* a rolling restart */
    ABL_LEAVE_WISH,     /* somebody wants it to be replaced */
    ABL_LEAVE_SPARE,    /* there are more than are needed */
    ABL_LEAVE_SLOW,     /* it did not become ready in time */
    ABL_LEAVE_STUCK,    /* with a request */
    ABL_LEAVE_STRANGER, /* somebody else listens at its address */
    ABL_LEAVE_DEAF,     /* nobody does any more */
    ABL_LEAVE_REMOVED,  /* out of the configuration */
    ABL_LEAVE_STOP      /* httpd ends */
} abl_leave_t;

/* Patience, µs. */
typedef struct abl_instance_times_t {
    int64_t start; /* until it is ready */
    int64_t drain; /* until the requests it has are over */
    int64_t stop;  /* from the signal that asks it to end until SIGKILL */
} abl_instance_times_t;

/* All zero: NONE. */
typedef struct abl_instance_t {
    abl_instance_state_t state;
    abl_leave_t leave; /* from the event on that makes it leave */
    int64_t since;     /* when it came to its state */
    int64_t ready_at;  /* 0: it never was */
    int64_t deadline;  /* ABL_EVENT_TIME is wanted then; INT64_MAX: never */
} abl_instance_t;

/* What has to be done because of an event. `why` goes with RETIRE and STOP. An event that means nothing in
 * this state is ignored. */
unsigned abl_instance_step(abl_instance_t *instance, const abl_instance_times_t *times,
                           abl_instance_event_t event, abl_leave_t why, int64_t now);

/* For messages and the status. */
const char *abl_instance_state_name(abl_instance_state_t state);
const char *abl_leave_name(abl_leave_t why);

#endif
