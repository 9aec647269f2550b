/* SPDX-License-Identifier: Apache-2.0
 *
 * The instances of an application, simulated: processes that become ready after a time of their own, by a
 * clock that the test turns.
 */
#include "base/clock.h"
#include "control/fleet.h"
#include "unit.h"

#define START_TIME (300 * ABL_MS)
#define TICK (10 * ABL_MS)

static abl_fleet_t fleet;
static abl_fleet_conf_t conf;
static int64_t now;
static bool broken; /* what is started ends at once */
static int starts, most_alive, least_ready;

static void begin(int least, int most, int slots)
{
    memset(&fleet, 0, sizeof(fleet));
    fleet.n = slots;
    conf = (abl_fleet_conf_t){.least = least,
                              .most = most,
                              .surge = 1,
                              .starts = 1,
                              .grow = 500 * ABL_MS,
                              .idle = 300 * ABL_SECOND,
                              .failures = 5,
                              .within = 60 * ABL_SECOND,
                              .retry = 30 * ABL_SECOND,
                              .times = {60 * ABL_SECOND, 30 * ABL_SECOND, 10 * ABL_SECOND}};
    now = 1000 * ABL_SECOND;
    broken = false;
    starts = most_alive = 0;
    least_ready = slots;
}

static int in(abl_instance_state_t state)
{
    return abl_fleet_count(&fleet, state);
}

static void tell(int slot, abl_instance_event_t event, abl_leave_t why)
{
    int64_t ready_at = fleet.slots[slot].instance.ready_at;
    unsigned actions = abl_instance_step(&fleet.slots[slot].instance, &conf.times, event, why, now);

    if (actions & ABL_DO_SPAWN) {
        fleet.slots[slot].worn = ABL_LEAVE_NOT;
        starts++;
    }
    if (actions & ABL_DO_COUNT) {
        abl_fleet_failed(&fleet, &conf, ready_at, now);
    }
}

static void decide_all(void)
{
    for (;;) {
        abl_decision_t decision = abl_fleet_decide(&fleet, &conf, now);
        if (decision.move == ABL_MOVE_NONE) {
            return;
        }
        tell(decision.slot, decision.move == ABL_MOVE_START ? ABL_EVENT_START : ABL_EVENT_RETIRE,
             decision.why);
    }
}

/* One moment in the life of each. */
static void live(int slot)
{
    abl_instance_t *instance = &fleet.slots[slot].instance;

    abl_fleet_worked(&fleet, instance, now);
    if (instance->state == ABL_INSTANCE_STARTING && broken) {
        tell(slot, ABL_EVENT_EXIT, ABL_LEAVE_NOT);
    } else if (instance->state == ABL_INSTANCE_STARTING && now - instance->since >= START_TIME) {
        tell(slot, ABL_EVENT_READY, ABL_LEAVE_NOT);
    } else if (instance->state == ABL_INSTANCE_DRAINING) {
        tell(slot, ABL_EVENT_IDLE, ABL_LEAVE_NOT);
    } else if (instance->state == ABL_INSTANCE_STOPPING) {
        tell(slot, ABL_EVENT_EXIT, ABL_LEAVE_NOT);
    }
}

static void run(int64_t time)
{
    int64_t end = now + time;

    for (; now < end; now += TICK) {
        decide_all();
        most_alive =
            fleet.n - in(ABL_INSTANCE_NONE) > most_alive ? fleet.n - in(ABL_INSTANCE_NONE) : most_alive;
        least_ready = in(ABL_INSTANCE_READY) < least_ready ? in(ABL_INSTANCE_READY) : least_ready;
        for (int i = 0; i < fleet.n; i++) {
            live(i);
        }
    }
}

static int a_ready_one(void)
{
    int i = 0;

    while (fleet.slots[i].instance.state != ABL_INSTANCE_READY) {
        i++;
    }
    return i;
}

START_TEST(one_after_the_other)
{
    begin(3, 3, 5);
    run(2 * TICK);
    ck_assert_int_eq(in(ABL_INSTANCE_STARTING), 1);
    run(5 * ABL_SECOND);
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 3);
    ck_assert_int_eq(starts, 3);
    ck_assert_int_eq(most_alive, 3);
    conf.starts = 3;
    fleet.slots[0].instance = fleet.slots[1].instance = (abl_instance_t){0};
    run(2 * TICK);
    ck_assert_int_eq(in(ABL_INSTANCE_STARTING), 2);
}
END_TEST

START_TEST(a_death_is_made_good_at_once)
{
    begin(4, 4, 6);
    run(5 * ABL_SECOND);
    for (int i = 0; i < 15; i++) {
        int victim = a_ready_one();
        tell(victim, ABL_EVENT_EXIT, ABL_LEAVE_NOT);
        run(TICK);
        ck_assert_int_eq(in(ABL_INSTANCE_STARTING), 1);
        ck_assert_int_eq(fleet.slots[victim].instance.state, ABL_INSTANCE_NONE); /* another address */
        run(2 * ABL_SECOND);
        ck_assert_int_eq(in(ABL_INSTANCE_READY), 4);
    }
    ck_assert(!fleet.failed);
}
END_TEST

START_TEST(what_does_not_work_is_tried_more_and_more_slowly)
{
    begin(2, 2, 4);
    broken = true;
    run(TICK);
    ck_assert_int_eq(starts, 1);
    run(TICK);
    ck_assert_int_eq(starts, 2); /* the first failure may have been bad luck */
    run(90 * ABL_MS);
    ck_assert_int_eq(starts, 2);
    run(100 * ABL_MS);
    ck_assert_int_eq(starts, 3);
    run(ABL_SECOND);
    ck_assert_int_eq(starts, 5);
    ck_assert(fleet.failed); /* failures=5 */
    run(29 * ABL_SECOND);
    ck_assert_int_eq(starts, 5);
    run(2 * ABL_SECOND);
    ck_assert_int_eq(starts, 6);
    run(3600 * ABL_SECOND);
    ck_assert_int_le(starts, 6 + 121);
    broken = false;
    run(35 * ABL_SECOND);
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 2);
    ck_assert(!fleet.failed);
}
END_TEST

/* One that dies of its first request is always ready before. */
START_TEST(what_dies_as_soon_as_it_is_ready_does_not_work)
{
    begin(1, 1, 2);
    for (int i = 0; i < 600; i++) {
        run(100 * ABL_MS);
        if (in(ABL_INSTANCE_READY) > 0) {
            tell(a_ready_one(), ABL_EVENT_EXIT, ABL_LEAVE_NOT);
        }
    }
    ck_assert_int_le(starts, 8);
    ck_assert(fleet.failed);
}
END_TEST

START_TEST(a_worn_one_goes_when_its_replacement_is_ready)
{
    begin(2, 2, 4);
    run(2 * ABL_SECOND);
    least_ready = 2;
    fleet.slots[a_ready_one()].worn = ABL_LEAVE_AGE;
    run(2 * ABL_SECOND);
    ck_assert_int_eq(starts, 3);
    ck_assert_int_eq(least_ready, 2);
    ck_assert_int_eq(most_alive, 3);
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 2);
}
END_TEST

START_TEST(without_surge_the_old_one_goes_first)
{
    begin(2, 2, 6);
    conf.surge = 0;
    run(2 * ABL_SECOND);
    least_ready = 2;
    most_alive = 0;
    abl_fleet_roll(&fleet);
    run(3 * ABL_SECOND);
    ck_assert_int_eq(starts, 4);
    ck_assert_int_eq(least_ready, 1);
    ck_assert_int_eq(most_alive, 2);
    ck_assert(!abl_fleet_is_rolling(&fleet));
}
END_TEST

START_TEST(a_rolling_restart)
{
    begin(4, 4, 6);
    run(5 * ABL_SECOND);
    least_ready = 4;
    most_alive = 0;
    abl_fleet_roll(&fleet);
    ck_assert(abl_fleet_is_rolling(&fleet));
    run(5 * ABL_SECOND);
    ck_assert(!abl_fleet_is_rolling(&fleet));
    ck_assert_int_eq(starts, 8);
    ck_assert_int_eq(least_ready, 4);
    ck_assert_int_eq(most_alive, 5);
}
END_TEST

START_TEST(a_rolling_restart_that_does_not_work_stops)
{
    begin(4, 4, 6);
    run(5 * ABL_SECOND);
    least_ready = 4;
    broken = true;
    abl_fleet_roll(&fleet);
    run(60 * ABL_SECOND);
    ck_assert_int_eq(starts, 5);
    ck_assert_int_eq(least_ready, 4);
    ck_assert(!abl_fleet_is_rolling(&fleet));
    ck_assert(!fleet.failed);
    broken = false;
    abl_fleet_roll(&fleet); /* mended */
    run(5 * ABL_SECOND);
    ck_assert_int_eq(starts, 9);
    ck_assert_int_eq(least_ready, 4);
}
END_TEST

START_TEST(more_when_requests_wait)
{
    begin(2, 4, 6);
    run(2 * ABL_SECOND);
    abl_fleet_measure(&fleet, &conf, 2, 400 * ABL_MS, now);
    run(ABL_SECOND);
    ck_assert_int_eq(starts, 2);
    abl_fleet_measure(&fleet, &conf, 2, 600 * ABL_MS, now);
    abl_fleet_measure(&fleet, &conf, 2, 600 * ABL_MS, now); /* the first is not there yet */
    run(ABL_SECOND);
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 3);
    for (int i = 0; i < 5; i++) {
        abl_fleet_measure(&fleet, &conf, 2, 600 * ABL_MS, now);
        run(ABL_SECOND);
    }
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 4);
}
END_TEST

START_TEST(fewer_when_they_are_not_needed)
{
    begin(1, 4, 6);
    fleet.target = 3;
    run(3 * ABL_SECOND);
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 3);
    for (int i = 0; i < 299; i++) {
        abl_fleet_measure(&fleet, &conf, 1, 0, now);
        run(ABL_SECOND);
    }
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 3);
    abl_fleet_measure(&fleet, &conf, 3, 0, now); /* all of them, once */
    for (int i = 0; i < 299; i++) {
        run(ABL_SECOND);
        abl_fleet_measure(&fleet, &conf, 1, 0, now);
    }
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 3);
    for (int i = 0; i < 700; i++) {
        run(ABL_SECOND);
        abl_fleet_measure(&fleet, &conf, 1, 0, now);
    }
    ck_assert_int_eq(in(ABL_INSTANCE_READY), 1);
    ck_assert_int_eq(starts, 3);
}
END_TEST

START_TEST(an_address_that_somebody_else_has)
{
    abl_decision_t decision;

    begin(1, 1, 2);
    fleet.slots[0].blocked_until = now + ABL_SECOND;
    decision = abl_fleet_decide(&fleet, &conf, now);
    ck_assert_int_eq(decision.move, ABL_MOVE_START);
    ck_assert_int_eq(decision.slot, 1);
    fleet.slots[1].blocked_until = now + 2 * ABL_SECOND;
    decision = abl_fleet_decide(&fleet, &conf, now);
    ck_assert_int_eq(decision.move, ABL_MOVE_NONE);
    ck_assert_int_eq(decision.again, now + ABL_SECOND);
}
END_TEST

START_TEST(nothing_is_started_at_the_end)
{
    begin(2, 2, 4);
    run(2 * ABL_SECOND);
    fleet.stops = true;
    tell(a_ready_one(), ABL_EVENT_EXIT, ABL_LEAVE_NOT);
    run(ABL_SECOND);
    ck_assert_int_eq(starts, 2);
}
END_TEST

UNIT_MAIN("fleet", one_after_the_other, a_death_is_made_good_at_once,
          what_does_not_work_is_tried_more_and_more_slowly, what_dies_as_soon_as_it_is_ready_does_not_work,
          a_worn_one_goes_when_its_replacement_is_ready, without_surge_the_old_one_goes_first,
          a_rolling_restart, a_rolling_restart_that_does_not_work_stops, more_when_requests_wait,
          fewer_when_they_are_not_needed, an_address_that_somebody_else_has, nothing_is_started_at_the_end)
