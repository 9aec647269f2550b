/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger, as one child sees it: limits and the queue.
 */
#include <pthread.h>

#include "ledger_world.h"

/* ---- taking ----------------------------------------------------------------------------------------- */

START_TEST(takes_and_gives)
{
    ledger_world_t w;
    int taken[3];

    make_world(&w, "abc", 0);
    sit_down(&w);
    for (int i = 0; i < 3; i++) {
        taken[i] = take(w.ledger);
        ck_assert_uint_eq(abl_ledger_busy(w.ledger, taken[i]), 1); /* the least busy one had none */
    }
    abl_ledger_give(w.ledger, taken[1], NULL);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, taken[1]), 0);
    ck_assert_int_eq(take(w.ledger), taken[1]);
    sound(&w);
}
END_TEST

START_TEST(tried_members_are_left_out)
{
    ledger_world_t w;
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "abcd", 0);
    sit_down(&w);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
        ck_assert(!abl_tried_has(&want.tried, member));
        abl_tried_add(&want.tried, member);
        abl_ledger_give(w.ledger, member, NULL);
    }
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_ENOENT);
    sound(&w);
}
END_TEST

START_TEST(the_last_member_can_be_tried)
{
    abl_tried_t tried = {0};

    abl_tried_add(&tried, ABL_MEMBERS_MAX - 1);
    ck_assert(abl_tried_has(&tried, ABL_MEMBERS_MAX - 1));
    ck_assert(!abl_tried_has(&tried, ABL_MEMBERS_MAX - 2));
    ck_assert(!abl_tried_has(&tried, 63));
}
END_TEST

START_TEST(retries_are_a_share_of_requests)
{
    ledger_world_t w;

    make_world(&w, "a", 0);
    sit_down(&w);
    for (int i = 0; i < 100; i++) {
        abl_ledger_give(w.ledger, take(w.ledger), NULL); /* no more than that can be saved */
    }
    for (int i = 0; i < ABL_RETRY_BURST; i++) {
        ck_assert(abl_ledger_spend_retry(w.ledger));
    }
    ck_assert(!abl_ledger_spend_retry(w.ledger));
    for (int i = 0; i < 100 / ABL_RETRY_PERCENT; i++) {
        ck_assert(!abl_ledger_spend_retry(w.ledger));
        abl_ledger_give(w.ledger, take(w.ledger), NULL);
    }
    ck_assert(abl_ledger_spend_retry(w.ledger));
    ck_assert(!abl_ledger_spend_retry(w.ledger));
}
END_TEST

START_TEST(a_share_of_all_or_none)
{
    ledger_world_t w;

    make_world(&w, "a", 0);
    w.conf.retry_percent = 0;
    configure(&w);
    sit_down(&w);
    ck_assert(!abl_ledger_spend_retry(w.ledger));
    w.conf.retry_percent = 100;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    for (int i = 0; i < 10 * ABL_RETRY_BURST; i++) {
        ck_assert(abl_ledger_spend_retry(w.ledger));
    }
    w.conf.retry_percent = 1;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert(!abl_ledger_spend_retry(w.ledger)); /* it was spent before */
    abl_ledger_return_retry(w.ledger);
    ck_assert(abl_ledger_spend_retry(w.ledger));
}
END_TEST

START_TEST(requests_that_waited_count_for_retries)
{
    ledger_world_t w;
    abl_ticket_t *ticket;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    while (abl_ledger_spend_retry(w.ledger)) {
    }
    for (int i = 0; i < 100 / ABL_RETRY_PERCENT; i++) {
        ck_assert(!abl_ledger_spend_retry(w.ledger));
        ticket = queue(w.ledger);
        abl_ledger_give(w.ledger, 0, NULL);
        collect(w.ledger, &ticket);
    }
    ck_assert(abl_ledger_spend_retry(w.ledger));
}
END_TEST

static int pick_nonsense(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    (void)candidates;
    (void)request;
    return n;
}

START_TEST(a_method_that_lies_loses_no_request)
{
    static const abl_method_t method = {"nonsense", pick_nonsense, 0};
    ledger_world_t w;

    make_world(&w, "ab", 1);
    w.conf.method = &method;
    configure(&w);
    sit_down(&w);
    ck_assert_int_ne(take(w.ledger), take(w.ledger)); /* and breaks no limit */
    sound(&w);
}
END_TEST

static void *take_and_give(void *ledger)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;

    for (int i = 0; i < 20000; i++) {
        if (abl_ledger_take(ledger, &want, &member, &ticket) != APR_SUCCESS) {
            return ledger;
        }
        abl_ledger_give(ledger, member, NULL);
    }
    return NULL;
}

START_TEST(threads_lose_nothing)
{
    ledger_world_t w;
    pthread_t threads[8];
    void *failed;

    make_world(&w, "abcd", 0);
    sit_down(&w);
    for (size_t i = 0; i < COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, w.ledger), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(abl_ledger_busy(w.ledger, i), 0);
    }
    sound(&w);
}
END_TEST

/* ---- waiting ---------------------------------------------------------------------------------------- */

START_TEST(a_full_member_is_waited_for_in_order)
{
    ledger_world_t w;
    abl_ticket_t *tickets[3];

    make_world(&w, "a", 1);
    sit_down(&w);
    ck_assert_int_eq(take(w.ledger), 0);
    for (int i = 0; i < 3; i++) {
        tickets[i] = queue(w.ledger);
    }
    sound(&w);
    ck_assert_int_gt(abl_ledger_head_age(w.ledger), 0);
    for (int i = 0; i < 3; i++) {
        for (int j = i; j < 3; j++) {
            ck_assert(still_waits(w.ledger, &tickets[j]));
        }
        abl_ledger_give(w.ledger, 0, NULL);
        sound(&w);
        ck_assert_int_eq(collect(w.ledger, &tickets[i]), 0);
        ck_assert_ptr_null(tickets[i]);
        ck_assert_uint_eq(abl_ledger_busy(w.ledger, 0), 1);
    }
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(abl_ledger_head_age(w.ledger), 0);
    sound(&w);
}
END_TEST

START_TEST(nobody_overtakes_the_queue)
{
    ledger_world_t w;
    abl_ticket_t *first, *second;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    first = queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL); /* handed on, though not collected yet */
    second = queue(w.ledger);
    ck_assert_int_eq(collect(w.ledger, &first), 0);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &second), 0);
    sound(&w);
}
END_TEST

START_TEST(who_leaves_makes_room)
{
    ledger_world_t w;
    abl_ticket_t *first, *second, *third;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    first = queue(w.ledger);
    second = queue(w.ledger);
    third = queue(w.ledger);
    abl_ledger_leave(w.ledger, &second); /* from the middle */
    ck_assert_ptr_null(second);
    sound(&w);
    abl_ledger_give(w.ledger, 0, NULL);
    abl_ledger_leave(w.ledger, &first); /* it has the lease already: handed on */
    sound(&w);
    ck_assert_int_eq(collect(w.ledger, &third), 0);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 0), 0);
    sound(&w);
}
END_TEST

START_TEST(the_queue_has_an_end)
{
    ledger_world_t w;
    abl_want_t want = ANY;
    abl_ticket_t *ticket, *waiting;
    int member;

    make_world(&w, "a", 1);
    w.conf.queue_length = 2;
    configure(&w);
    sit_down(&w);
    take(w.ledger);
    waiting = queue(w.ledger);
    queue(w.ledger);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), ABL_QUEUE_FULL);
    ck_assert_ptr_null(ticket);
    abl_ledger_leave(w.ledger, &waiting);
    queue(w.ledger);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), ABL_QUEUE_FULL);
    sound(&w);
}
END_TEST

START_TEST(a_queue_of_no_length)
{
    ledger_world_t w;
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "a", 1);
    w.conf.queue_length = 0;
    configure(&w);
    sit_down(&w);
    take(w.ledger);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), ABL_QUEUE_FULL);
    sound(&w);
}
END_TEST

START_TEST(a_client_has_its_part_of_the_queue)
{
    ledger_world_t w;
    abl_want_t greedy = {.only = -1, .client = 7}, other = {.only = -1, .client = 7 + 1024};
    abl_ticket_t *ticket, *first;
    int member;

    make_world(&w, "a", 1);
    w.conf.per_client = 2;
    configure(&w);
    sit_down(&w);
    take(w.ledger);
    first = queue_as(w.ledger, &greedy);
    greedy.place = 0;
    queue_as(w.ledger, &greedy);
    greedy.place = 0;
    ck_assert_int_eq(abl_ledger_take(w.ledger, &greedy, &member, &ticket), ABL_CLIENT_QUEUE_FULL);
    queue_as(w.ledger, &other); /* the same bucket of the table, another client */
    sound(&w);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &first), 0);
    queue_as(w.ledger, &greedy);
    sound(&w);
}
END_TEST

START_TEST(who_queues_again_keeps_its_place)
{
    ledger_world_t w;
    abl_want_t failed = ANY;
    abl_ticket_t *first, *second;

    make_world(&w, "ab", 1);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger);
    first = queue_as(w.ledger, &failed);
    second = queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &first), 0);
    /* member 0 cannot be reached */
    abl_tried_add(&failed.tried, 0);
    abl_ledger_give(w.ledger, 0, NULL); /* it is the second one's turn at 0 now */
    first = queue_as(w.ledger, &failed);
    ck_assert_int_eq(collect(w.ledger, &second), 0);
    second = queue(w.ledger);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &first), 1);
    ck_assert(still_waits(w.ledger, &second));
    sound(&w);
}
END_TEST

START_TEST(who_queues_again_is_not_turned_away)
{
    ledger_world_t w;
    abl_want_t failed = ANY;
    abl_ticket_t *ticket;

    make_world(&w, "ab", 1);
    w.conf.queue_length = 1;
    configure(&w);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger);
    ticket = queue_as(w.ledger, &failed);
    abl_ledger_give(w.ledger, 0, NULL);
    abl_tried_add(&failed.tried, collect(w.ledger, &ticket));
    queue(w.ledger); /* full again */
    abl_ledger_give(w.ledger, 0, NULL);
    queue(w.ledger);
    ticket = queue_as(w.ledger, &failed);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    sound(&w);
}
END_TEST

START_TEST(a_place_is_between_those_before_and_after)
{
    ledger_world_t w;
    abl_want_t without_a = ANY, failed = ANY;
    abl_ticket_t *first, *second, *third;

    make_world(&w, "ab", 1);
    sit_down(&w);
    take(w.ledger);
    take(w.ledger);
    abl_tried_add(&without_a.tried, 0);
    first = queue_as(w.ledger, &without_a);
    second = queue_as(w.ledger, &failed);
    third = queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL); /* not for the first */
    ck_assert(still_waits(w.ledger, &first));
    ck_assert_int_eq(collect(w.ledger, &second), 0);
    abl_tried_add(&failed.tried, 0);
    second = queue_as(w.ledger, &failed);
    sound(&w);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &first), 1);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &second), 1);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &third), 1);
    sound(&w);
}
END_TEST

START_TEST(clients_of_one_bucket_come_and_go)
{
    ledger_world_t w;
    abl_want_t wants[4];
    abl_ticket_t *tickets[4];

    make_world(&w, "a", 1);
    w.conf.per_client = 1;
    configure(&w);
    sit_down(&w);
    take(w.ledger);
    for (int i = 0; i < 4; i++) {
        wants[i] = (abl_want_t){.only = -1, .client = 7 + 1024 * (apr_uint64_t)i};
        tickets[i] = queue_as(w.ledger, &wants[i]);
    }
    for (int i = 0; i < 4; i++) {
        int leaves = (int[]){1, 3, 0, 2}[i]; /* from the middle, and both ends */
        abl_ledger_leave(w.ledger, &tickets[leaves]);
        sound(&w);
    }
    queue_as(w.ledger, &wants[2]);
    sound(&w);
}
END_TEST

START_TEST(who_is_in_a_hurry_does_not_wait)
{
    ledger_world_t w;
    abl_want_t want = {.only = -1, .hurry = true};
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "a", 1);
    sit_down(&w);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), ABL_QUEUE_FULL);
    sound(&w);
}
END_TEST

UNIT_MAIN("ledger", takes_and_gives, tried_members_are_left_out, the_last_member_can_be_tried,
          retries_are_a_share_of_requests, a_share_of_all_or_none, requests_that_waited_count_for_retries,
          a_method_that_lies_loses_no_request, threads_lose_nothing, a_full_member_is_waited_for_in_order,
          nobody_overtakes_the_queue, who_leaves_makes_room, the_queue_has_an_end, a_queue_of_no_length,
          a_client_has_its_part_of_the_queue, who_queues_again_keeps_its_place,
          who_queues_again_is_not_turned_away, a_place_is_between_those_before_and_after,
          clients_of_one_bucket_come_and_go, who_is_in_a_hurry_does_not_wait)
