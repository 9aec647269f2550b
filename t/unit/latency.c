/* SPDX-License-Identifier: Apache-2.0
 *
 * Percentiles of how long answers take: at most an eighth too high, never too low, and what is old counts
 * less.
 */
#include "ledger/latency.h"

#include "unit.h"

#include <stdlib.h>

static abl_latency_t latency;

START_TEST(none)
{
    memset(&latency, 0, sizeof(latency));
    ck_assert_int_eq(abl_latency_percentile(&latency, 95), 0);
}
END_TEST

START_TEST(one_of_each_size)
{
    int64_t took;

    for (took = 1; took < INT64_C(5000000000); took += took / 7 + 1) {
        int64_t said;
        memset(&latency, 0, sizeof(latency));
        abl_latency_count(&latency, took);
        said = abl_latency_percentile(&latency, 50);
        ck_assert_int_gt(said, took);
        ck_assert_int_le(said, took < 256 ? took + 32 : took + took / 8 + 1);
    }
}
END_TEST

START_TEST(absurd)
{
    memset(&latency, 0, sizeof(latency));
    abl_latency_count(&latency, -1);
    ck_assert_int_eq(abl_latency_percentile(&latency, 99), 32);
    abl_latency_count(&latency, INT64_MAX);
    ck_assert_int_gt(abl_latency_percentile(&latency, 99), INT64_C(8000000000));
}
END_TEST

START_TEST(shares)
{
    int i;

    memset(&latency, 0, sizeof(latency));
    for (i = 0; i < 1000; i++) {
        abl_latency_count(&latency, i % 100 < 95 ? 1000 : 1000000);
    }
    ck_assert_int_lt(abl_latency_percentile(&latency, 95), 1200);
    ck_assert_int_gt(abl_latency_percentile(&latency, 96), 1000000);
    ck_assert_int_lt(abl_latency_percentile(&latency, 1), 1200);
}
END_TEST

START_TEST(forgets)
{
    int i;

    memset(&latency, 0, sizeof(latency));
    for (i = 0; i < 4096; i++) {
        abl_latency_count(&latency, 1000000);
    }
    for (i = 0; i < 4 * 4096; i++) {
        abl_latency_count(&latency, 1000);
    }
    ck_assert_int_lt(abl_latency_percentile(&latency, 90), 1200);
    ck_assert_uint_le(latency.n, 4097);
}
END_TEST

UNIT_MAIN("latency", none, one_of_each_size, absurd, shares, forgets)
