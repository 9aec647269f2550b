/* SPDX-License-Identifier: Apache-2.0
 *
 * From what requests that end are counted as to the samples that charts are made of.
 */
#include "base/clock.h"
#include "control/sampler.h"
#include "engine/ends.h"
#include "ledger/layout.h"
#include "ledger/view.h"
#include "ledger_world.h"

static ledger_world_t w;
static abl_sampler_t sampler;
static int64_t now;

static void world_of(void)
{
    make_world(&w, "a", 0);
    sit_down(&w);
    memset(&sampler, 0, sizeof(sampler));
    sampler.segment = w.segment;
    sampler.child = w.child;
    now = 0;
    ck_assert_int_eq(abl_sampler_work(&sampler, now, 1000), ABL_SAMPLE_SECONDS * ABL_SECOND);
}

static void ends(unsigned end, int status, int64_t took, int64_t waited, int times)
{
    abl_tally_event_t event = {
        .end = end, .status = status, .took = took, .waited = waited, .in = 3, .out = 5};

    while (times-- > 0) {
        abl_tally_count(w.ledger, &event);
    }
}

/* The next sample is due. */
static abl_history_t next(void)
{
    abl_history_t history;

    now += ABL_SAMPLE_SECONDS * ABL_SECOND;
    (void)abl_sampler_work(&sampler, now, 1000 + now / ABL_SECOND);
    abl_history_read(w.segment, 1, &history);
    ck_assert_int_gt(history.n, 0);
    return history;
}

static abl_sample_t last(const abl_history_t *history)
{
    return history->samples[history->n - 1];
}

START_TEST(tallies)
{
    abl_tally_event_t strange = {.end = ABL_TALLY_ENDS, .status = 200};
    abl_tally_t tally;

    world_of();
    ends(ABL_END_OK, 204, 100, -1, 3);
    ends(ABL_END_TIMEOUT, 504, 100, 50, 2);
    ends(ABL_END_CLIENT_GONE, 0, 100, -1, 1);
    ends(ABL_END_OK, 999, 100, -1, 1);
    abl_tally_count(w.ledger, &strange);
    abl_tally_read(w.segment, 1, &tally);
    ck_assert_uint_eq(tally.ended[ABL_END_OK][2], 3);
    ck_assert_uint_eq(tally.ended[ABL_END_OK][0], 1);
    ck_assert_uint_eq(tally.ended[ABL_END_TIMEOUT][5], 2);
    ck_assert_uint_eq(tally.ended[ABL_END_CLIENT_GONE][0], 1);
    ck_assert_uint_eq(tally.waited, 2);
    ck_assert_uint_eq(tally.in, 21);
    ck_assert_uint_eq(tally.out, 35);
    ck_assert_uint_eq(tally.took_sum, 700);
    ck_assert_uint_eq(tally.took[abl_latency_step(100)], 7);
    ck_assert_uint_eq(tally.waits[abl_latency_step(50)], 2);
    ck_assert_uint_eq(tally.waits_sum, 100);
}
END_TEST

START_TEST(samples)
{
    abl_history_t history;
    abl_sample_t s;

    world_of();
    ends(ABL_END_OK, 200, 1000, -1, 90);
    ends(ABL_END_OK, 500, 100000, -1, 5);
    ends(ABL_END_TIMEOUT, 504, 1000000, 2000, 5);
    ends(ABL_END_CLIENT_GONE, 0, 1000, -1, 10);
    take(w.ledger);
    history = next();
    ck_assert_int_eq(history.n, 1);
    ck_assert_int_eq(history.end, 1005);
    s = last(&history);
    ck_assert_uint_eq(s.requests, 110);
    ck_assert_uint_eq(s.errors, 10);
    ck_assert_uint_eq(s.busy, 1);
    ck_assert_uint_eq(s.queue, 0);
    ck_assert(s.took.p50 >= 1000 && s.took.p50 <= 1125);
    ck_assert(s.took.p99 >= 1000000 && s.took.p99 <= 1125000);
    ck_assert(s.wait >= 2000 && s.wait <= 2250);
    ck_assert(history.minute_took.p50 == s.took.p50);
    history = next(); /* nothing has ended */
    s = last(&history);
    ck_assert_uint_eq(s.requests, 0);
    ck_assert_uint_eq(s.took.p50, ABL_SAMPLE_NOTHING);
    ck_assert_uint_eq(s.wait, ABL_SAMPLE_NOTHING);
    ck_assert_uint_ne(history.minute_took.p50, ABL_SAMPLE_NOTHING);
    for (int i = 0; i < 60 / ABL_SAMPLE_SECONDS; i++) {
        history = next();
    }
    ck_assert_uint_eq(history.minute_took.p50, ABL_SAMPLE_NOTHING);
}
END_TEST

START_TEST(not_before_its_time)
{
    abl_history_t history;

    world_of();
    ck_assert_int_eq(abl_sampler_work(&sampler, now + ABL_SECOND, 1001), ABL_SAMPLE_SECONDS * ABL_SECOND);
    abl_history_read(w.segment, 1, &history);
    ck_assert_int_eq(history.n, 0);
}
END_TEST

START_TEST(the_oldest_go)
{
    abl_history_t history;

    world_of();
    ends(ABL_END_OK, 200, 1000, -1, 7);
    for (int i = 0; i < ABL_SAMPLES; i++) {
        history = next();
    }
    ck_assert_int_eq(history.n, ABL_SAMPLES);
    ck_assert_uint_eq(history.samples[0].requests, 7);
    history = next();
    ck_assert_int_eq(history.n, ABL_SAMPLES);
    ck_assert_uint_eq(history.samples[0].requests, 0);
    ck_assert_uint_eq(history.ever, ABL_SAMPLES + 1);
}
END_TEST

/* Statistics were begun anew in between: what has come since is counted. */
START_TEST(after_a_reset)
{
    abl_history_t history;

    world_of();
    ends(ABL_END_OK, 200, 1000, -1, 50);
    (void)next();
    ck_assert_int_eq(abl_steer_reset(&(abl_gate_t){.segment = w.segment, .balancer = "test"}, 1),
                     APR_SUCCESS);
    ends(ABL_END_OK, 200, 1000, -1, 3);
    history = next();
    ck_assert_uint_eq(last(&history).requests, 3);
}
END_TEST

/* Another balancer has got the index of one that is gone. */
START_TEST(a_new_balancer)
{
    abl_history_t history;

    world_of();
    ends(ABL_END_OK, 200, 1000, -1, 50);
    history = next();
    ck_assert_uint_ne(history.minute_took.p50, ABL_SAMPLE_NOTHING);
    abl_tally_clear(w.segment, 1);
    abl_history_clear(w.segment, 1);
    now += ABL_SAMPLE_SECONDS * ABL_SECOND;
    (void)abl_sampler_work(&sampler, now, 2000);
    ck_assert(abl_history_is_empty(w.segment, 1));
    ends(ABL_END_OK, 200, 500000, -1, 2);
    history = next();
    ck_assert_int_eq(history.n, 1);
    ck_assert_uint_eq(last(&history).requests, 2);
    ck_assert_uint_ge(history.minute_took.p50, 400000);
}
END_TEST

START_TEST(whose_fault)
{
    ck_assert(abl_end_is_error(ABL_END_OK, 5));
    ck_assert(!abl_end_is_error(ABL_END_OK, 4));
    ck_assert(abl_end_is_error(ABL_END_QUEUE_TIMEOUT, 5));
    ck_assert(abl_end_is_error(ABL_END_SHORT, 2));
    ck_assert(!abl_end_is_error(ABL_END_CLIENT_GONE, 0));
    ck_assert(!abl_end_is_error(ABL_END_CLIENT_BODY, 4));
    ck_assert(!abl_end_is_error(ABL_END_REFUSED, 4));
    for (unsigned end = ABL_END_OK; end < ABL_ENDS; end++) {
        ck_assert_str_ne(abl_end_word(end), "none");
    }
    ck_assert_str_eq(abl_end_word(ABL_ENDS), "none");
}
END_TEST

UNIT_MAIN("sampler", tallies, samples, not_before_its_time, the_oldest_go, after_a_reset, a_new_balancer,
          whose_fault)
