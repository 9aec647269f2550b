/* SPDX-License-Identifier: Apache-2.0
 *
 * Rations: an application that leaks stays within its limit, one that does not is left alone.
 */
#include "base/clock.h"
#include "control/recycle.h"
#include "unit.h"

#define MB UINT64_C(1048576)

static abl_recycle_t recycle;
static abl_recycle_conf_t conf;

/* Serves `rate` requests a second, each of which costs `leak`, and is measured when that is due. Returns the
 * most memory it ever had; *served: how many requests it was given until it was worn out, or `most`. */
static uint64_t serve(uint64_t base, uint64_t leak, uint64_t rate, uint64_t most, uint64_t *served,
                      int *measured)
{
    int64_t now = 100 * ABL_SECOND;
    uint64_t allowed;

    abl_recycle_begin(&recycle, &conf, 0, 100 * ABL_MS);
    *served = 0;
    *measured = 0;
    allowed = abl_recycle_most(&recycle, &conf);
    while (*served < most) {
        if (now >= abl_recycle_due(&recycle, &conf, *served, now)) {
            abl_recycle_measure(&recycle, base + leak * *served, *served, now);
            ++*measured;
            allowed = abl_recycle_most(&recycle, &conf);
        }
        if (allowed <= *served && (conf.memory == 0 || recycle.served_then == *served)) {
            break; /* what the last ones have cost is known, and there is no more */
        }
        *served += allowed > *served;
        now += ABL_SECOND / (int64_t)rate;
    }
    return base + leak * *served;
}

START_TEST(a_leak_stays_within_its_limit)
{
    static const uint64_t leaks[] = {64 << 10, 300 << 10, MB, 5 * MB, 20 * MB};
    uint64_t served;
    int measured;

    conf = (abl_recycle_conf_t){.memory = 120 * MB, .check = 5 * ABL_SECOND};
    for (size_t i = 0; i < COUNT(leaks); i++) {
        uint64_t memory = serve(20 * MB, leaks[i], 50, 100000, &served, &measured);
        ck_assert_uint_lt(memory, 125 * MB);
        ck_assert_uint_gt(memory, 95 * MB); /* and is used */
        ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, served, 0, 1), ABL_LEAVE_MEMORY);
    }
}
END_TEST

START_TEST(what_does_not_leak_is_left_alone)
{
    uint64_t served;
    int measured;

    conf = (abl_recycle_conf_t){.memory = 120 * MB, .check = 5 * ABL_SECOND};
    serve(100 * MB, 0, 1000, 100000, &served, &measured); /* 100 s */
    ck_assert_uint_eq(served, 100000);
    ck_assert_int_le(measured, 150);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, served, 0, 1), ABL_LEAVE_NOT);
}
END_TEST

START_TEST(a_replacement_is_wanted_before_the_end)
{
    uint64_t served = 0;
    int64_t now = 100 * ABL_SECOND;

    conf = (abl_recycle_conf_t){.memory = 120 * MB, .check = 5 * ABL_SECOND};
    abl_recycle_begin(&recycle, &conf, 0, 300 * ABL_MS);
    for (; abl_recycle_judge(&recycle, &conf, served, 1, now) == ABL_LEAVE_NOT; served++) {
        abl_recycle_measure(&recycle, 20 * MB + served * MB, served, now);
        now += 20 * ABL_MS;
    }
    ck_assert_uint_ge(abl_recycle_most(&recycle, &conf), served + 24); /* half a second, at 50 a second */
}
END_TEST

START_TEST(so_many_requests_and_not_one_more)
{
    uint64_t served;
    int measured;

    conf = (abl_recycle_conf_t){.requests = 500, .check = 5 * ABL_SECOND};
    abl_recycle_begin(&recycle, &conf, 0, 0);
    ck_assert_uint_eq(abl_recycle_most(&recycle, &conf), 500);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, 499, 0, 1), ABL_LEAVE_NOT);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, 500, 0, 1), ABL_LEAVE_REQUESTS);
    for (uint32_t random = 0; random < 5000; random += 7) {
        abl_recycle_begin(&recycle, &conf, random, 0);
        ck_assert_uint_ge(recycle.requests_limit, 450); /* not all at once */
        ck_assert_uint_le(recycle.requests_limit, 500);
    }
    conf.memory = 50 * MB;
    serve(10 * MB, 0, 50, 10000, &served, &measured);
    ck_assert_uint_eq(served, 500);
}
END_TEST

START_TEST(age)
{
    conf = (abl_recycle_conf_t){.age = 100 * ABL_SECOND};
    abl_recycle_begin(&recycle, &conf, 0, 0);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, 0, 50 * ABL_SECOND, 149 * ABL_SECOND), ABL_LEAVE_NOT);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, 0, 50 * ABL_SECOND, 150 * ABL_SECOND), ABL_LEAVE_AGE);
    abl_recycle_begin(&recycle, &conf, UINT32_MAX, 0);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, 0, 50 * ABL_SECOND, 149 * ABL_SECOND), ABL_LEAVE_AGE);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, 0, 50 * ABL_SECOND, 139 * ABL_SECOND), ABL_LEAVE_NOT);
}
END_TEST

START_TEST(a_limit_that_is_too_small)
{
    conf = (abl_recycle_conf_t){.memory = 50 * MB, .check = 5 * ABL_SECOND};
    abl_recycle_begin(&recycle, &conf, 0, 0);
    abl_recycle_measure(&recycle, 60 * MB, 0, 1);
    ck_assert(abl_recycle_is_too_small(&recycle, &conf, 0)); /* before its first request */

    abl_recycle_begin(&recycle, &conf, 0, 0);
    abl_recycle_measure(&recycle, 20 * MB, 0, 1);
    ck_assert(!abl_recycle_is_too_small(&recycle, &conf, 2));
    abl_recycle_measure(&recycle, 40 * MB, 1, 2);
    ck_assert(!abl_recycle_is_out(&recycle, &conf,
                                  0)); /* the board's number is older: never before it has served */
    ck_assert(abl_recycle_is_out(&recycle, &conf, 1));
    ck_assert(abl_recycle_is_too_small(&recycle, &conf, 1)); /* another one of these would be too much */

    abl_recycle_measure(&recycle, 60 * MB, 100, 3);
    ck_assert(abl_recycle_is_out(&recycle, &conf, 100));
    ck_assert(!abl_recycle_is_too_small(&recycle, &conf, 100)); /* that is what the limit is for */
}
END_TEST

START_TEST(what_the_last_ones_cost_is_awaited)
{
    conf = (abl_recycle_conf_t){.memory = 50 * MB, .check = 5 * ABL_SECOND};
    abl_recycle_begin(&recycle, &conf, 0, 0);
    abl_recycle_measure(&recycle, 20 * MB, 0, 1);
    ck_assert_uint_eq(abl_recycle_most(&recycle, &conf), 4);
    ck_assert(!abl_recycle_is_out(&recycle, &conf, 4)); /* not measured since: there may be more */
    abl_recycle_measure(&recycle, 20 * MB, 4, 2);
    ck_assert(!abl_recycle_is_out(&recycle, &conf, 4));
    ck_assert_uint_gt(abl_recycle_most(&recycle, &conf), 4);
}
END_TEST

START_TEST(no_limit_at_all)
{
    conf = (abl_recycle_conf_t){.check = 5 * ABL_SECOND};
    abl_recycle_begin(&recycle, &conf, 1, 0);
    ck_assert_uint_eq(abl_recycle_most(&recycle, &conf), UINT64_MAX);
    ck_assert_int_eq(abl_recycle_due(&recycle, &conf, 1000, 1), INT64_MAX);
    ck_assert_int_eq(abl_recycle_judge(&recycle, &conf, UINT64_C(1) << 40, 0, INT64_MAX / 2), ABL_LEAVE_NOT);
}
END_TEST

UNIT_MAIN("recycle", a_leak_stays_within_its_limit, what_does_not_leak_is_left_alone,
          a_replacement_is_wanted_before_the_end, so_many_requests_and_not_one_more, age,
          a_limit_that_is_too_small, what_the_last_ones_cost_is_awaited, no_limit_at_all)
