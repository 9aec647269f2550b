/* SPDX-License-Identifier: Apache-2.0
 *
 * Balancing methods: order, shares, who attracts requests and who is never picked.
 */
#include "balance/learn.h"
#include "balance/methods.h"
#include "unit.h"

#define SECOND INT64_C(1000000)

static const abl_pick_t nobody = {.now = 1000 * SECOND};

static void set(abl_candidate_t *c, const int *weights, int n)
{
    memset(c, 0, (size_t)n * sizeof(*c));
    for (int i = 0; i < n; i++) {
        c[i].id = (apr_uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        c[i].weight = (apr_uint32_t)weights[i] * 100;
        c[i].traffic_at = c[i].latency_at = nobody.now;
        c[i].usable = 1;
    }
}

/* n of the same weight. */
static void set_equal(abl_candidate_t *c, int n)
{
    static int ones[ABL_MEMBERS_MAX];

    for (int i = 0; i < n; i++) {
        ones[i] = 1;
    }
    set(c, ones, n);
}

static int pick(const abl_method_t *method, abl_candidate_t *c, int n)
{
    return method->pick(c, n, &nobody);
}

/* ---- what all have in common ------------------------------------------------------------------------ */

START_TEST(round_robin_is_smooth)
{
    static const int weights[] = {5, 1, 1};
    abl_candidate_t c[3];
    char order[15] = "";

    set(c, weights, 3);
    for (int i = 0; i < 14; i++) {
        order[i] = (char)('a' + pick(&abl_method_roundrobin, c, 3));
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
            got[pick(*method, c, 5)]++; /* nobody is busy and nothing is known: all of them rotate */
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
    abl_pick_t with_key = {.now = 1, .has_key = 1};

    for (const abl_method_t *const *method = abl_methods; *method != NULL; method++) {
        set(c, weights, 3);
        c[0].usable = 0;
        for (int i = 0; i < 10; i++) {
            ck_assert_int_eq(pick(*method, c, 3), 1 + i % 2); /* nothing else is known: they take turns */
        }
        for (int i = 0; i < 10; i++) {
            with_key.key = (apr_uint64_t)i;
            ck_assert_int_gt((*method)->pick(c, 3, &with_key), 0);
        }
        c[1].usable = c[2].usable = 0;
        ck_assert_int_eq(pick(*method, c, 3), -1);
        ck_assert_int_eq((*method)->pick(c, 3, &with_key), -1);
    }
}
END_TEST

/* Many, and numbers that nobody will ever have: some usable one all the same. */
START_TEST(extremes_are_survived)
{
    static abl_candidate_t c[ABL_MEMBERS_MAX];
    abl_pick_t request = {.now = INT64_MAX, .key = UINT64_MAX};

    for (const abl_method_t *const *method = abl_methods; *method != NULL; method++) {
        for (int n = 1; n <= ABL_MEMBERS_MAX; n += n < 256 ? 51 : 9984) {
            set_equal(c, n);
            for (int i = 0; i < n; i++) {
                c[i].busy = c[i].queued = c[i].weight = UINT32_MAX;
                c[i].traffic = c[i].mean_bytes = c[i].latency = UINT64_MAX;
                c[i].traffic_at = c[i].latency_at = INT64_MAX;
            }
            c[n - 1].weight = 1;
            for (int i = 0; i < 600; i++) {
                request.has_key = i & 1;
                int picked = (*method)->pick(c, n, &request);
                ck_assert_int_ge(picked, 0);
                ck_assert_int_lt(picked, n);
            }
        }
    }
}
END_TEST

/* ---- least busy ------------------------------------------------------------------------------------- */

START_TEST(least_busy_for_its_weight)
{
    static const int weights[] = {1, 4, 2};
    abl_candidate_t c[3];

    set(c, weights, 3);
    c[0].busy = 1;
    c[1].busy = 3;
    c[2].busy = 2;
    ck_assert_int_eq(pick(&abl_method_leastbusy, c, 3), 1); /* 3/4 < 1/1 = 2/2 */
    c[1].busy = 5;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_ne(pick(&abl_method_leastbusy, c, 3), 1); /* 5/4 is more than the other two have */
    }
    c[0].busy = c[1].busy = UINT32_MAX; /* no overflow */
    ck_assert_int_eq(pick(&abl_method_leastbusy, c, 3), 2);
}
END_TEST

START_TEST(those_who_wait_count)
{
    abl_candidate_t c[2];

    set_equal(c, 2);
    c[0].busy = 1;
    c[0].queued = 2;
    c[1].busy = 2;
    ck_assert_int_eq(pick(&abl_method_leastbusy, c, 2), 1);
}
END_TEST

/* ---- decay and learning ----------------------------------------------------------------------------- */

START_TEST(decay_halves)
{
    ck_assert_uint_eq(abl_decay(1000, 0, 10), 1000);
    ck_assert_uint_eq(abl_decay(1000, -5, 10), 1000);
    ck_assert_uint_eq(abl_decay(1000, 10, 10), 500);
    ck_assert_uint_eq(abl_decay(1000, 20, 10), 250);
    ck_assert_uint_eq(abl_decay(1000, 10 * 63, 10), 0);
    ck_assert_uint_eq(abl_decay(UINT64_MAX, INT64_MAX, 10), 0);
    ck_assert_uint_eq(abl_decay(UINT64_MAX, 63, 1), 1);
    ck_assert_uint_eq(abl_decay(UINT64_MAX, 64, 1), 0);
    ck_assert_uint_eq(abl_decay(0, 5, 10), 0);
    ck_assert_int_le(llabs((long long)abl_decay(1000000, 5, 10) - 750000), 1);
}
END_TEST

START_TEST(decay_never_rises)
{
    static const uint64_t values[] = {1, 2, 3, 7, 1000, 12345678901, UINT64_MAX - 1, UINT64_MAX};

    for (size_t v = 0; v < COUNT(values); v++) {
        uint64_t last = values[v];
        for (int64_t t = 0; t < 70 * ABL_HALF_LIFE; t += 99991) {
            uint64_t now = abl_decay(values[v], t, ABL_HALF_LIFE);
            ck_assert_uint_le(now, last);
            last = now;
        }
        ck_assert_uint_eq(last, 0);
    }
}
END_TEST

/* Looked at in one step or in many, it comes to about the same, and it never gets stuck. */
START_TEST(decay_in_steps)
{
    uint64_t value = UINT64_C(1) << 40;

    for (int i = 0; i < 10000; i++) {
        value = abl_decay(value, ABL_HALF_LIFE / 10000, ABL_HALF_LIFE);
    }
    ck_assert_uint_gt(value, (UINT64_C(1) << 40) * 6 / 10 - 20000); /* e^-0.5: lines are not curves */
    ck_assert_uint_lt(value, (UINT64_C(1) << 40) * 61 / 100);
    for (value = 100; value > 0;) {
        uint64_t next = abl_decay(value, 1, ABL_HALF_LIFE);
        ck_assert_uint_lt(next, value);
        value = next;
    }
}
END_TEST

START_TEST(latency_is_learnt)
{
    const int64_t half = ABL_HALF_LIFE;
    uint64_t latency = abl_latency_learn(0, 0, 5 * SECOND, 1000, false);

    ck_assert_uint_eq(latency, 1000);
    latency = abl_latency_learn(latency, 0, 0, 200000, false); /* slower: at once */
    ck_assert_uint_eq(latency, 200000);
    ck_assert_uint_eq(abl_latency_learn(latency, 0, 0, 1000, false), 200000); /* faster: with time */
    ck_assert_uint_lt(abl_latency_learn(latency, 0, half, 1000, false), 51000);
    ck_assert_uint_gt(abl_latency_learn(latency, 0, half, 1000, false), 49000);
    ck_assert_uint_eq(abl_latency_learn(latency, 0, 100 * half, 1000, false), 1000);
    ck_assert_uint_eq(abl_latency_learn(latency, 0, half, -1, false), 100000); /* no answer: time alone */
    ck_assert_uint_eq(abl_latency_learn(latency, 0, 100 * half, -1, false), 1);
    ck_assert_uint_eq(abl_latency_learn(0, 0, half, -1, false), 0);
    ck_assert_uint_eq(abl_latency_learn(0, 0, 0, 0, false), 1);
    ck_assert_uint_eq(abl_latency_learn(UINT64_MAX, 0, 0, INT64_MAX, false), UINT64_MAX);
}
END_TEST

START_TEST(failures_are_charged)
{
    uint64_t latency = 0;

    ck_assert_uint_eq(abl_latency_learn(0, 0, 0, 10, true), 5 * SECOND);
    ck_assert_uint_eq(abl_latency_learn(1000, 0, 0, -1, true), 5 * SECOND);
    ck_assert_uint_eq(abl_latency_learn(4 * SECOND, 0, 0, -1, true), 8 * SECOND);
    ck_assert_uint_eq(abl_latency_learn(4 * SECOND, 0, 0, 90 * SECOND, true), 90 * SECOND);
    for (int i = 0; i < 100; i++) {
        latency = abl_latency_learn(latency, 0, 0, 1, true);
    }
    ck_assert_uint_eq(latency, 60 * SECOND); /* there is a way back, however often it fails */
    ck_assert_uint_eq(abl_latency_learn(UINT64_MAX, 0, 0, -1, true), UINT64_MAX);
}
END_TEST

START_TEST(bytes_are_learnt)
{
    uint64_t mean = abl_mean_learn(0, 800);

    ck_assert_uint_eq(mean, 800);
    ck_assert_uint_eq(abl_mean_learn(mean, 1600), 900);
    ck_assert_uint_eq(abl_mean_learn(mean, 0), 700);
    ck_assert_uint_eq(abl_mean_learn(0, 0), 1);
    ck_assert_uint_eq(abl_mean_learn(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(abl_traffic_learn(1000, 0, ABL_HALF_LIFE, 100), 600);
    ck_assert_uint_eq(abl_traffic_learn(UINT64_MAX, 0, 0, 1), UINT64_MAX);
}
END_TEST

/* ---- traffic ---------------------------------------------------------------------------------------- */

START_TEST(least_traffic_for_its_weight)
{
    static const int weights[] = {1, 4, 1};
    abl_candidate_t c[3];

    set(c, weights, 3);
    c[0].traffic = 1000;
    c[1].traffic = 3000;
    c[2].traffic = 900;
    ck_assert_int_eq(pick(&abl_method_traffic, c, 3), 1);
    c[1].busy = 1;
    c[1].mean_bytes = 5000;
    ck_assert_int_eq(pick(&abl_method_traffic, c, 3), 2);
    c[0].traffic_at -= 10 * SECOND; /* half of it is forgotten by now */
    ck_assert_int_eq(pick(&abl_method_traffic, c, 3), 0);
}
END_TEST

/* One gets answers ten times as long: after a while all have moved as much, not answered as many. */
START_TEST(traffic_evens_out)
{
    abl_candidate_t c[3];
    uint64_t moved[3] = {0};
    abl_pick_t request = nobody;

    set_equal(c, 3);
    for (int i = 0; i < 3000; i++) {
        int picked = abl_method_traffic.pick(c, 3, &request);
        uint64_t bytes = picked == 0 ? 10000 : 1000;
        moved[picked] += bytes;
        c[picked].traffic = abl_traffic_learn(c[picked].traffic, c[picked].traffic_at, request.now, bytes);
        c[picked].traffic_at = request.now;
        request.now += 1000;
    }
    for (int i = 1; i < 3; i++) {
        ck_assert_int_le(llabs((long long)moved[i] - (long long)moved[0]), 20000);
    }
}
END_TEST

/* What is not known yet about a member must not draw all requests to it. */
START_TEST(traffic_of_a_newcomer)
{
    abl_candidate_t c[2];

    set_equal(c, 2);
    c[0].mean_bytes = 1000;
    c[0].traffic = 3000;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pick(&abl_method_traffic, c, 2), 1);
        c[1].busy++;
    }
    c[1].busy++;
    ck_assert_int_eq(pick(&abl_method_traffic, c, 2), 0);
}
END_TEST

/* ---- latency ---------------------------------------------------------------------------------------- */

static void answer(abl_candidate_t *c, int64_t now, int64_t latency, bool failed)
{
    c->latency = abl_latency_learn(c->latency, c->latency_at, now, latency, failed);
    c->latency_at = now;
}

START_TEST(the_fastest_is_preferred)
{
    abl_candidate_t c[3];

    set_equal(c, 3);
    c[0].latency = 3000;
    c[1].latency = 1000;
    c[2].latency = 2500;
    ck_assert_int_eq(pick(&abl_method_latency, c, 3), 1);
    c[1].busy = 2; /* three in a row take longer than one of the slower ones */
    ck_assert_int_eq(pick(&abl_method_latency, c, 3), 2);
    c[2].queued = 1;
    ck_assert_int_ne(pick(&abl_method_latency, c, 3), 2);
    c[1].weight = 300; /* it works on three at once */
    ck_assert_int_eq(pick(&abl_method_latency, c, 3), 1);
}
END_TEST

/* A newcomer among others gets about its share: neither nothing nor everything. */
START_TEST(latency_of_a_newcomer)
{
    abl_candidate_t c[4];
    int got[4] = {0};

    set_equal(c, 4);
    c[0].latency = c[1].latency = c[2].latency = 5000;
    for (int i = 0; i < 40; i++) { /* nobody answers yet */
        int picked = pick(&abl_method_latency, c, 4);
        c[picked].busy++;
        got[picked]++;
    }
    ck_assert_int_eq(got[3], 10);
}
END_TEST

/* Fails in 1 ms where the other one needs 100 ms: one request pays for it, not all. */
START_TEST(fast_failure_does_not_attract)
{
    abl_candidate_t c[2];
    abl_pick_t request = nobody;
    int failures = 0;

    set_equal(c, 2);
    for (int i = 0; i < 100; i++) {
        int picked = abl_method_latency.pick(c, 2, &request);
        failures += picked == 0;
        request.now += picked == 0 ? 1000 : 100000;
        answer(&c[picked], request.now, picked == 0 ? 1000 : 100000, picked == 0);
    }
    ck_assert_int_eq(failures, 1);
}
END_TEST

/* It was slow once, and is tried again some time later without anybody's help. */
START_TEST(slow_member_comes_back)
{
    abl_candidate_t c[2];
    abl_pick_t request = nobody;
    int64_t tried = 0;

    set_equal(c, 2);
    answer(&c[0], request.now, 2 * SECOND, false);
    for (int i = 0; i < 20000 && tried == 0; i++) {
        request.now += 10000;
        answer(&c[1], request.now, 10000, false);
        if (abl_method_latency.pick(c, 2, &request) == 0) {
            tried = request.now - nobody.now;
        }
    }
    ck_assert_int_gt(tried, 30 * SECOND);
    ck_assert_int_lt(tried, 90 * SECOND); /* 2 s to 10 ms: 7.6 half lives */
    answer(&c[0], request.now, 10000, false);
    ck_assert_uint_le(c[0].latency, 10001); /* and is then as good as the other */
}
END_TEST

/* ---- hash ------------------------------------------------------------------------------------------- */

#define KEYS 20000

/* Keys as the module has them: hashes. */
static apr_uint64_t key_of(int i)
{
    apr_uint64_t x = (apr_uint64_t)i + UINT64_C(0x9e3779b97f4a7c15) * (apr_uint64_t)(i + 1);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static int pick_key(abl_candidate_t *c, int n, apr_uint64_t key)
{
    abl_pick_t request = {.now = 1, .has_key = 1, .key = key};

    return abl_method_hash.pick(c, n, &request);
}

static void count_keys(abl_candidate_t *c, int n, int *got)
{
    memset(got, 0, (size_t)n * sizeof(*got));
    for (int i = 0; i < KEYS; i++) {
        got[pick_key(c, n, key_of(i))]++;
    }
}

START_TEST(keys_spread_by_weight)
{
    static const int weights[] = {1, 1, 2, 5, 1};
    abl_candidate_t c[5];
    int got[5];

    set(c, weights, 5);
    count_keys(c, 5, got);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_le(abs(got[i] - KEYS * weights[i] / 10), KEYS / 100);
    }
    set_equal(c, 5);
    count_keys(c, 5, got);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_le(abs(got[i] - KEYS / 5), KEYS / 100);
    }
}
END_TEST

/* Of n members one goes: exactly its keys move, and it gets exactly those back. The others' order in the
 * configuration does not matter either. */
START_TEST(only_the_keys_of_the_gone_move)
{
    static const int weights[] = {3, 1, 2, 1, 4, 1, 1};
    abl_candidate_t c[7], without[6];
    int moved = 0, belonged = 0;

    set(c, weights, 7);
    for (int i = 0; i < 6; i++) {
        without[i] = c[6 - i - (i > 3)]; /* in reverse, without c[2] */
    }
    for (int i = 0; i < KEYS; i++) {
        apr_uint64_t before = c[pick_key(c, 7, key_of(i))].id;
        apr_uint64_t after = without[pick_key(without, 6, key_of(i))].id;
        moved += before != after;
        belonged += before == c[2].id;
        ck_assert(before == after || before == c[2].id);
    }
    ck_assert_int_eq(moved, belonged);
    ck_assert_int_gt(belonged, KEYS / 10);
}
END_TEST

/* More weight for one takes keys from the others, and moves no other key. */
START_TEST(more_weight_only_attracts)
{
    static const int weights[] = {2, 2, 2};
    abl_candidate_t c[3];

    for (int i = 0; i < KEYS; i++) {
        set(c, weights, 3);
        int before = pick_key(c, 3, key_of(i));
        c[1].weight = 350;
        int after = pick_key(c, 3, key_of(i));
        ck_assert(after == before || after == 1);
    }
}
END_TEST

/* All requests have one key: its member takes 5/4 of its share, then the next ones. */
START_TEST(load_is_bounded)
{
    static const int weights[] = {1, 1, 2, 1, 5};
    abl_candidate_t c[5];

    set(c, weights, 5);
    c[4].usable = 0;
    c[4].busy = 10000; /* what others have who are not to be had is nobody's share */
    for (int i = 1; i <= 1000; i++) {
        c[pick_key(c, 5, key_of(1))].busy++;
        for (int k = 0; k < 4; k++) {
            ck_assert_uint_le(c[k].busy, (apr_uint32_t)(i * weights[k] + 3) / 4 + 1); /* ceil(1.25 i w / 5) */
        }
    }
}
END_TEST

/* A member that is full, down or tried is passed over, its keys spread over all others. */
START_TEST(next_best_is_spread)
{
    abl_candidate_t c[5];
    int got[5] = {0}, of_first = 0;

    set_equal(c, 5);
    for (int i = 0; i < KEYS; i++) {
        c[0].usable = 1;
        if (pick_key(c, 5, key_of(i)) != 0) {
            continue;
        }
        of_first++;
        c[0].usable = 0;
        got[pick_key(c, 5, key_of(i))]++;
    }
    for (int i = 1; i < 5; i++) {
        ck_assert_int_le(abs(got[i] - of_first / 4), of_first / 20);
    }
}
END_TEST

START_TEST(without_a_key_the_least_busy)
{
    abl_candidate_t c[3];

    set_equal(c, 3);
    c[0].busy = c[2].busy = 1;
    ck_assert_int_eq(pick(&abl_method_hash, c, 3), 1);
    ck_assert(abl_method_hash.takes_key);
}
END_TEST

UNIT_MAIN("methods", round_robin_is_smooth, shares_follow_weights, unusable_is_never_picked,
          extremes_are_survived, least_busy_for_its_weight, those_who_wait_count, decay_halves,
          decay_never_rises, decay_in_steps, latency_is_learnt, failures_are_charged, bytes_are_learnt,
          least_traffic_for_its_weight, traffic_evens_out, traffic_of_a_newcomer, the_fastest_is_preferred,
          latency_of_a_newcomer, fast_failure_does_not_attract, slow_member_comes_back, keys_spread_by_weight,
          only_the_keys_of_the_gone_move, more_weight_only_attracts, load_is_bounded, next_best_is_spread,
          without_a_key_the_least_busy)
