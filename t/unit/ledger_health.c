/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that fail: what counts as a failure, who is ejected and for how long, who is waited for.
 */
#include "ledger/health.h"
#include "base/clock.h"
#include "ledger/layout.h"
#include "ledger/view.h"
#include "ledger_world.h"
#include "member_view.h"

#include <unistd.h>

static ledger_world_t w;

#define GATE(address) (&(abl_gate_t){w.segment, w.child, "test", address})

static void world_of(const char *addresses, abl_eject_conf_t eject)
{
    make_world(&w, addresses, 0);
    w.conf.eject = eject;
    w.conf.outage_wait = INT64_C(1000000);
    configure(&w);
    sit_down(&w);
}

#define EJECT(n)                                                                                             \
    ((abl_eject_conf_t){                                                                                     \
        .failures = (n), .rate = 100, .over = 30000000, .duration = 60000000, .max_share = 50})

static abl_health_view_t look(int member)
{
    abl_health_view_t view;
    uint32_t row = 0;

    for (int i = 0; i <= member; i++) {
        ck_assert(abl_health_next(w.segment, w.child, &row, &view));
    }
    return view;
}

/* A request at this member, and how it ends. */
static void end_at(int member, abl_outcome_t outcome)
{
    abl_want_t want = {.only = member, .strict = true};
    abl_ticket_t *ticket;
    int got;

    if (look(member).ejected || look(member).away) {
        return;
    }
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
    abl_ledger_give(w.ledger, got, &outcome);
}

static void good(int member, uint64_t what)
{
    end_at(member, (abl_outcome_t){.latency = 1000, .what = what, .client = 1});
}

static void bad(int member, uint64_t what, uint64_t client)
{
    end_at(member, (abl_outcome_t){.latency = 1000, .failed = true, .what = what, .client = client});
}

START_TEST(in_a_row)
{
    world_of("ab", EJECT(3));
    bad(0, 1, 1);
    bad(0, 2, 2);
    ck_assert(!look(0).ejected);
    good(0, 3);
    bad(0, 4, 4);
    bad(0, 5, 5);
    ck_assert(!look(0).ejected); /* the good one lies between */
    bad(0, 6, 6);
    ck_assert(look(0).ejected);
    ck_assert(!look(0).by_rate);
    sound(&w);
}
END_TEST

/* One target, one client: counts once, until it goes well elsewhere. */
START_TEST(whose_fault)
{
    world_of("ab", EJECT(3));
    for (int i = 0; i < 10; i++) {
        bad(0, 7, 1);
    }
    ck_assert(!look(0).ejected);
    for (int i = 0; i < 10; i++) {
        bad(0, 100 + (uint64_t)i, 1); /* other targets of the same client */
    }
    ck_assert(!look(0).ejected);
    for (int i = 0; i < 3; i++) {
        bad(0, 7, 2 + (uint64_t)i); /* other clients with the same target */
    }
    ck_assert(!look(0).ejected);
    bad(0, 7, 9);
    ck_assert(look(0).ejected); /* it is the 24th in a row, with nothing else between */

    world_of("ab", EJECT(3));
    bad(0, 7, 1);
    ck_assert(abl_health_asks(w.ledger));
    good(1, 7);
    bad(0, 7, 1);
    bad(0, 7, 1);
    ck_assert(look(0).ejected);
    sound(&w);
}
END_TEST

/* Failures of one client, of which nobody knows whose fault they were, count when another member has answered
 * the same; unless the member has answered something itself since. */
START_TEST(proven_later)
{
    world_of("ab", EJECT(3));
    for (uint64_t i = 1; i <= 3; i++) {
        bad(0, i, 1);
    }
    ck_assert(!look(0).ejected);
    good(1, 2);
    ck_assert(!look(0).ejected);
    good(1, 2); /* once for each */
    ck_assert(!look(0).ejected);
    good(1, 3);
    ck_assert(look(0).ejected);
    sound(&w);

    world_of("ab", EJECT(3));
    for (uint64_t i = 1; i <= 3; i++) {
        bad(0, i, 1);
    }
    usleep(10);
    good(0, 4);
    good(1, 2);
    good(1, 3);
    ck_assert(!look(0).ejected);
}
END_TEST

/* What goes well for all others fails for one client, wherever he goes. */
START_TEST(fails_for_one)
{
    world_of("abcd", EJECT(3));
    for (uint64_t i = 0; i < 60; i++) {
        bad((int)(i % 4), 7, 1);
        end_at((int)(i / 4 % 4), (abl_outcome_t){.latency = 1000, .what = 7, .client = 2 + i});
    }
    for (int i = 0; i < 4; i++) {
        ck_assert(!look(i).ejected);
    }
}
END_TEST

START_TEST(fails_everywhere)
{
    world_of("abc", EJECT(2));
    for (uint64_t i = 0; i < 200; i++) {
        bad((int)(i % 3), 7, i);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert(!look(i).ejected);
    }
}
END_TEST

START_TEST(one_event)
{
    abl_outcome_t outcome = {.latency = -1, .failed = true, .unanswered = true, .broken = true, .began = 1};

    world_of("ab", EJECT(5));
    for (uint64_t i = 0; i < 20; i++) { /* a process dies, and 20 connections with it */
        outcome.what = outcome.client = 1 + i;
        end_at(0, outcome);
    }
    ck_assert(!look(0).ejected);
}
END_TEST

START_TEST(unanswered_counts_twice)
{
    abl_outcome_t outcome = {.latency = -1, .failed = true, .unanswered = true};

    world_of("ab", EJECT(5));
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert(!look(0).ejected);
        outcome.what = outcome.client = 1 + i;
        end_at(0, outcome);
    }
    ck_assert(look(0).ejected);
}
END_TEST

START_TEST(by_rate)
{
    abl_eject_conf_t eject = EJECT(1000);

    eject.rate = 50;
    world_of("ab", eject);
    bad(0, 7, 1);
    good(1, 7);
    for (int i = 0; i < 30; i++) { /* two in three go well */
        bad(0, 7, 1);
        good(0, 8);
        good(0, 8);
    }
    ck_assert(!look(0).ejected);
    for (int i = 0; i < 70 && !look(0).ejected; i++) {
        bad(0, 7, 1);
        bad(0, 7, 1);
        good(0, 8);
    }
    ck_assert(look(0).ejected);
    ck_assert(look(0).by_rate);
    ck_assert_uint_ge(look(0).fails, 50);
}
END_TEST

START_TEST(comes_back)
{
    abl_eject_conf_t eject = EJECT(2);
    int64_t at, first, second;

    eject.duration = 20000;
    world_of("ab", eject);
    bad(0, 1, 1);
    bad(0, 2, 2);
    ck_assert(look(0).ejected);
    first = look(0).until - abl_clock_now();
    ck_assert_int_gt(abl_health_tick(w.segment, w.child), abl_clock_now() - 20000);
    while (look(0).ejected) {
        at = abl_health_tick(w.segment, w.child);
        ck_assert(at != INT64_MAX || !look(0).ejected);
        usleep(1000);
    }
    bad(0, 3, 3); /* on trial: one is enough */
    ck_assert(look(0).ejected);
    second = look(0).until - abl_clock_now();
    ck_assert_int_gt(second, first); /* and for longer */
    while (look(0).ejected) {
        (void)abl_health_tick(w.segment, w.child);
        usleep(1000);
    }
    good(0, 4);
    good(0, 5);
    bad(0, 6, 6);
    ck_assert(!look(0).ejected); /* it has passed */
    sound(&w);
}
END_TEST

START_TEST(not_too_many)
{
    world_of("abcd", EJECT(1));
    for (int i = 0; i < 4; i++) {
        bad(i, 10 + (uint64_t)i, 1);
    }
    ck_assert(look(0).ejected && look(1).ejected);
    ck_assert(!look(2).ejected && !look(3).ejected);
    world_of("a", EJECT(1));
    bad(0, 1, 1);
    ck_assert(!look(0).ejected);
}
END_TEST

START_TEST(panic)
{
    abl_eject_conf_t eject = EJECT(1);
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int got;

    eject.max_share = 100;
    world_of("ab", eject);
    bad(0, 1, 1);
    bad(1, 2, 1);
    ck_assert(look(0).ejected && look(1).ejected);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
    abl_ledger_give(w.ledger, got, NULL);
    sound(&w);
}
END_TEST

/* Whoever may go to one member only has nobody else: for him that is panic. */
START_TEST(panic_of_one)
{
    abl_want_t soft = {.only = 0}, strict = {.only = 0, .strict = true};

    world_of("ab", EJECT(1));
    bad(0, 1, 1);
    ck_assert(look(0).ejected);
    ck_assert_str_eq(used(w.ledger, &soft), "b");
    ck_assert_str_eq(used(w.ledger, &strict), "a");
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    ck_assert_str_eq(used(w.ledger, &strict), "nobody");
}
END_TEST

START_TEST(away)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int got;

    world_of("ab", EJECT(5));
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    ck_assert(look(0).away);
    ck_assert_int_eq(look(0).error, 111);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
        ck_assert_int_eq(got, 1);
        abl_ledger_give(w.ledger, got, NULL);
    }
    abl_health_away(w.ledger, 1, 111, abl_clock_now());
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_ENOENT); /* never met */
    ck_assert(abl_health_back(GATE("a")));
    ck_assert(!abl_health_back(GATE("a")));
    ck_assert(!look(0).away);
    sound(&w);
}
END_TEST

/* Who has tried the only member that there is waits for it, and may try it again. */
START_TEST(outage)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int got;

    world_of("a", EJECT(5));
    good(0, 1);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    abl_tried_add(&want.tried, 0);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_EINPROGRESS);
    sound(&w);
    ck_assert(abl_health_back(GATE("a")));
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &ticket, &got), APR_SUCCESS);
    abl_ledger_give(w.ledger, got, NULL);
    sound(&w);
}
END_TEST

START_TEST(long_outage)
{
    abl_want_t first = ANY, second = ANY;
    abl_ticket_t *ticket, *none;
    int64_t until = abl_clock_now() + 1050000;
    int got;

    world_of("a", EJECT(5));
    good(0, 1);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    ck_assert_int_eq(abl_ledger_take(w.ledger, &first, &got, &ticket), APR_EINPROGRESS);
    while (abl_clock_now() < until) {
        usleep(10000);
    }
    ck_assert_int_eq(abl_ledger_take(w.ledger, &second, &got, &none), APR_ENOENT);
    abl_ledger_leave(w.ledger, &ticket);
    ck_assert(abl_health_back(GATE("a")));
    abl_health_away(w.ledger, 0, 111, abl_clock_now()); /* another outage */
    second = ANY;
    ck_assert_int_eq(abl_ledger_take(w.ledger, &second, &got, &ticket), APR_EINPROGRESS);
    abl_ledger_leave(w.ledger, &ticket);
    sound(&w);
}
END_TEST

static abl_member_view_t view_of(int member)
{
    return member_view(w.segment, member);
}

START_TEST(slow_start)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket, *waits;
    int got, n = 0;

    make_world(&w, "ab", 10);
    w.members[0].slow_start = 200000;
    w.members[1].status = ABL_STATUS_DISABLED;
    w.conf.outage_wait = 1000000;
    configure(&w);
    sit_down(&w);
    ck_assert_uint_eq(view_of(0).share, 100); /* httpd has just begun, and the member has not */
    good(0, 1);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    ck_assert(abl_health_back(GATE("a")));
    ck_assert_uint_eq(view_of(0).share, 10);
    ck_assert_uint_eq(view_of(0).weight, 100);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &waits),
                     APR_EINPROGRESS); /* one of ten, by now */
    sound(&w);
    while (abl_ledger_collect(w.ledger, &waits, &got) == APR_EAGAIN && n++ < 2000) {
        (void)abl_health_tick(w.segment, w.child);
        usleep(1000);
    }
    ck_assert(waits == NULL); /* there is room for it later, though nothing has ended */
    while (abl_health_tick(w.segment, w.child) != INT64_MAX && n++ < 4000) {
        usleep(1000);
    }
    ck_assert_uint_eq(view_of(0).share, 100);
    sound(&w);
}
END_TEST

/* Whoever is killed between two stores leaves the dirty word, and perhaps nothing of what is to follow. */
START_TEST(killed_between)
{
    abl_eject_conf_t eject = EJECT(1);
    uint64_t rung;
    int n = 0;

    eject.duration = 20000;
    world_of("ab", eject);
    bad(0, 1, 1);
    ck_assert(look(0).ejected);
    while (read(abl_health_bell(w.segment), &rung, sizeof(rung)) > 0) {
    }
    w.segment->balancers[1].change_at = 0;
    w.segment->shared->dirty = 1;
    ck_assert(look(0).ejected); /* whoever looks makes good for it */
    ck_assert_int_eq(read(abl_health_bell(w.segment), &rung, sizeof(rung)), sizeof(rung));
    while (look(0).ejected && n++ < 2000) {
        (void)abl_health_tick(w.segment, w.child);
        usleep(1000);
    }
    ck_assert(!look(0).ejected);
    sound(&w);
}
END_TEST

/* One that was dead all along is not waited for because a request has failed at the one that works. */
START_TEST(no_outage)
{
    abl_want_t tried = ANY, want = ANY;
    abl_ticket_t *ticket;
    int got;

    world_of("ab", EJECT(5));
    good(1, 1);
    abl_health_away(w.ledger, 1, 111, abl_clock_now());
    abl_tried_add(&tried.tried, 0);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &tried, &got, &ticket), APR_ENOENT);
    ck_assert_int_eq(w.segment->balancers[1].outage_since, 0);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
    abl_ledger_give(w.ledger, got, NULL);
    sound(&w);
}
END_TEST

START_TEST(old_news)
{
    int64_t before = abl_clock_now();

    world_of("ab", EJECT(5));
    abl_health_away(w.ledger, 0, 111, before);
    ck_assert(abl_health_back(GATE("a")));
    abl_health_away(w.ledger, 0, 111, before); /* that was tried before it came back */
    ck_assert(!look(0).away);
    usleep(10);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    ck_assert(look(0).away);
}
END_TEST

UNIT_MAIN("ledger_health", in_a_row, whose_fault, proven_later, fails_for_one, fails_everywhere, one_event,
          unanswered_counts_twice, by_rate, comes_back, not_too_many, panic, panic_of_one, away, outage,
          long_outage, slow_start, killed_between, no_outage, old_news)
