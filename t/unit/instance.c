/* SPDX-License-Identifier: Apache-2.0
 *
 * One supervised process, event by event, by a clock that the test turns.
 */
#include "base/clock.h"
#include "control/instance.h"
#include "unit.h"

static const abl_instance_times_t times = {60 * ABL_SECOND, 30 * ABL_SECOND, 10 * ABL_SECOND};

static abl_instance_t instance;
static int64_t now;

static unsigned step(abl_instance_event_t event)
{
    return abl_instance_step(&instance, &times, event, ABL_LEAVE_STOP, now);
}

static unsigned retire(abl_leave_t why)
{
    return abl_instance_step(&instance, &times, ABL_EVENT_RETIRE, why, now);
}

/* Nothing comes before the deadline; then the clock stands at it. */
static void pass(int64_t expected)
{
    ck_assert_int_eq(instance.deadline - now, expected);
    now = instance.deadline;
}

static void started(void)
{
    memset(&instance, 0, sizeof(instance));
    now = 5 * ABL_SECOND;
    ck_assert_uint_eq(step(ABL_EVENT_START), ABL_DO_SPAWN);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_STARTING);
}

static void ready(void)
{
    started();
    now += ABL_SECOND;
    ck_assert_uint_eq(step(ABL_EVENT_READY), ABL_DO_OPEN);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_READY);
    ck_assert_int_eq(instance.ready_at, now);
    ck_assert_int_eq(instance.deadline, INT64_MAX);
}

START_TEST(a_life)
{
    ready();
    ck_assert_uint_eq(retire(ABL_LEAVE_AGE), ABL_DO_SHUT);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_DRAINING);
    ck_assert_uint_eq(step(ABL_EVENT_IDLE), ABL_DO_TERM);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_AGE);
    ck_assert_uint_eq(step(ABL_EVENT_EXIT), ABL_DO_SWEEP);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_NONE);
    ck_assert_uint_eq(step(ABL_EVENT_START), ABL_DO_SPAWN);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_NOT);
    ck_assert_int_eq(instance.ready_at, 0);
}
END_TEST

START_TEST(it_ends_unasked)
{
    started();
    ck_assert_uint_eq(step(ABL_EVENT_EXIT), ABL_DO_SWEEP | ABL_DO_COUNT);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_NONE);
    ready();
    ck_assert_uint_eq(step(ABL_EVENT_EXIT), ABL_DO_SHUT | ABL_DO_SWEEP | ABL_DO_COUNT);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_NONE);
    started();
    ck_assert_uint_eq(step(ABL_EVENT_NOT_BEGUN), ABL_DO_COUNT);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_NONE);
}
END_TEST

START_TEST(it_does_not_become_ready)
{
    started();
    pass(times.start);
    ck_assert_uint_eq(step(ABL_EVENT_TIME), ABL_DO_TERM | ABL_DO_COUNT);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_SLOW);
    ck_assert_uint_eq(step(ABL_EVENT_READY), 0); /* too late */
    ck_assert_uint_eq(step(ABL_EVENT_EXIT), ABL_DO_SWEEP);
}
END_TEST

START_TEST(it_does_not_want_to_end)
{
    ready();
    retire(ABL_LEAVE_SPARE);
    pass(times.drain);
    ck_assert_uint_eq(step(ABL_EVENT_TIME), ABL_DO_TERM);
    pass(times.stop);
    ck_assert_uint_eq(step(ABL_EVENT_TIME), ABL_DO_KILL);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_KILLED);
    pass(ABL_SECOND);
    ck_assert_uint_eq(step(ABL_EVENT_TIME), ABL_DO_KILL);
    ck_assert_uint_eq(step(ABL_EVENT_EXIT), ABL_DO_SWEEP);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_SPARE);
}
END_TEST

START_TEST(it_hangs)
{
    ready();
    ck_assert_uint_eq(step(ABL_EVENT_STUCK), ABL_DO_SHUT | ABL_DO_QUIT);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_STUCK);
    ck_assert_uint_eq(step(ABL_EVENT_STUCK), 0); /* once */
    pass(times.stop);
    ck_assert_uint_eq(step(ABL_EVENT_TIME), ABL_DO_KILL);
    ready();
    retire(ABL_LEAVE_MEMORY);
    ck_assert_uint_eq(step(ABL_EVENT_STUCK), ABL_DO_QUIT);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_MEMORY);
}
END_TEST

START_TEST(httpd_ends)
{
    started();
    ck_assert_uint_eq(step(ABL_EVENT_STOP), ABL_DO_TERM);
    ready();
    ck_assert_uint_eq(step(ABL_EVENT_STOP), ABL_DO_SHUT | ABL_DO_TERM);
    ck_assert_int_eq(instance.leave, ABL_LEAVE_STOP);
    ready();
    retire(ABL_LEAVE_ROLL);
    ck_assert_uint_eq(step(ABL_EVENT_STOP), ABL_DO_TERM);
    ck_assert_uint_eq(step(ABL_EVENT_STOP), 0);
}
END_TEST

START_TEST(what_means_nothing)
{
    memset(&instance, 0, sizeof(instance));
    for (int event = ABL_EVENT_NOT_BEGUN; event <= ABL_EVENT_TIME; event++) {
        ck_assert_uint_eq(step((abl_instance_event_t)event), 0);
        ck_assert_int_eq(instance.state, ABL_INSTANCE_NONE);
    }
    ready();
    ck_assert_uint_eq(step(ABL_EVENT_START) | step(ABL_EVENT_READY) | step(ABL_EVENT_IDLE), 0);
    ck_assert_int_eq(instance.state, ABL_INSTANCE_READY);
}
END_TEST

START_TEST(names)
{
    for (int state = ABL_INSTANCE_NONE; state <= ABL_INSTANCE_KILLED; state++) {
        ck_assert_ptr_nonnull(abl_instance_state_name((abl_instance_state_t)state));
    }
    for (int why = ABL_LEAVE_NOT; why <= ABL_LEAVE_STOP; why++) {
        ck_assert_ptr_nonnull(abl_leave_name((abl_leave_t)why));
    }
}
END_TEST

UNIT_MAIN("instance", a_life, it_ends_unasked, it_does_not_become_ready, it_does_not_want_to_end, it_hangs,
          httpd_ends, what_means_nothing, names)
