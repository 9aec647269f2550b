/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that come and go at run time: shut ones are waited for when there is nobody else.
 */
#include "ledger/gate.h"
#include "ledger_world.h"

static ledger_world_t w;

#define GATE(balancer, address) (&(abl_gate_t){w.segment, w.child, balancer, address})

/* Members of which those in `supervised` are. */
static void world_of(const char *addresses, int concurrency, const char *supervised)
{
    make_world(&w, addresses, concurrency);
    for (int i = 0; i < w.conf.nmembers; i++) {
        w.members[i].supervised = strchr(supervised, w.members[i].address[0]) != NULL;
    }
    configure(&w);
    sit_down(&w);
}

static void open_gate(const char *address, uint64_t most)
{
    ck_assert(abl_gate_open(GATE("test", address), most));
}

static void shut_gate(const char *address)
{
    abl_gate_shut(GATE("TEST", address));
}

static abl_gate_view_t look(const char *address)
{
    abl_gate_view_t view;

    ck_assert(abl_gate_look(GATE("test", address), &view));
    return view;
}

START_TEST(nobody_is_there_at_first)
{
    abl_ticket_t *ticket;

    world_of("ab", 0, "ab");
    ticket = queue(w.ledger);
    ck_assert(still_waits(w.ledger, &ticket));
    sound(&w);
    open_gate("b", UINT64_MAX);
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    ck_assert_int_eq(take(w.ledger), 1);
    ck_assert_uint_eq(look("b").busy, 2);
    ck_assert(look("b").is_open && !look("a").is_open);
    shut_gate("b");
    ticket = queue(w.ledger);
    ck_assert(still_waits(w.ledger, &ticket));
    sound(&w);
    abl_ledger_leave(w.ledger, &ticket);
}
END_TEST

START_TEST(others_are_used_meanwhile)
{
    abl_want_t want = ANY;

    world_of("abc", 1, "ab");
    ck_assert_int_eq(take(w.ledger), 2);
    abl_ledger_give(w.ledger, 2, NULL);
    want.only = 0; /* affinity does not wait for who is not there */
    ck_assert_str_eq(used(w.ledger, &want), "c");
    sound(&w);
}
END_TEST

START_TEST(a_backup_serves_while_all_are_shut)
{
    make_world(&w, "ab", 1);
    w.members[0].supervised = true;
    w.members[1].status = ABL_STATUS_BACKUP;
    configure(&w);
    sit_down(&w);
    ck_assert_str_eq(used(w.ledger, &ANY), "b");
    open_gate("a", UINT64_MAX);
    ck_assert_str_eq(used(w.ledger, &ANY), "a");
    sound(&w);
}
END_TEST

START_TEST(rations)
{
    abl_ticket_t *ticket;

    world_of("a", 0, "a");
    open_gate("a", 3);
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert_int_eq(take(w.ledger), 0);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(take(w.ledger), 0); /* what was given back is spent all the same */
    ticket = queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert(still_waits(w.ledger, &ticket));
    ck_assert_uint_eq(look("a").requests, 3);
    sound(&w);
    abl_gate_ration(GATE("test", "a"), 4);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    ck_assert_uint_eq(look("a").requests, 4);
    ticket = queue(w.ledger); /* a lease that is handed on is one, too */
    sound(&w);
    shut_gate("a");
    open_gate("a", 1);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    ck_assert_uint_eq(look("a").requests, 1);
    ticket = queue(w.ledger);
    sound(&w);
}
END_TEST

/* A request that an instance has died of may go to its successor at the same address. */
START_TEST(a_new_one_has_not_been_tried)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;

    world_of("ab", 1, "ab");
    abl_tried_add(&want.tried, 0);
    ticket = queue_as(w.ledger, &want);
    open_gate("a", UINT64_MAX);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    sound(&w);
}
END_TEST

START_TEST(who_waits_for_one_that_goes_waits_for_all)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;

    world_of("ab", 1, "ab");
    open_gate("a", UINT64_MAX);
    open_gate("b", UINT64_MAX);
    want.only = 0;
    ck_assert_int_eq(take(w.ledger) + take(w.ledger), 1);
    ticket = queue_as(w.ledger, &want);
    shut_gate("a");
    ck_assert(still_waits(w.ledger, &ticket));
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    abl_ledger_give(w.ledger, 0, NULL); /* what was there may end */
    ck_assert_uint_eq(look("a").busy, 0);
    sound(&w);
}
END_TEST

START_TEST(what_the_configuration_says)
{
    abl_gate_view_t view;

    world_of("ab", 1, "a");
    ck_assert(!abl_gate_open(GATE("test", "b"), 1)); /* not supervised */
    ck_assert(!abl_gate_open(GATE("test", "c"), 1));
    ck_assert(!abl_gate_open(GATE("other", "a"), 1));
    ck_assert(!abl_gate_look(GATE("test", "b"), &view));
    open_gate("a", 7);
    configure(&w);
    ck_assert(look("a").is_open); /* the same application: what runs stays */
    w.members[0].supervised = false;
    w.members[1].supervised = true;
    configure(&w);
    ck_assert(!abl_gate_look(GATE("test", "a"), &view));
    ck_assert(!look("b").is_open);
    sound(&w);
}
END_TEST

/* The process that looks after them outlives configurations. */
START_TEST(what_is_gone_is_not_kept)
{
    abl_gate_view_t view;

    world_of("ab", 1, "ab");
    w.conf.nmembers = 1;
    configure(&w);
    ck_assert(abl_gate_look(GATE("test", "b"), &view)); /* this process still knows it */
    abl_segment_renew(w.child);
    ck_assert(!abl_gate_look(GATE("test", "b"), &view));
    ck_assert(abl_gate_look(GATE("test", "a"), &view));
    sound(&w);
}
END_TEST

START_TEST(the_first_in_the_queue)
{
    abl_ticket_t *ticket;

    world_of("a", 1, "a");
    ck_assert_int_eq(abl_gate_head_age(GATE("test", NULL)), 0);
    ticket = queue(w.ledger);
    usleep(2000);
    ck_assert_int_ge(abl_gate_head_age(GATE("test", NULL)), 2000);
    ck_assert_int_eq(abl_gate_head_age(GATE("other", NULL)), 0);
    abl_ledger_leave(w.ledger, &ticket);
}
END_TEST

START_TEST(suspected)
{
    abl_ticket_t *ticket;

    world_of("ab", 0, "a");
    abl_gate_suspect(w.ledger, 1); /* nobody looks after that one */
    abl_gate_suspect(w.ledger, 0); /* nor is this one open */
    ck_assert(!look("a").suspected);
    open_gate("a", 3);
    w.members[1].status = ABL_STATUS_DISABLED;
    configure(&w);
    abl_segment_renew(w.child);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert_int_eq(take(w.ledger), 0);
    abl_gate_suspect(w.ledger, 0);
    ck_assert(look("a").suspected && !look("a").is_open);
    ticket = queue(w.ledger);
    sound(&w);
    abl_gate_clear(GATE("test", "a"));
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    ck_assert_uint_eq(look("a").requests, 3); /* what it has had counts on */
    ticket = queue(w.ledger);
    ck_assert(still_waits(w.ledger, &ticket));
    shut_gate("a");
    abl_gate_clear(GATE("test", "a")); /* that was no suspicion */
    ck_assert(!look("a").is_open);
    sound(&w);
}
END_TEST

START_TEST(accused)
{
    world_of("ab", 1, "a");
    open_gate("a", UINT64_MAX);
    abl_gate_accuse(w.ledger, 1); /* nobody looks after that one */
    ck_assert(!look("a").accused);
    abl_gate_accuse(w.ledger, 0);
    ck_assert(look("a").accused);
    shut_gate("a");
    open_gate("a", UINT64_MAX);
    ck_assert(!look("a").accused);
    sound(&w);
}
END_TEST

UNIT_MAIN("ledger_gate", nobody_is_there_at_first, others_are_used_meanwhile,
          a_backup_serves_while_all_are_shut, rations, a_new_one_has_not_been_tried,
          who_waits_for_one_that_goes_waits_for_all, what_the_configuration_says, what_is_gone_is_not_kept,
          the_first_in_the_queue, suspected, accused)
