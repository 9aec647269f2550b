/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of one supervised process.
 */
#include "control/instance.h"

#include "base/clock.h"

#define KILL_AGAIN ABL_SECOND /* what the kernel is slow to take away is killed again */

static void enter(abl_instance_t *instance, abl_instance_state_t state, int64_t now, int64_t deadline)
{
    instance->state = state;
    instance->since = now;
    instance->deadline = deadline;
}

static unsigned begin(abl_instance_t *instance, const abl_instance_times_t *times, int64_t now)
{
    instance->leave = ABL_LEAVE_NOT;
    instance->ready_at = 0;
    enter(instance, ABL_INSTANCE_STARTING, now, now + times->start);
    return ABL_DO_SPAWN;
}

/* The process is not there any more. */
static unsigned end(abl_instance_t *instance, int64_t now, unsigned actions)
{
    enter(instance, ABL_INSTANCE_NONE, now, INT64_MAX);
    return actions;
}

static unsigned stop(abl_instance_t *instance, const abl_instance_times_t *times, abl_leave_t why,
                     int64_t now, unsigned actions)
{
    instance->leave = instance->leave != ABL_LEAVE_NOT ? instance->leave : why;
    enter(instance, ABL_INSTANCE_STOPPING, now, now + times->stop);
    return actions;
}

static unsigned starting(abl_instance_t *instance, const abl_instance_times_t *times,
                         abl_instance_event_t event, abl_leave_t why, int64_t now)
{
    switch (event) {
    case ABL_EVENT_READY:
        instance->ready_at = now;
        enter(instance, ABL_INSTANCE_READY, now, INT64_MAX);
        return ABL_DO_OPEN;
    case ABL_EVENT_NOT_BEGUN:
        return end(instance, now, ABL_DO_COUNT);
    case ABL_EVENT_EXIT:
        return end(instance, now, ABL_DO_SWEEP | ABL_DO_COUNT);
    case ABL_EVENT_TIME:
        return stop(instance, times, ABL_LEAVE_SLOW, now, ABL_DO_TERM | ABL_DO_COUNT);
    case ABL_EVENT_RETIRE:
    case ABL_EVENT_STOP:
        return stop(instance, times, why, now, ABL_DO_TERM);
    default:
        return 0;
    }
}

static unsigned ready(abl_instance_t *instance, const abl_instance_times_t *times, abl_instance_event_t event,
                      abl_leave_t why, int64_t now)
{
    switch (event) {
    case ABL_EVENT_EXIT:
        return end(instance, now, ABL_DO_SHUT | ABL_DO_SWEEP | ABL_DO_COUNT);
    case ABL_EVENT_RETIRE:
        instance->leave = why;
        enter(instance, ABL_INSTANCE_DRAINING, now, now + times->drain);
        return ABL_DO_SHUT;
    case ABL_EVENT_STUCK:
        return stop(instance, times, ABL_LEAVE_STUCK, now, ABL_DO_SHUT | ABL_DO_QUIT);
    case ABL_EVENT_STOP:
        return stop(instance, times, why, now, ABL_DO_SHUT | ABL_DO_TERM);
    default:
        return 0;
    }
}

static unsigned draining(abl_instance_t *instance, const abl_instance_times_t *times,
                         abl_instance_event_t event, abl_leave_t why, int64_t now)
{
    switch (event) {
    case ABL_EVENT_EXIT:
        return end(instance, now, ABL_DO_SWEEP);
    case ABL_EVENT_IDLE:
    case ABL_EVENT_TIME:
    case ABL_EVENT_STOP:
        return stop(instance, times, why, now, ABL_DO_TERM);
    case ABL_EVENT_STUCK:
        return stop(instance, times, ABL_LEAVE_STUCK, now, ABL_DO_QUIT);
    default:
        return 0;
    }
}

static unsigned leaving(abl_instance_t *instance, abl_instance_event_t event, int64_t now)
{
    switch (event) {
    case ABL_EVENT_EXIT:
        return end(instance, now, ABL_DO_SWEEP);
    case ABL_EVENT_TIME:
        enter(instance, ABL_INSTANCE_KILLED, now, now + KILL_AGAIN);
        return ABL_DO_KILL;
    default:
        return 0;
    }
}

unsigned abl_instance_step(abl_instance_t *instance, const abl_instance_times_t *times,
                           abl_instance_event_t event, abl_leave_t why, int64_t now)
{
    switch (instance->state) {
    case ABL_INSTANCE_NONE:
        return event == ABL_EVENT_START ? begin(instance, times, now) : 0;
    case ABL_INSTANCE_STARTING:
        return starting(instance, times, event, why, now);
    case ABL_INSTANCE_READY:
        return ready(instance, times, event, why, now);
    case ABL_INSTANCE_DRAINING:
        return draining(instance, times, event, why, now);
    case ABL_INSTANCE_STOPPING:
    case ABL_INSTANCE_KILLED:
        return leaving(instance, event, now);
    }
    return 0;
}

const char *abl_instance_state_name(abl_instance_state_t state)
{
    static const char *const names[] = {
        [ABL_INSTANCE_NONE] = "none",         [ABL_INSTANCE_STARTING] = "starting",
        [ABL_INSTANCE_READY] = "ready",       [ABL_INSTANCE_DRAINING] = "draining",
        [ABL_INSTANCE_STOPPING] = "stopping", [ABL_INSTANCE_KILLED] = "killed"};

    return names[state];
}

const char *abl_leave_name(abl_leave_t why)
{
    static const char *const names[] = {
        [ABL_LEAVE_NOT] = "stays",
        [ABL_LEAVE_MEMORY] = "memory=",
        [ABL_LEAVE_REQUESTS] = "requests=",
        [ABL_LEAVE_AGE] = "age=",
        [ABL_LEAVE_ROLL] = "rolling restart",
        [ABL_LEAVE_WISH] = "restarted by hand",
        [ABL_LEAVE_SPARE] = "not needed any more",
        [ABL_LEAVE_SLOW] = "not ready within start-timeout=",
        [ABL_LEAVE_STUCK] = "a request took longer than stuck=",
        [ABL_LEAVE_STRANGER] = "somebody else listens at its address",
        [ABL_LEAVE_DEAF] = "it does not accept connections any more",
        [ABL_LEAVE_REMOVED] = "not in the configuration any more",
        [ABL_LEAVE_STOP] = "httpd ends",
    };

    return names[why];
}
