/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger, as one child sees it: limits, the queue, tiers, affinity, and new configurations.
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
    abl_tried_t tried = {{0}};

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

/* ---- status and sets -------------------------------------------------------------------------------- */

/* Takes and gives until every member has had its chance; the members that were used. */
static const char *used(abl_ledger_t *ledger, const abl_want_t *want)
{
    static char names[8];
    abl_want_t copy = *want;
    abl_ticket_t *ticket;
    bool seen[8] = {false};
    size_t n = 0;

    for (int i = 0; i < 16; i++) {
        int member;
        if (abl_ledger_take(ledger, &copy, &member, &ticket) != APR_SUCCESS) {
            return "nobody";
        }
        seen[member] = true;
        abl_ledger_give(ledger, member, NULL);
    }
    for (size_t i = 0; i < COUNT(seen) - 1; i++) {
        if (seen[i]) {
            names[n++] = (char)('a' + i);
        }
    }
    names[n] = '\0';
    return names;
}

static const char *used_without(abl_ledger_t *ledger, const char *tried)
{
    abl_want_t want = ANY;

    for (; *tried != '\0'; tried++) {
        abl_tried_add(&want.tried, *tried - 'a');
    }
    return used(ledger, &want);
}

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

START_TEST(backups_serve_when_nobody_else_can)
{
    ledger_world_t w;

    make_world(&w, "abc", 0);
    w.members[1].status = w.members[2].status = ABL_STATUS_BACKUP;
    configure(&w);
    sit_down(&w);
    ck_assert_str_eq(used_without(w.ledger, ""), "a");
    ck_assert_str_eq(used_without(w.ledger, "a"), "bc");
    ck_assert_str_eq(used_without(w.ledger, "abc"), "nobody");
}
END_TEST

START_TEST(a_busy_member_is_no_reason_for_a_backup)
{
    ledger_world_t w;
    abl_ticket_t *ticket;

    make_world(&w, "ab", 1);
    w.members[1].status = ABL_STATUS_BACKUP;
    configure(&w);
    sit_down(&w);
    ck_assert_int_eq(take(w.ledger), 0);
    ticket = queue(w.ledger);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 1), 0);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    sound(&w);
}
END_TEST

START_TEST(spares_stand_in_one_for_one)
{
    ledger_world_t w;

    make_world(&w, "abcd", 0);
    w.members[2].status = w.members[3].status = ABL_STATUS_SPARE;
    configure(&w);
    sit_down(&w);
    ck_assert_str_eq(used_without(w.ledger, ""), "ab");
    ck_assert_str_eq(used_without(w.ledger, "a"), "bc");
    ck_assert_str_eq(used_without(w.ledger, "ab"), "cd");
    ck_assert_str_eq(used_without(w.ledger, "ac"), "bd");
}
END_TEST

START_TEST(sets_are_used_in_order)
{
    ledger_world_t w;

    make_world(&w, "abcd", 0);
    w.members[0].set = 5;
    w.members[1].set = w.members[2].set = 1;
    w.members[3].set = 9;
    configure(&w);
    sit_down(&w);
    ck_assert_str_eq(used_without(w.ledger, ""), "bc");
    w.members[3].status = ABL_STATUS_BACKUP;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_str_eq(used_without(w.ledger, ""), "bc");
    ck_assert_str_eq(used_without(w.ledger, "b"), "c");
    ck_assert_str_eq(used_without(w.ledger, "bc"), "a");
    ck_assert_str_eq(used_without(w.ledger, "abc"), "d"); /* a backup, whatever its set */
    sound(&w);
}
END_TEST

START_TEST(a_lease_of_a_later_set_is_not_handed_on)
{
    ledger_world_t w;
    abl_want_t later = {.only = 1};
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "ab", 1);
    w.members[1].set = 1;
    configure(&w);
    sit_down(&w);
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &later, &member, &ticket), APR_SUCCESS);
    ticket = queue(w.ledger);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert(still_waits(w.ledger, &ticket));
    sound(&w);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    sound(&w);
}
END_TEST

START_TEST(spares_for_those_out_of_use)
{
    ledger_world_t w;

    make_world(&w, "abcd", 0);
    w.members[0].status = ABL_STATUS_DISABLED;
    w.members[2].status = w.members[3].status = ABL_STATUS_SPARE;
    configure(&w);
    sit_down(&w);
    ck_assert_str_eq(used_without(w.ledger, ""), "bc");
    w.members[0].status = ABL_STATUS_DRAIN;
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    ck_assert_str_eq(used_without(w.ledger, ""), "bc");
    abl_ledger_drain(w.ledger, 2, true); /* a spare is out of use, too */
    ck_assert_str_eq(used_without(w.ledger, ""), "bd");
}
END_TEST

START_TEST(disabled_and_draining)
{
    ledger_world_t w;
    abl_want_t want = ANY;

    make_world(&w, "abc", 0);
    w.members[0].status = ABL_STATUS_DISABLED;
    w.members[1].status = ABL_STATUS_DRAIN;
    configure(&w);
    sit_down(&w);
    ck_assert_str_eq(used_without(w.ledger, ""), "c");
    want.only = 0;
    ck_assert_str_eq(used(w.ledger, &want), "c");
    want.strict = true;
    ck_assert_str_eq(used(w.ledger, &want), "nobody");
    want.only = 1; /* affinity names it */
    ck_assert_str_eq(used(w.ledger, &want), "b");
}
END_TEST

/* ---- affinity --------------------------------------------------------------------------------------- */

START_TEST(affinity_waits_for_its_member)
{
    ledger_world_t w;
    abl_want_t want = {.only = 0};
    abl_ticket_t *sticky, *any;

    make_world(&w, "ab", 1);
    sit_down(&w);
    ck_assert_int_eq(take(w.ledger) + take(w.ledger), 1);
    sticky = queue_as(w.ledger, &want);
    ck_assert_int_gt(abl_ledger_head_age(w.ledger), 0);
    any = queue(w.ledger);
    sound(&w);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert(still_waits(w.ledger, &sticky));
    ck_assert_int_eq(collect(w.ledger, &any), 1);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &sticky), 0);
    sound(&w);
}
END_TEST

START_TEST(affinity_and_queue_are_served_by_age)
{
    ledger_world_t w;
    abl_want_t want = {.only = 0};
    abl_ticket_t *any, *sticky;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    any = queue(w.ledger);
    sticky = queue_as(w.ledger, &want);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &any), 0);
    ck_assert(still_waits(w.ledger, &sticky));
    any = queue(w.ledger); /* and the other way round */
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &sticky), 0);
    ck_assert(still_waits(w.ledger, &any));
}
END_TEST

START_TEST(affinity_falls_back_or_does_not)
{
    ledger_world_t w;
    abl_want_t soft = {.only = 0}, strict = {.only = 0, .strict = true};

    make_world(&w, "ab", 0);
    sit_down(&w);
    abl_tried_add(&soft.tried, 0);
    abl_tried_add(&strict.tried, 0);
    ck_assert_str_eq(used(w.ledger, &soft), "b");
    ck_assert_str_eq(used(w.ledger, &strict), "nobody");
}
END_TEST

START_TEST(a_home_stays_when_others_go)
{
    ledger_world_t w;
    char before[1000];
    int moved = 0;

    make_world(&w, "abcd", 0);
    for (int i = 0; i < 1000; i++) {
        before[i] =
            *w.members[abl_ledger_home(w.ledger, UINT64_C(0x9e3779b97f4a7c15) * (unsigned)(i + 1))].address;
    }
    describe(&w, "abd", 0);
    configure(&w);
    for (int i = 0; i < 1000; i++) {
        char now =
            *w.members[abl_ledger_home(w.ledger, UINT64_C(0x9e3779b97f4a7c15) * (unsigned)(i + 1))].address;
        ck_assert(now == before[i] || before[i] == 'c');
        moved += now != before[i];
    }
    ck_assert_int_gt(moved, 180);
    ck_assert_int_lt(moved, 320);
}
END_TEST

START_TEST(nobody_is_at_home_where_no_new_request_goes)
{
    ledger_world_t w;

    make_world(&w, "abcde", 0);
    w.members[1].status = ABL_STATUS_SPARE;
    w.members[2].status = ABL_STATUS_BACKUP;
    w.members[3].status = ABL_STATUS_DRAIN;
    w.members[4].status = ABL_STATUS_DISABLED;
    configure(&w);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(abl_ledger_home(w.ledger, UINT64_C(0x9e3779b97f4a7c15) * (unsigned)(i + 1)), 0);
    }
    w.members[0].status = ABL_STATUS_DRAIN;
    configure(&w);
    ck_assert_int_eq(abl_ledger_home(w.ledger, 1), -1);
}
END_TEST

/* ---- a new configuration ---------------------------------------------------------------------------- */

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

START_TEST(homes_are_in_the_first_set)
{
    ledger_world_t w;
    abl_want_t want = ANY;

    make_world(&w, "abc", 0);
    w.members[0].set = 3;
    w.members[1].status = ABL_STATUS_BACKUP;
    configure(&w);
    sit_down(&w);
    for (apr_uint64_t key = 0; key < 100; key++) {
        ck_assert_int_eq(abl_ledger_home(w.ledger, key * UINT64_C(0x9e3779b97f4a7c15)), 2);
    }
    abl_ledger_drain(w.ledger, 2, true);
    want.only = 2;
    ck_assert_str_eq(used(w.ledger, &want), "c"); /* a session that is there */
    want.home = true;
    ck_assert_str_eq(used(w.ledger, &want), "a"); /* one that only happens to belong there */
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

START_TEST(marks_change_who_waits_for_what)
{
    ledger_world_t w;
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "ab", 1);
    sit_down(&w);
    abl_ledger_drain(w.ledger, 1, true);
    ck_assert_int_eq(take(w.ledger), 0);
    ticket = queue(w.ledger);
    abl_ledger_drain(w.ledger, 1, false);
    ck_assert_int_eq(collect(w.ledger, &ticket), 1);
    ticket = queue(w.ledger);
    abl_ledger_drain(w.ledger, 0, true);
    ck_assert(still_waits(w.ledger, &ticket));
    abl_ledger_drain(w.ledger, 1, true);
    ck_assert(rings(ticket, 1000));
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &ticket, &member), APR_ENOENT);
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
    abl_ledger_t *ledgers[17];
    abl_ledger_conf_t confs[17];
    abl_member_conf_t members[ABL_MEMBERS_MAX];
    int left_out;

    make_world(&w, "a", 1);
    for (int i = 0; i < ABL_MEMBERS_MAX; i++) {
        const char *name = apr_psprintf(w.pool, "m%d", i);
        members[i] = (abl_member_conf_t){name, name, 100, 0, ABL_STATUS_ON, 0};
    }
    for (int i = 0; i < 17; i++) {
        confs[i] = (abl_ledger_conf_t){
            apr_psprintf(w.pool, "b%d", i), &abl_method_leastbusy, 10, 0, members, ABL_MEMBERS_MAX};
    }
    ck_assert_int_eq(abl_segment_configure(w.segment, confs, 17, w.pool, ledgers, &left_out), APR_ENOSPC);
    ck_assert_int_eq(left_out, 17 * ABL_MEMBERS_MAX - ABL_LEDGER_MEMBERS);
    sound(&w);
    ck_assert_int_eq(abl_segment_join(w.segment, &w.child), APR_SUCCESS);
    abl_ledger_t *last = abl_ledger_join(ledgers[16], w.child);
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;
    ck_assert_int_eq(abl_ledger_take(last, &want, &member, &ticket), APR_ENOENT);
    ck_assert_int_ge(take(abl_ledger_join(ledgers[15], w.child)), 0);
    sound(&w);
}
END_TEST

UNIT_MAIN("ledger", takes_and_gives, tried_members_are_left_out, the_last_member_can_be_tried,
          retries_are_a_share_of_requests, requests_that_waited_count_for_retries,
          a_method_that_lies_loses_no_request, threads_lose_nothing, a_full_member_is_waited_for_in_order,
          nobody_overtakes_the_queue, who_leaves_makes_room, the_queue_has_an_end, a_queue_of_no_length,
          a_client_has_its_part_of_the_queue, who_queues_again_keeps_its_place,
          who_queues_again_is_not_turned_away, a_place_is_between_those_before_and_after,
          clients_of_one_bucket_come_and_go, backups_serve_when_nobody_else_can,
          a_busy_member_is_no_reason_for_a_backup, spares_stand_in_one_for_one, sets_are_used_in_order,
          a_lease_of_a_later_set_is_not_handed_on, spares_for_those_out_of_use, disabled_and_draining,
          affinity_waits_for_its_member, affinity_and_queue_are_served_by_age,
          affinity_falls_back_or_does_not, a_home_stays_when_others_go,
          nobody_is_at_home_where_no_new_request_goes, leases_and_queue_outlive_a_restart,
          a_new_member_serves_the_new_generation, a_removed_member_is_drained, who_falls_back_keeps_its_place,
          a_member_that_comes_back_is_new_to_those_who_did_not_know_it,
          a_member_that_comes_and_goes_is_for_those_who_know_it, a_limit_may_change,
          a_limit_that_goes_lets_everybody_in, a_balancer_that_goes_serves_who_waits,
          a_member_that_is_disabled_refuses_who_has_no_other,
          when_all_members_are_replaced_who_waits_is_served, homes_are_in_the_first_set,
          who_is_in_a_hurry_does_not_wait, a_mark_outlives_restarts, marks_change_who_waits_for_what,
          a_mark_is_not_for_whoever_comes_after, balancers_come_and_go, more_members_than_there_is_room_for)
