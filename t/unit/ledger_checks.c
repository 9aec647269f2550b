/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that are checked: who is left out, who has to prove himself, and the place that a check takes.
 */
#include "ledger/checks.h"
#include "base/clock.h"
#include "ledger/health.h"
#include "ledger/layout.h"
#include "ledger_world.h"

#include <unistd.h>

static ledger_world_t w;

#define GATE(address) (&(abl_gate_t){w.segment, w.child, "test", address})

static void world_of(const char *addresses, int concurrency, bool mandatory)
{
    make_world(&w, addresses, concurrency);
    w.conf.eject = (abl_eject_conf_t){
        .failures = 1, .rate = 100, .over = 30000000, .duration = 60000000, .max_share = 50};
    w.conf.outage_wait = INT64_C(1000000);
    w.conf.checked = true;
    w.conf.mandatory = mandatory;
    w.conf.name = "test2"; /* new members: make_world() has made its own without checks */
    configure(&w);
    sit_down(&w);
}

#undef GATE
#define GATE(address) (&(abl_gate_t){w.segment, w.child, "TEST2", address})

static void passes(const char *address, unsigned rise, abl_checks_change_t expected)
{
    ck_assert_int_eq(abl_checks_pass(GATE(address), rise), expected);
    sound(&w);
}

static void fails(const char *address, unsigned fall, abl_checks_change_t expected)
{
    ck_assert_int_eq(abl_checks_fail(GATE(address), fall), expected);
    sound(&w);
}

START_TEST(rise_and_fall)
{
    world_of("ab", 0, false);
    fails("a", 3, ABL_CHECKS_SAME);
    fails("a", 3, ABL_CHECKS_SAME);
    passes("a", 2, ABL_CHECKS_SAME); /* not in a row */
    fails("a", 3, ABL_CHECKS_SAME);
    fails("a", 3, ABL_CHECKS_SAME);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
    fails("a", 3, ABL_CHECKS_OUT);
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    fails("a", 3, ABL_CHECKS_SAME); /* said once */
    passes("a", 2, ABL_CHECKS_OUT);
    fails("a", 3, ABL_CHECKS_SAME);
    passes("a", 2, ABL_CHECKS_OUT);
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    passes("a", 2, ABL_CHECKS_IN);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
}
END_TEST

START_TEST(all_unfit)
{
    abl_want_t soft = {.only = 0}, strict = {.only = 0, .strict = true};

    world_of("ab", 0, false);
    fails("a", 1, ABL_CHECKS_OUT);
    fails("b", 1, ABL_CHECKS_OUT);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab"); /* a sick pool is better than none */
    ck_assert_str_eq(used(w.ledger, &soft), "a"); /* sessions stay where they are */
    ck_assert_str_eq(used(w.ledger, &strict), "a");
    passes("b", 1, ABL_CHECKS_IN);
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    ck_assert_str_eq(used(w.ledger, &soft), "b");
}
END_TEST

/* Who asks for a second member beside the first gets no lesser one because the first is the only good one. */
START_TEST(beside_another)
{
    abl_want_t beside = {.only = -1, .hurry = true, .beside = true}, after = {.only = -1, .hurry = true};

    world_of("abc", 0, false);
    w.members[2].status = ABL_STATUS_BACKUP;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    abl_tried_add(&beside.tried, 0);
    abl_tried_add(&after.tried, 0);
    ck_assert_str_eq(used(w.ledger, &beside), "b");
    fails("b", 1, ABL_CHECKS_OUT);
    ck_assert_str_eq(used(w.ledger, &beside), "nobody");
    ck_assert_str_eq(used(w.ledger, &after), "c"); /* the first has failed: that is what backups are for */
    fails("a", 1, ABL_CHECKS_OUT);                 /* now the backup is in use for everybody */
    ck_assert_str_eq(used(w.ledger, &beside), "c");
    fails("c", 1, ABL_CHECKS_OUT); /* panic */
    ck_assert_str_eq(used(w.ledger, &beside), "nobody");
}
END_TEST

START_TEST(spares_and_shares)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    abl_outcome_t bad = {.latency = 1, .failed = true, .what = 1, .client = 1};
    int got;

    world_of("abc", 0, false);
    w.members[2].status = ABL_STATUS_SPARE;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
    fails("a", 1, ABL_CHECKS_OUT);
    ck_assert_str_eq(used(w.ledger, &ANY), "bc");
    want.only = 1; /* one of three is out: with another one it would be more than half */
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
    abl_ledger_give(w.ledger, got, &bad);
    ck_assert_str_eq(used(w.ledger, &ANY), "bc");
}
END_TEST

START_TEST(proves_itself)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;

    world_of("ab", 0, true);
    ticket = queue_as(w.ledger, &want); /* who comes before anybody has passed waits */
    fails("a", 1, ABL_CHECKS_SAME);
    ck_assert(still_waits(w.ledger, &ticket));
    passes("b", 5, ABL_CHECKS_IN); /* one is enough */
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    passes("a", 5, ABL_CHECKS_IN);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
    configure(&w); /* who is known has proved itself */
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
}
END_TEST

START_TEST(away)
{
    abl_outcome_t good = {.latency = 1};
    int got;

    world_of("ab", 0, false);
    got = take(w.ledger);
    abl_ledger_give(w.ledger, got, &good);
    fails("a", 1, ABL_CHECKS_OUT);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    fails("a", 1, ABL_CHECKS_SAME);
    passes("a", 5, ABL_CHECKS_IN); /* it is another one now: once is enough */
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
}
END_TEST

START_TEST(not_checked_any_more)
{
    world_of("ab", 0, true);
    passes("b", 1, ABL_CHECKS_IN);
    fails("b", 1, ABL_CHECKS_OUT);
    w.conf.checked = w.conf.mandatory = false;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
    fails("a", 1, ABL_CHECKS_SAME);
    ck_assert_uint_eq(abl_checks_take(GATE("a")), 0);
    ck_assert_str_eq(used(w.ledger, &ANY), "ab");
}
END_TEST

START_TEST(a_place)
{
    abl_ticket_t *ticket;
    uint32_t row;

    world_of("a", 1, false);
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert_uint_eq(abl_checks_take(GATE("a")), 0); /* it is at work */
    abl_ledger_give(w.ledger, 0, NULL);
    row = abl_checks_take(GATE("a"));
    ck_assert_uint_ne(row, 0);
    sound(&w);
    ticket = queue(w.ledger);
    abl_checks_give(w.segment, w.child, row);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0); /* handed on */
    abl_ledger_give(w.ledger, 0, NULL);
    abl_checks_give(w.segment, w.child, row); /* what is not held is not given */
    sound(&w);
}
END_TEST

static void die_at(abl_probe_t at)
{
    if (at == ABL_PROBE_COUNTED) {
        kill(getpid(), SIGKILL);
    }
}

/* Whoever has the place for a check is killed with it. */
START_TEST(killed)
{
    pid_t pid;

    world_of("a", 1, false);
    pid = fork();
    if (pid == 0) {
        abl_child_t *child;
        (void)abl_segment_join(w.segment, &child);
        abl_ledger_probe = die_at;
        (void)abl_checks_take(&(abl_gate_t){w.segment, child, "test2", "a"});
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    abl_segment_reap(w.segment, pid);
    sound(&w);
    ck_assert_int_eq(take(w.ledger), 0);
    abl_ledger_give(w.ledger, 0, NULL);
}
END_TEST

UNIT_MAIN("ledger_checks", rise_and_fall, all_unfit, beside_another, spares_and_shares, proves_itself, away,
          not_checked_any_more, a_place, killed)
