/* SPDX-License-Identifier: Apache-2.0
 *
 * A new configuration while children of the old one have requests: what stays, what comes, what goes.
 */
#include "ledger_world.h"

/* The ledger of the generation before, and after it the new one, both in this process. */
static abl_ledger_t *next_generation(ledger_world_t *w)
{
    abl_ledger_t *old = w->ledger;

    configure(w);
    w->ledger = abl_ledger_join(w->ledger, w->child);
    return old;
}

START_TEST(leases_and_queue_outlive_a_restart)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_ticket_t *early, *late;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    early = queue(w.ledger);
    w.conf.name = "TEST"; /* the same one: letters' case does not matter */
    old = next_generation(&w);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 0), 1);
    late = queue(w.ledger);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(old, &early), 0);
    ck_assert(still_waits(w.ledger, &late));
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &late), 0);
    sound(&w);
}
END_TEST

START_TEST(a_new_member_serves_the_new_generation)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_ticket_t *ticket;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    ticket = queue(w.ledger);
    describe(&w, "ba", 1); /* the order changes, too */
    old = next_generation(&w);
    ck_assert_int_eq(take(w.ledger), 0); /* b is idle, and the old generation does not know it */
    ck_assert(still_waits(old, &ticket));
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 1), 1);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert(still_waits(old, &ticket));
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(old, &ticket), 0);
    sound(&w);
}
END_TEST

START_TEST(a_removed_member_is_drained)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_want_t sticky = {.only = 1}, strict = {.only = 1, .strict = true};
    abl_ticket_t *first, *second, *any, *new;

    make_world(&w, "ab", 1);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger);
    first = queue_as(w.ledger, &sticky);
    second = queue_as(w.ledger, &strict);
    any = queue(w.ledger);
    describe(&w, "a", 1);
    old = next_generation(&w);
    new = queue(w.ledger);
    sound(&w);
    abl_ledger_give(old, 1,
                    NULL); /* those who wait for it finish there, in their order, and nobody else begins */
    ck_assert_int_eq(collect(old, &first), 1);
    abl_ledger_give(old, 1, NULL);
    ck_assert_int_eq(collect(old, &second), 1);
    abl_ledger_give(old, 1, NULL);
    ck_assert(still_waits(old, &any));
    sound(&w);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(old, &any), 0);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &new), 0);
    sound(&w);
}
END_TEST

START_TEST(when_all_members_are_replaced_who_waits_is_served)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_ticket_t *tickets[2], *failed;
    abl_want_t want = ANY;
    int member;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    tickets[0] = queue(w.ledger);
    tickets[1] = queue(w.ledger);
    describe(&w, "b", 1);
    old = next_generation(&w);
    ck_assert_int_eq(take(w.ledger), 0); /* b, which those do not know */
    for (int i = 0; i < 2; i++) {
        ck_assert(still_waits(old, &tickets[i]));
        abl_ledger_give(old, 0, NULL);
        ck_assert_int_eq(collect(old, &tickets[i]), 0);
        sound(&w);
    }
    abl_tried_add(&want.tried, 0);
    ck_assert_int_eq(abl_ledger_take(old, &want, &member, &failed), APR_ENOENT);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(take(old), 0); /* a child that has not heard of the change yet loses nothing either */
    sound(&w);
}
END_TEST

START_TEST(who_falls_back_keeps_its_place)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_want_t sticky = {.only = 1};
    abl_ticket_t *first, *second, *third;

    make_world(&w, "ab", 1);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger);
    first = queue(w.ledger);
    second = queue_as(w.ledger, &sticky);
    third = queue(w.ledger);
    w.members[1].status = ABL_STATUS_DISABLED;
    old = next_generation(&w);
    sound(&w);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(old, &first), 0);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(old, &second), 0);
    ck_assert(still_waits(old, &third));
}
END_TEST

START_TEST(a_member_that_comes_back_is_new_to_those_who_did_not_know_it)
{
    ledger_world_t w;
    abl_ledger_t *without;
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "ab", 1);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger); /* keeps b's row alive */
    describe(&w, "a", 1);
    next_generation(&w);
    describe(&w, "ab", 1);
    without = next_generation(&w);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(abl_ledger_take(without, &want, &member, &ticket), APR_EINPROGRESS);
    ck_assert_int_eq(take(w.ledger), 1);
    sound(&w);
}
END_TEST

START_TEST(a_member_that_comes_and_goes_is_for_those_who_know_it)
{
    static const char *const members[] = {"ab", "a", "ab", "a", "ab"};
    ledger_world_t w;
    abl_ledger_t *generations[COUNT(members)];
    abl_want_t want = {.only = -1};
    abl_ticket_t *ticket;
    int member;

    make_world(&w, members[0], 0);
    sit_down(&w);
    generations[0] = w.ledger;
    take(w.ledger);
    take(w.ledger); /* keeps b's row alive */
    for (size_t i = 1; i < COUNT(members); i++) {
        describe(&w, members[i], 0);
        next_generation(&w);
        generations[i] = w.ledger;
        for (size_t j = 0; j <= i; j++) {
            want = (abl_want_t){.only = -1};
            abl_tried_add(&want.tried, 0);
            apr_status_t rv = abl_ledger_take(generations[j], &want, &member, &ticket);
            ck_assert(rv == APR_ENOENT || (rv == APR_SUCCESS && member == 1 && strlen(members[j]) == 2));
            ck_assert(rv == APR_SUCCESS || strlen(members[j]) == 1 || j + 2 < i);
            if (rv == APR_SUCCESS) {
                abl_ledger_give(generations[j], member, NULL);
            }
        }
        sound(&w);
    }
}
END_TEST

START_TEST(a_limit_may_change)
{
    ledger_world_t w;
    abl_ticket_t *tickets[2];

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    tickets[0] = queue(w.ledger);
    describe(&w, "a", 2);
    next_generation(&w);
    ck_assert_int_eq(collect(w.ledger, &tickets[0]), 0);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 0), 2);
    tickets[1] = queue(w.ledger);
    describe(&w, "a", 1);
    next_generation(&w);
    sound(&w); /* two are there from before */
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert(still_waits(w.ledger, &tickets[1]));
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &tickets[1]), 0);
    sound(&w);
}
END_TEST

START_TEST(a_limit_that_goes_lets_everybody_in)
{
    ledger_world_t w;
    abl_ticket_t *tickets[8];

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    for (int i = 0; i < 8; i++) {
        tickets[i] = queue(w.ledger);
    }
    describe(&w, "a", 0);
    next_generation(&w);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(collect(w.ledger, &tickets[i]), 0);
    }
    sound(&w);
}
END_TEST

START_TEST(a_balancer_that_goes_serves_who_waits)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_ticket_t *ticket;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    ticket = queue(w.ledger);
    w.conf.name = "another";
    old = next_generation(&w);
    ck_assert_int_eq(take(w.ledger), 0); /* the same address, another balancer: another limit */
    ck_assert(still_waits(old, &ticket));
    sound(&w);
    abl_ledger_give(old, 0, NULL);
    ck_assert_int_eq(collect(old, &ticket), 0);
    abl_ledger_give(old, 0, NULL);
    sound(&w);
}
END_TEST

START_TEST(a_member_that_is_disabled_refuses_who_has_no_other)
{
    ledger_world_t w;
    abl_ledger_t *old;
    abl_want_t strict = {.only = 1, .strict = true}, sticky = {.only = 1};
    abl_ticket_t *refused, *moved, *older, *younger;
    int member;

    make_world(&w, "ab", 1);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger);
    older = queue(w.ledger);
    refused = queue_as(w.ledger, &strict);
    moved = queue_as(w.ledger, &sticky);
    younger = queue(w.ledger);
    w.members[1].status = ABL_STATUS_DISABLED;
    old = next_generation(&w);
    sound(&w);
    ck_assert(rings(refused, 1000));
    ck_assert_int_eq(abl_ledger_collect(old, &refused, &member), APR_ENOENT);
    abl_ticket_t **order[] = {&older, &moved, &younger}; /* its age counts among the others, too */
    for (size_t i = 0; i < COUNT(order); i++) {
        abl_ledger_give(old, 0, NULL);
        ck_assert_int_eq(collect(old, order[i]), 0);
    }
    sound(&w);
    w.members[0].status = ABL_STATUS_DISABLED;
    refused = queue(w.ledger);
    next_generation(&w);
    ck_assert(rings(refused, 1000));
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &refused, &member), APR_ENOENT);
    sound(&w);
}
END_TEST

START_TEST(a_mark_outlives_restarts)
{
    ledger_world_t w;

    make_world(&w, "ab", 0);
    sit_down(&w);
    abl_ledger_drain(w.ledger, 0, true);
    ck_assert_str_eq(used_without(w.ledger, ""), "b");
    next_generation(&w);
    ck_assert_str_eq(used_without(w.ledger, ""), "b");
    abl_ledger_drain(w.ledger, 0, false);
    ck_assert_str_eq(used_without(w.ledger, ""), "ab");
    sound(&w);
}
END_TEST

START_TEST(a_mark_is_not_for_whoever_comes_after)
{
    ledger_world_t w;
    abl_ledger_t *old;

    make_world(&w, "ab", 0);
    sit_down(&w);
    describe(&w, "a", 0);
    old = next_generation(&w);
    describe(&w, "ac", 0);
    next_generation(&w);
    abl_ledger_drain(old, 1, true); /* b; c has its row now */
    ck_assert_str_eq(used_without(w.ledger, ""), "ab");
}
END_TEST

START_TEST(balancers_come_and_go)
{
    ledger_world_t w;
    abl_ledger_t *first;

    make_world(&w, "a", 1);
    sit_down(&w);
    first = w.ledger;
    take(first);
    for (int i = 0; i < ABL_LEDGER_BALANCERS + 10; i++) {
        w.conf.name = apr_psprintf(w.pool, "number%d", i);
        configure(&w);
    }
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_int_eq(take(w.ledger),
                     0); /* the limit of the first one is its own, as long as it has a request */
    ck_assert_uint_eq(abl_ledger_busy(first, 0), 1);
    abl_ledger_give(first, 0, NULL);
    sound(&w);
}
END_TEST

START_TEST(more_members_than_there_is_room_for)
{
    ledger_world_t w;
    abl_ledger_t *ledgers[3];
    abl_ledger_conf_t confs[3];
    static abl_member_conf_t members[ABL_MEMBERS_MAX];
    int left_out;

    make_world(&w, "a", 1);
    for (int i = 0; i < ABL_MEMBERS_MAX; i++) {
        const char *name = apr_psprintf(w.pool, "m%d", i);
        members[i] = (abl_member_conf_t){.address = name, .route = name, .weight = 100};
    }
    for (int i = 0; i < 3; i++) {
        confs[i] = (abl_ledger_conf_t){.name = apr_psprintf(w.pool, "b%d", i),
                                       .method = &abl_method_leastbusy,
                                       .queue_length = 10,
                                       .members = members,
                                       .nmembers = ABL_MEMBERS_MAX};
    }
    ck_assert_int_eq(abl_segment_configure(w.segment, confs, 3, w.pool, ledgers, &left_out), APR_ENOSPC);
    ck_assert_int_eq(left_out, 3 * ABL_MEMBERS_MAX - ABL_LEDGER_MEMBERS);
    sound(&w);
    ck_assert_int_eq(abl_segment_join(w.segment, &w.child), APR_SUCCESS);
    abl_ledger_t *last = abl_ledger_join(ledgers[2], w.child);
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;
    ck_assert_int_eq(abl_ledger_take(last, &want, &member, &ticket), APR_ENOENT);
    ck_assert_int_ge(take(abl_ledger_join(ledgers[1], w.child)), 0);
    sound(&w);
}
END_TEST

UNIT_MAIN("ledger_configure", leases_and_queue_outlive_a_restart, a_new_member_serves_the_new_generation,
          a_removed_member_is_drained, when_all_members_are_replaced_who_waits_is_served,
          who_falls_back_keeps_its_place, a_member_that_comes_back_is_new_to_those_who_did_not_know_it,
          a_member_that_comes_and_goes_is_for_those_who_know_it, a_limit_may_change,
          a_limit_that_goes_lets_everybody_in, a_balancer_that_goes_serves_who_waits,
          a_member_that_is_disabled_refuses_who_has_no_other, a_mark_outlives_restarts,
          a_mark_is_not_for_whoever_comes_after, balancers_come_and_go, more_members_than_there_is_room_for)
