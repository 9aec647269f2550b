/* SPDX-License-Identifier: Apache-2.0
 *
 * Members by name: pending until it is known where they are, vacant when nobody is there, and others without
 * anybody noticing; read without the lock while they change; written by a process that may be killed.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "ledger/health.h"
#include "ledger/layout.h"
#include "ledger/settle.h"
#include "ledger/site_row.h"
#include "ledger/view.h"
#include "ledger_world.h"
#include "member_view.h"

static ledger_world_t w;

#define GATE(name) (&(abl_gate_t){w.segment, w.child, "TEST", name})

/* Members of which those in `named` are slots. */
static void world_of(const char *addresses, int concurrency, const char *named, abl_naming_t naming)
{
    make_world(&w, addresses, concurrency);
    w.conf.outage_wait = 1000000;
    w.conf.eject = (abl_eject_conf_t){
        .failures = 1, .rate = 100, .over = 30000000, .duration = INT64_C(600000000), .max_share = 100};
    for (int i = 0; i < w.conf.nmembers; i++) {
        w.members[i].naming = strchr(named, w.members[i].address[0]) != NULL ? naming : ABL_NAMING_NONE;
    }
    configure(&w);
    sit_down(&w);
}

/* Somebody with this id, at 10.0.0.ID. */
static abl_occupant_t somebody(int id)
{
    abl_occupant_t who = {.id = (apr_uint64_t)id, .n = 1, .weight = 100};
    char text[32];

    (void)snprintf(text, sizeof(text), "10.0.0.%d", id);
    ck_assert(abl_ip_read(text, 80, &who.ips[0]));
    return who;
}

static void put(const char *address, int id)
{
    abl_occupant_t who = somebody(id);

    who.late = true;
    ck_assert(abl_site_settle(GATE(address), &who));
    sound(&w);
}

static void vacate(const char *address)
{
    ck_assert(abl_site_settle(GATE(address), NULL));
    sound(&w);
}

static abl_site_view_t look(const char *address)
{
    abl_site_view_t view;

    ck_assert(abl_site_look(GATE(address), &view));
    return view;
}

START_TEST(pending_is_waited_for)
{
    abl_ticket_t *ticket;

    world_of("ab", 0, "ab", ABL_NAMING_SLOT);
    ticket = queue(w.ledger);
    ck_assert(still_waits(w.ledger, &ticket));
    ck_assert(look("a").pending && look("b").pending);
    put("b", 7);
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    vacate("a");
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    ck_assert(!abl_site_settle(GATE("nobody"), NULL));
}
END_TEST

START_TEST(vacant_is_nobody)
{
    abl_want_t want = ANY, only = {.only = 0}, strict = {.only = 0, .strict = true};
    abl_balancer_view_t *view = calloc(1, sizeof(*view));
    abl_ticket_t *ticket;
    int member;

    world_of("ab", 0, "ab", ABL_NAMING_SLOT);
    ticket = queue(w.ledger);
    vacate("a");
    ck_assert(still_waits(w.ledger, &ticket));
    vacate("b");
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &ticket, &member), APR_ENOENT); /* nobody to wait for */
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_ENOENT);
    put("b", 7);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &strict, &member, &ticket), APR_ENOENT);
    ck_assert_str_eq(used(w.ledger, &only), "b");
    ck_assert(abl_view_balancer(w.segment, 1, view));
    ck_assert_int_eq(view->nmembers, 1);
    ck_assert_str_eq(member_view(w.segment, 0).route, "0000000000000007");
    ck_assert_int_eq(member_view(w.segment, 0).site.n, 1);
    free(view);
}
END_TEST

START_TEST(who_waits_for_one_that_goes_waits_for_all)
{
    abl_want_t only = {.only = 0}, strict = {.only = 0, .strict = true};
    abl_ticket_t *ticket, *refused;
    int member;

    world_of("ab", 1, "ab", ABL_NAMING_SLOT);
    put("a", 1);
    put("b", 2);
    take(w.ledger);
    take(w.ledger);
    ticket = queue_as(w.ledger, &only);
    refused = queue_as(w.ledger, &strict);
    vacate("a");
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &refused, &member), APR_ENOENT);
    ck_assert(still_waits(w.ledger, &ticket));
    ck_assert_int_eq(look("a").busy, 1);
    abl_ledger_give(w.ledger, 0, NULL); /* what was under way there ends, and nobody gets its place */
    ck_assert(still_waits(w.ledger, &ticket));
    sound(&w);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    sound(&w);
}
END_TEST

static abl_health_view_t health(void)
{
    abl_health_view_t view;
    uint32_t row = 0;

    ck_assert(abl_health_next(w.segment, w.child, &row, &view));
    return view;
}

START_TEST(what_is_known_of_one_goes_with_it)
{
    abl_outcome_t outcome = {.latency = 5000, .failed = true, .bytes = 100};
    int64_t before;

    world_of("ab", 0, "ab", ABL_NAMING_SLOT);
    put("a", 1);
    vacate("b");
    before = abl_clock_now();
    outcome.began = before;
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert_int_eq(take(w.ledger), 0);
    abl_ledger_give(w.ledger, 0, &outcome);
    ck_assert(health().ejected);
    ck_assert_str_eq(health().name, "a (10.0.0.1:80)");
    put("a", 2);
    ck_assert(!health().ejected);
    ck_assert_int_eq((int)health().id, 2);
    abl_ledger_give(w.ledger, 0, &outcome); /* that was at the one before */
    ck_assert(!health().ejected);
    abl_health_away(w.ledger, 0, 111, before);
    ck_assert(!health().away);
    ck_assert_uint_eq(w.segment->rows[1].c.latency, 0);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    ck_assert(health().away);
    sound(&w);
}
END_TEST

/* The same key goes to the same address, in whatever slot that is. */
START_TEST(keys_go_with_addresses)
{
    int home[64];

    world_of("abcd", 0, "abcd", ABL_NAMING_SLOT);
    ck_assert_int_eq(abl_ledger_home(w.ledger, 5), -1); /* nobody knows yet */
    put("a", 1);
    put("b", 2);
    put("c", 3);
    vacate("d");
    for (int i = 0; i < 64; i++) {
        int member = abl_ledger_home(w.ledger, UINT64_C(0x9e3779b97f4a7c15) * (unsigned)(i + 1));
        ck_assert_int_ge(member, 0);
        home[i] = (int)abl_site_id(w.ledger, member);
    }
    vacate("b");
    put("d", 2);
    ck_assert_int_eq((int)abl_site_id(w.ledger, 1), 0);
    for (int i = 0; i < 64; i++) {
        int member = abl_ledger_home(w.ledger, UINT64_C(0x9e3779b97f4a7c15) * (unsigned)(i + 1));
        ck_assert_int_eq(home[i], (int)abl_site_id(w.ledger, member));
    }
}
END_TEST

START_TEST(records_have_weights_and_sets)
{
    abl_occupant_t who = somebody(1), other = somebody(2);

    world_of("ab", 0, "ab", ABL_NAMING_RECORD);
    other.set = 1;
    ck_assert(abl_site_settle(GATE("a"), &who) && abl_site_settle(GATE("b"), &other));
    ck_assert_str_eq(used(w.ledger, &ANY), "a");
    ck_assert_int_eq(abl_ledger_home(w.ledger, 9), 0);
    who.set = 2;
    who.weight = 7;
    ck_assert(abl_site_settle(GATE("a"), &who));
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    ck_assert_int_eq(abl_ledger_home(w.ledger, 9), 1);
    sound(&w);
    configure(&w); /* the configuration does not know better */
    ck_assert_uint_eq(look("a").weight, 7);
    ck_assert_int_eq(look("a").set, 2);
    sound(&w);
}
END_TEST

START_TEST(a_host_has_several_addresses)
{
    abl_occupant_t who = somebody(1);
    abl_site_t site;
    uint32_t epoch;
    int64_t before;

    world_of("a", 0, "a", ABL_NAMING_HOST);
    who.ips[1] = somebody(2).ips[0];
    who.n = 2;
    ck_assert(abl_site_settle(GATE("a"), &who));
    epoch = abl_site_epoch(w.ledger, 0);
    ck_assert(abl_site_settle(GATE("a"), &who));
    ck_assert_uint_eq(abl_site_epoch(w.ledger, 0), epoch); /* nothing has changed */
    abl_site_read(w.ledger, 0, &site);
    ck_assert(site.n == 2 && abl_ip_same(&site.ips[1], &who.ips[1]));
    who.n = 1;
    before = abl_clock_now();
    usleep(1);
    ck_assert(abl_site_settle(GATE("a"), &who));
    ck_assert_uint_ne(abl_site_epoch(w.ledger, 0), epoch);
    epoch = abl_site_epoch(w.ledger, 0);
    abl_health_away(w.ledger, 0, 111, before); /* it was where it is no more */
    ck_assert(!health().away);
    configure(&w); /* a graceful restart brings nothing new */
    abl_site_read(w.ledger, 0, &site);
    ck_assert(site.n == 1 && site.epoch == epoch && !look("a").pending);
    ck_assert_str_eq(health().name, "a (10.0.0.1:80)");
    sound(&w);
}
END_TEST

/* Gone from the configuration and back: nobody has looked it up meanwhile. */
START_TEST(who_was_gone_is_pending_again)
{
    world_of("ab", 0, "b", ABL_NAMING_HOST);
    put("b", 1);
    w.conf.nmembers = 1;
    configure(&w);
    w.conf.nmembers = 2;
    configure(&w);
    ck_assert(look("b").pending);
    ck_assert_int_eq(look("b").site.n, 0);
    sound(&w);
}
END_TEST

/* ---- without the lock ------------------------------------------------------------------------------- */

/* All addresses of a site are the same number, and as many as it says. */
static void write_for_ever(void)
{
    for (int i = 0;; i++) {
        abl_occupant_t who = somebody(1);
        who.n = i % ABL_ADDRESSES_MAX + 1;
        for (int k = 0; k < who.n; k++) {
            memset(who.ips[k].bytes, who.n, sizeof(who.ips[k].bytes));
        }
        abl_site_publish(w.segment, 1, who.ips, who.n); /* nobody else writes */
    }
}

START_TEST(readers_see_one_answer_or_another)
{
    uint32_t epoch = 0;
    pid_t writer;
    int changes = 0;

    world_of("a", 0, "a", ABL_NAMING_HOST);
    put("a", 1);
    writer = fork();
    if (writer == 0) {
        ck_assert_int_eq(abl_segment_join(w.segment, &w.child), APR_SUCCESS);
        write_for_ever();
    }
    for (int64_t until = abl_clock_now() + ABL_SECOND / 2; abl_clock_now() < until || changes < 100;) {
        abl_site_t site;
        abl_site_read(w.ledger, 0, &site);
        changes += site.epoch != epoch;
        epoch = site.epoch;
        ck_assert(site.n >= 1 && site.n <= ABL_ADDRESSES_MAX);
        for (int k = 0; k < site.n && site.ips[0].bytes[0] != 10; k++) {
            ck_assert_int_eq(site.ips[k].bytes[0], site.n);
            ck_assert_int_eq(site.ips[k].bytes[15], site.n);
        }
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    abl_segment_reap(w.segment, writer);
    sound(&w);
}
END_TEST

static int deaths;

static void die_there(abl_probe_t at)
{
    if (at == ABL_PROBE_SITE && --deaths == 0) {
        raise(SIGKILL);
    }
}

/* Whoever is killed between two stores leaves what was, or nobody; and the next one can go on. */
static void die(int at, int id)
{
    pid_t pid = fork();

    if (pid == 0) {
        abl_occupant_t who = somebody(id);
        if (abl_segment_join(w.segment, &w.child) == APR_SUCCESS) {
            deaths = at;
            abl_ledger_probe = die_there;
            (void)abl_site_settle(GATE("a"), id != 0 ? &who : NULL);
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    abl_segment_reap(w.segment, pid);
    sound(&w);
}

START_TEST(killed_between_two_stores)
{
    for (int at = 1; at <= 2; at++) {
        world_of("ab", 0, "ab", ABL_NAMING_SLOT);
        put("a", 1);
        put("b", 2);
        die(at, 3); /* where somebody else is to come */
        ck_assert_str_eq(used(w.ledger, &ANY), "b");
        put("a", 3);
        ck_assert_str_eq(used(w.ledger, &ANY), "ab");
        ck_assert_int_eq((int)abl_site_id(w.ledger, 0), 3);
        die(at, 0); /* or nobody */
        ck_assert_str_eq(used(w.ledger, &ANY), "b");
        put("a", 4);
        ck_assert_str_eq(used(w.ledger, &ANY), "ab");
    }
}
END_TEST

START_TEST(faults_are_found)
{
    char verdict[ABL_CHECK_MAX];

    world_of("ab", 0, "ab", ABL_NAMING_SLOT);
    put("a", 1);
    vacate("b");
    w.segment->rows[2].vacant = 0;
    ck_assert(!abl_ledger_check(w.segment, verdict));
    ck_assert_str_eq(verdict, "member b is in use and has 0 addresses");
    w.segment->rows[2].vacant = 1;
    w.segment->rows[1].vacant = 1;
    ck_assert(!abl_ledger_check(w.segment, verdict));
    ck_assert_str_eq(verdict, "balancer test: 0 members are to be listed, 1 are");
    w.segment->rows[2].vacant = 0;
    w.segment->rows[2].shut = 1;
    ck_assert(!abl_ledger_check(w.segment, verdict));
    ck_assert_str_eq(verdict, "balancer test lists a, which does not belong there");
}
END_TEST

UNIT_MAIN("ledger_site", pending_is_waited_for, vacant_is_nobody, who_waits_for_one_that_goes_waits_for_all,
          what_is_known_of_one_goes_with_it, keys_go_with_addresses, records_have_weights_and_sets,
          a_host_has_several_addresses, who_was_gone_is_pending_again, readers_see_one_answer_or_another,
          killed_between_two_stores, faults_are_found)
