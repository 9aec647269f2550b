/* SPDX-License-Identifier: Apache-2.0
 *
 * Balancing methods: order, shares, and who is never picked.
 */
#include "balance/methods.h"
#include "unit.h"

static void set(abl_candidate_t *c, const int *weights, int n)
{
    memset(c, 0, (size_t)n * sizeof(*c));
    for (int i = 0; i < n; i++) {
        c[i].weight = (apr_uint32_t)weights[i] * 100;
        c[i].usable = 1;
    }
}

START_TEST(round_robin_is_smooth)
{
    static const int weights[] = {5, 1, 1};
    abl_candidate_t c[3];
    char order[15] = "";

    set(c, weights, 3);
    for (int i = 0; i < 14; i++) {
        order[i] = (char)('a' + abl_method_roundrobin.pick(c, 3));
    }
    ck_assert_str_eq(order, "aabacaaaabacaa");
}
END_TEST

START_TEST(shares_follow_weights)
{
    static const int weights[] = {1, 2, 3, 10, 7};
    abl_candidate_t c[5];
    int got[5] = {0};

    for (const abl_method_t *const *method = abl_methods; *method != NULL; method++) {
        set(c, weights, 5);
        memset(got, 0, sizeof(got));
        for (int i = 0; i < 23 * 10; i++) {
            got[(*method)->pick(c, 5)]++; /* nobody is busy: leastbusy rotates as well */
        }
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(got[i], weights[i] * 10);
        }
    }
}
END_TEST

START_TEST(unusable_is_never_picked)
{
    static const int weights[] = {9, 1, 1};
    abl_candidate_t c[3];

    for (const abl_method_t *const *method = abl_methods; *method != NULL; method++) {
        set(c, weights, 3);
        c[0].usable = 0;
        for (int i = 0; i < 10; i++) {
            ck_assert_int_eq((*method)->pick(c, 3), 1 + i % 2);
        }
        c[1].usable = c[2].usable = 0;
        ck_assert_int_eq((*method)->pick(c, 3), -1);
    }
}
END_TEST

START_TEST(least_busy_for_its_weight)
{
    static const int weights[] = {1, 4, 2};
    abl_candidate_t c[3];

    set(c, weights, 3);
    c[0].busy = 1;
    c[1].busy = 3;
    c[2].busy = 2;
    ck_assert_int_eq(abl_method_leastbusy.pick(c, 3), 1); /* 3/4 < 1/1 = 2/2 */
    c[1].busy = 5;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_ne(abl_method_leastbusy.pick(c, 3), 1); /* 5/4 is more than the other two have */
    }
    c[0].busy = c[1].busy = UINT32_MAX; /* no overflow */
    ck_assert_int_eq(abl_method_leastbusy.pick(c, 3), 2);
}
END_TEST

UNIT_MAIN("methods", round_robin_is_smooth, shares_follow_weights, unusable_is_never_picked,
          least_busy_for_its_weight)
