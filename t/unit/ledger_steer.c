/* SPDX-License-Identifier: Apache-2.0
 *
 * Members changed by hand: what holds, what the configuration takes back, who waits meanwhile; places for
 * those that are added; and a process that is killed in the middle of it.
 */
#include "base/clock.h"
#include "ledger/journal.h"
#include "ledger/layout.h"
#include "ledger/steer.h"
#include "ledger/view.h"
#include "ledger_world.h"
#include "member_view.h"

static ledger_world_t w;

#define GATE(name) (&(abl_gate_t){w.segment, w.child, "TEST", name})

static void world_of(const char *addresses, int concurrency)
{
    make_world(&w, addresses, concurrency);
    sit_down(&w);
}

/* The last `n` members are open places. */
static void world_with_places(const char *addresses, int n)
{
    make_world(&w, addresses, 0);
    for (int i = w.conf.nmembers - n; i < w.conf.nmembers; i++) {
        w.members[i].naming = ABL_NAMING_OPEN;
    }
    configure(&w);
    sit_down(&w);
}

static void steer(const char *address, abl_steer_t what, apr_uint64_t value)
{
    ck_assert_int_eq(abl_steer_member(GATE(address), what, value, "by me"), APR_SUCCESS);
    sound(&w);
}

static abl_member_view_t see(int member)
{
    return member_view(w.segment, member);
}

static void reconfigure(void)
{
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    sound(&w);
}

START_TEST(statuses)
{
    abl_want_t want = ANY;

    world_of("ab", 0);
    steer("a", ABL_STEER_DISABLE, 0);
    ck_assert_str_eq(used(w.ledger, &want), "b");
    ck_assert_int_eq(see(0).status, ABL_STATUS_DISABLED);
    ck_assert_int_eq(see(0).conf_status, ABL_STATUS_ON);
    ck_assert_uint_eq(see(0).steered, ABL_STEERED_STATUS);
    ck_assert_str_eq(see(0).notes[ABL_NOTE_OF_STATUS], "by me");
    steer("a", ABL_STEER_DRAIN, 0);
    ck_assert_str_eq(used(w.ledger, &want), "b");
    want.only = 0;
    ck_assert_str_eq(used(w.ledger, &want), "a");
    want.only = -1;
    ck_assert(see(0).draining);
    steer("a", ABL_STEER_ENABLE, 0);
    ck_assert_str_eq(used(w.ledger, &want), "ab");
    ck_assert_uint_eq(see(0).steered, 0);
    ck_assert_str_eq(see(0).notes[ABL_NOTE_OF_STATUS], "");
}
END_TEST

START_TEST(nobody_there)
{
    world_of("a", 0);
    ck_assert_int_eq(abl_steer_member(GATE("z"), ABL_STEER_DRAIN, 0, ""), APR_ENOENT);
    ck_assert_int_eq(abl_steer_member(&(abl_gate_t){w.segment, NULL, "other", "a"}, ABL_STEER_DRAIN, 0, ""),
                     APR_ENOENT);
    ck_assert_int_eq(abl_steer_reset(&(abl_gate_t){w.segment, NULL, "other", NULL}, 1), APR_ENOENT);
}
END_TEST

/* Who waits for a member that is disabled goes to another one; who waits for nobody else is told. */
START_TEST(those_who_wait)
{
    abl_want_t want = ANY;
    abl_ticket_t *any, *one;
    int member;

    world_of("ab", 1);
    ck_assert_int_ge(take(w.ledger), 0);
    ck_assert_int_ge(take(w.ledger), 0);
    want.only = 0;
    one = queue_as(w.ledger, &want);
    any = queue(w.ledger);
    steer("a", ABL_STEER_DISABLE, 0);
    ck_assert(still_waits(w.ledger, &one));
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &one), 1);
    steer("b", ABL_STEER_DISABLE, 0);
    ck_assert(rings(any, 10000));
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &any, &member), APR_ENOENT);
    sound(&w);
}
END_TEST

START_TEST(limits)
{
    abl_ticket_t *ticket, *other;

    world_of("a", 2);
    take(w.ledger);
    take(w.ledger);
    ticket = queue(w.ledger);
    other = queue(w.ledger);
    steer("a", ABL_STEER_LIMIT, 1); /* two are there: they may finish, and nobody comes meanwhile */
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert(still_waits(w.ledger, &ticket));
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    ck_assert(still_waits(w.ledger, &other));
    steer("a", ABL_STEER_LIMIT, 0);
    ck_assert_int_eq(collect(w.ledger, &other), 0);
    ck_assert(!abl_ledger_is_limited(w.ledger, 0));
    steer("a", ABL_STEER_LIMIT, 1);
    ck_assert(abl_ledger_is_limited(w.ledger, 0));
    ck_assert_uint_eq(see(0).steered, ABL_STEERED_LIMIT);
    steer("a", ABL_STEER_RESTORE, 0);
    ck_assert_uint_eq(see(0).concurrency, 2);
    ck_assert_uint_eq(see(0).steered, 0);
}
END_TEST

START_TEST(ejecting)
{
    abl_want_t want = ANY;

    world_of("ab", 0);
    steer("a", ABL_STEER_EJECT, 3600 * (apr_uint64_t)ABL_SECOND);
    ck_assert_str_eq(used(w.ledger, &want), "b");
    ck_assert(see(0).by_hand);
    ck_assert_int_gt(see(0).ejected_for, 3000 * ABL_SECOND);
    steer("a", ABL_STEER_RETURN, 0);
    ck_assert_str_eq(used(w.ledger, &want), "ab");
    ck_assert(!see(0).by_hand);
    ck_assert_str_eq(see(0).notes[ABL_NOTE_OF_REST], "");
}
END_TEST

/* The configuration is read again, and says the same. */
START_TEST(stays)
{
    world_of("abc", 4);
    steer("a", ABL_STEER_DISABLE, 0);
    steer("b", ABL_STEER_DRAIN, 0);
    steer("c", ABL_STEER_WEIGHT, 250);
    steer("c", ABL_STEER_LIMIT, 9);
    reconfigure();
    ck_assert_int_eq(see(0).status, ABL_STATUS_DISABLED);
    ck_assert(see(1).draining);
    ck_assert_uint_eq(see(2).weight, 250);
    ck_assert_uint_eq(see(2).concurrency, 9);
}
END_TEST

/* It says something else about one thing: that is taken, and nothing but that. */
START_TEST(configuration_wins)
{
    abl_entry_t entries[ABL_JOURNAL_ENTRIES];

    world_of("abc", 4);
    steer("a", ABL_STEER_DISABLE, 0);
    steer("b", ABL_STEER_DRAIN, 0);
    steer("c", ABL_STEER_WEIGHT, 250);
    steer("c", ABL_STEER_LIMIT, 9);
    w.members[0].status = ABL_STATUS_SPARE;
    w.members[1].status = ABL_STATUS_BACKUP;
    w.members[2].weight = 300;
    reconfigure();
    ck_assert_int_eq(see(0).status, ABL_STATUS_SPARE);
    ck_assert(!see(1).draining);
    ck_assert_int_eq(see(1).status, ABL_STATUS_BACKUP);
    ck_assert_uint_eq(see(2).weight, 300);
    ck_assert_uint_eq(see(2).concurrency, 9);
    ck_assert_int_eq(abl_journal_read(w.segment, entries), 3); /* what was lost of each */
    ck_assert_str_eq(entries[0].target, "c");
    ck_assert_str_eq(entries[0].result, "the configuration has changed, and wins: weight");
    w.members[2].concurrency = 5;
    reconfigure();
    ck_assert_uint_eq(see(2).concurrency, 5);
    ck_assert_uint_eq(see(2).steered, 0);
}
END_TEST

/* ---- places ----------------------------------------------------------------------------------------- */

static apr_status_t add(const char *where, apr_uint32_t weight)
{
    abl_ip_t ip;

    ck_assert(abl_ip_parse(where, &ip));
    return abl_steer_add(GATE(NULL), &ip, weight, "by me");
}

START_TEST(places)
{
    abl_balancer_view_t view;
    abl_want_t want = ANY;

    world_with_places("axy", 2);
    ck_assert_str_eq(used(w.ledger, &want), "a");
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_uint_eq(view.places, 2);
    ck_assert_uint_eq(view.free_places, 2);
    ck_assert_int_eq(view.nmembers, 1);
    ck_assert_int_eq(add("10.0.0.9:8080", 200), APR_SUCCESS);
    sound(&w);
    ck_assert_str_eq(used(w.ledger, &want), "ab");
    ck_assert_str_eq(see(1).address, "http://10.0.0.9:8080");
    ck_assert(see(1).added);
    ck_assert_uint_eq(see(1).weight, 200);
    ck_assert_int_eq(add("10.0.0.9:8080", 100), APR_EEXIST);
    ck_assert_int_eq(add("[::1]:80", 100), APR_SUCCESS);
    ck_assert_int_eq(add("10.0.0.10:8080", 100), APR_ENOSPC);
    ck_assert_int_eq(abl_steer_remove(GATE("a")), APR_EACCES);
    ck_assert_int_eq(abl_steer_remove(GATE("http://10.0.0.8:8080")), APR_ENOENT);
    ck_assert_int_eq(abl_steer_remove(GATE("http://10.0.0.9:8080")), APR_SUCCESS);
    sound(&w);
    ck_assert_str_eq(used(w.ledger, &want), "ac");
    ck_assert_int_eq(add("10.0.0.10:8080", 100), APR_SUCCESS);
    ck_assert_str_eq(see(1).address, "http://10.0.0.10:8080");
}
END_TEST

/* A place is not given to another one while a request is at whoever was there. */
START_TEST(a_place_that_is_left)
{
    abl_want_t want = {.only = 1};
    abl_ticket_t *ticket;
    int member;

    world_with_places("ax", 1);
    ck_assert_int_eq(add("10.0.0.9:80", 100), APR_SUCCESS);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
    ck_assert_int_eq(member, 1);
    ck_assert_int_eq(abl_steer_remove(GATE("http://10.0.0.9:80")), APR_SUCCESS);
    ck_assert_int_eq(add("10.0.0.10:80", 100), APR_ENOSPC);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(add("10.0.0.10:80", 100), APR_SUCCESS);
    sound(&w);
}
END_TEST

/* Added members outlive the configuration's being read again, with their weight. */
START_TEST(places_stay)
{
    abl_want_t want = ANY;

    world_with_places("ax", 1);
    ck_assert_int_eq(add("10.0.0.9:80", 300), APR_SUCCESS);
    reconfigure();
    ck_assert_str_eq(used(w.ledger, &want), "ab");
    ck_assert_uint_eq(see(1).weight, 300);
    ck_assert_str_eq(see(1).address, "http://10.0.0.9:80");
    ck_assert_uint_eq(see(1).steered, 0);
}
END_TEST

/* ---- over a full stop -------------------------------------------------------------------------------- */

START_TEST(again)
{
    abl_steered_t kept[8];
    uint32_t row = 0;
    int n = 0;
    bool found;

    world_with_places("abcx", 1);
    steer("a", ABL_STEER_DISABLE, 0);
    steer("b", ABL_STEER_DRAIN, 0);
    steer("c", ABL_STEER_WEIGHT, 250);
    ck_assert_int_eq(add("10.0.0.9:80", 300), APR_SUCCESS);
    while (abl_steer_next(w.segment, &row, &kept[n])) {
        n++;
    }
    ck_assert_int_eq(n, 4);
    world_with_places("abcx", 1); /* another life */
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq(abl_steer_again(w.segment, &kept[i], &found), 0);
        ck_assert(found);
    }
    sound(&w);
    ck_assert_int_eq(see(0).status, ABL_STATUS_DISABLED);
    ck_assert(see(1).draining);
    ck_assert_uint_eq(see(2).weight, 250);
    ck_assert_str_eq(see(3).address, "http://10.0.0.9:80");
    ck_assert_uint_eq(see(3).weight, 300);
    ck_assert_str_eq(see(3).notes[ABL_NOTE_OF_REST], "by me");

    make_world(&w, "ab", 0); /* and one with another configuration */
    w.members[0].status = ABL_STATUS_BACKUP;
    configure(&w);
    sit_down(&w);
    ck_assert_uint_eq(abl_steer_again(w.segment, &kept[0], &found), ABL_STEERED_STATUS);
    ck_assert(found);
    ck_assert_int_eq(see(0).status, ABL_STATUS_BACKUP);
    (void)abl_steer_again(w.segment, &kept[2], &found);
    ck_assert(!found);
    (void)abl_steer_again(w.segment, &kept[3], &found);
    ck_assert(!found);
}
END_TEST

START_TEST(numbers)
{
    apr_uint64_t before;

    world_of("a", 0);
    before = abl_steer_number(w.segment);
    steer("a", ABL_STEER_DRAIN, 0);
    ck_assert_uint_ne(abl_steer_number(w.segment), before);
    before = abl_steer_number(w.segment);
    reconfigure();
    ck_assert_uint_ne(abl_steer_number(w.segment), before);
}
END_TEST

START_TEST(journal)
{
    abl_entry_t entry = {.time = 1, .action = "drain"};
    abl_entry_t entries[ABL_JOURNAL_ENTRIES];

    world_of("a", 0);
    ck_assert_int_eq(abl_journal_read(w.segment, entries), 0);
    for (int i = 1; i <= ABL_JOURNAL_ENTRIES + 3; i++) {
        entry.time = i;
        abl_journal_add(w.segment, &entry);
    }
    ck_assert_int_eq(abl_journal_read(w.segment, entries), ABL_JOURNAL_ENTRIES);
    ck_assert_int_eq(entries[0].time, ABL_JOURNAL_ENTRIES + 3);
    ck_assert_int_eq(entries[ABL_JOURNAL_ENTRIES - 1].time, 4);
    ck_assert_uint_eq(abl_journal_number(w.segment), ABL_JOURNAL_ENTRIES + 3);
}
END_TEST

START_TEST(reset)
{
    abl_outcome_t outcome = {.bytes = 10, .latency = 1000, .failed = true, .status = 503};

    world_of("a", 0);
    take(w.ledger);
    abl_ledger_give(w.ledger, 0, &outcome);
    take(w.ledger);
    ck_assert_uint_eq(see(0).requests, 2);
    ck_assert_uint_eq(see(0).failures, 1);
    ck_assert_int_eq(see(0).nfailures, 1);
    ck_assert_str_eq(see(0).last[0].why, "it has answered 503");
    ck_assert_uint_gt(see(0).percentiles[0], 0);
    ck_assert_int_eq(abl_steer_reset(GATE(NULL), 77), APR_SUCCESS);
    ck_assert_uint_eq(see(0).requests, 0);
    ck_assert_uint_eq(see(0).failures, 0);
    ck_assert_int_eq(see(0).nfailures, 0);
    ck_assert_uint_eq(see(0).percentiles[0], 0);
    ck_assert_uint_eq(see(0).busy, 1);
    abl_ledger_give(w.ledger, 0, NULL);
    sound(&w);
}
END_TEST

/* Whoever dies at any point of it leaves a ledger that is sound, and a member in one of two states. */
static abl_probe_t fatal;

static void die(abl_probe_t at)
{
    if (at == fatal) {
        _exit(0);
    }
}

START_TEST(killed)
{
    static const abl_probe_t points[] = {ABL_PROBE_BEFORE,  ABL_PROBE_ENTERED, ABL_PROBE_SITE,
                                         ABL_PROBE_GRANTED, ABL_PROBE_LEAVING, ABL_PROBE_AFTER};
    pid_t pid;
    int status;

    world_with_places("axy", 2);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        fatal = points[i];
        pid = fork();
        if (pid == 0) {
            abl_ledger_probe = die;
            (void)abl_steer_member(GATE("a"), i % 2 ? ABL_STEER_WEIGHT : ABL_STEER_ENABLE, 200, "who dies");
            (void)add("10.0.0.9:80", 100);
            (void)abl_steer_remove(GATE("http://10.0.0.9:80"));
            _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        abl_ledger_give(w.ledger, take(w.ledger), NULL);
        sound(&w);
        (void)abl_steer_remove(GATE("http://10.0.0.9:80"));
        steer("a", ABL_STEER_RESTORE, 0);
    }
}
END_TEST

/* How often it has come by where it may die. */
static int before_death;

static void die_in_time(abl_probe_t at)
{
    if (at == ABL_PROBE_STEERED && before_death-- == 0) {
        _exit(0);
    }
}

/* What holds is told, and is kept. */
START_TEST(killed_half_way)
{
    static const struct {
        abl_steer_t what;
        apr_uint64_t value;
    } changes[] = {
        {ABL_STEER_WEIGHT, 700}, {ABL_STEER_LIMIT, 1}, {ABL_STEER_LIMIT, 9}, {ABL_STEER_DISABLE, 0}};

    world_of("a", 3);
    for (int n = 0; n < 3; n++) {
        take(w.ledger);
    }
    for (size_t i = 0; i < 2 * sizeof(changes) / sizeof(changes[0]); i++) {
        abl_member_view_t member;
        pid_t pid = fork();
        int status;
        before_death = (int)i % 2;
        if (pid == 0) {
            abl_ledger_probe = die_in_time;
            (void)abl_steer_member(GATE("a"), changes[i / 2].what, changes[i / 2].value, "who dies");
            _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        sound(&w);
        member = see(0);
        ck_assert_int_eq((member.steered & ABL_STEERED_WEIGHT) != 0, member.weight != 100);
        ck_assert_int_eq((member.steered & ABL_STEERED_LIMIT) != 0, member.concurrency != 3);
        ck_assert_int_eq((member.steered & ABL_STEERED_STATUS) != 0, member.status != ABL_STATUS_ON);
        ck_assert_uint_eq(w.segment->rows[1].allowed, member.concurrency);
        ck_assert_uint_eq(w.segment->rows[1].c.weight, member.weight);
        steer("a", ABL_STEER_RESTORE, 0);
    }
}
END_TEST

UNIT_MAIN("ledger_steer", statuses, nobody_there, those_who_wait, limits, ejecting, stays, configuration_wins,
          places, a_place_that_is_left, places_stay, again, numbers, journal, reset, killed, killed_half_way)
