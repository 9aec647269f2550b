/* SPDX-License-Identifier: Apache-2.0
 *
 * Truth and cache: whatever a process leaves behind that dies inside the lock is made good from the truth,
 * and abl_ledger_check() sees each fault there can be. These tests look into the segment, and change it.
 */
#include <stdlib.h>

#include "ledger/seats.h"
#include "ledger_world.h"

/* A child without its thread: nobody delivers its mail. */
static void sit_down_alone(ledger_world_t *w)
{
    w->child = calloc(1, sizeof(*w->child));
    w->child->segment = w->segment;
    w->child->fds = calloc(ABL_LEDGER_TICKETS + 1, sizeof(int));
    pthread_mutex_init(&w->child->lock, NULL);
    ck_assert(abl_seats_take(w->child));
    ck_assert_uint_eq(w->child->seat, 1);
    w->ledger = abl_ledger_join(w->ledger, w->child);
}

static void silence(const abl_ticket_t *ticket)
{
    uint64_t rung;

    ck_assert_int_eq(read(abl_ticket_fd(ticket), &rung, sizeof(rung)), sizeof(rung));
}

/* ---- making good ------------------------------------------------------------------------------------ */

static void spoil_list(abl_list_t *list)
{
    *list = (abl_list_t){2, 1, 9};
}

/* Everything that is no truth, as somebody may leave it who dies. */
static void spoil(abl_segment_t *s)
{
    for (uint32_t i = 1; i <= s->shared->rows_used; i++) {
        s->rows[i].c.busy = s->rows[i].c.queued = 77;
        spoil_list(&s->rows[i].queue);
    }
    for (uint32_t i = 1; i <= s->shared->balancers_used; i++) {
        abl_balancer_row_t *b = &s->balancers[i];
        b->simple = !b->simple;
        b->nlisted = 0;
        b->waiting = 99;
        spoil_list(&b->queue);
        memset(b->clients, 1, sizeof(b->clients));
    }
    for (uint32_t i = 1; i <= s->shared->tickets_used; i++) {
        abl_place_row_t *t = &s->tickets[i];
        t->mailed = 1;
        t->prev = t->next = t->client_prev = t->client_next = 1;
    }
    for (uint32_t i = 1; i <= s->nseats; i++) {
        spoil_list(&s->seats[i].mail);
    }
    s->shared->free_ticket = 1;
    s->shared->dirty = 1;
}

START_TEST(the_queue_is_made_anew)
{
    ledger_world_t w;
    abl_want_t client = {.only = -1, .client = 5}, sticky = {.only = 1};
    abl_ticket_t *first, *second, *third, *own;

    make_world(&w, "ab", 1);
    w.conf.per_client = 1;
    configure(&w);
    sit_down_alone(&w);
    take(w.ledger);
    take(w.ledger);
    third = queue(w.ledger);
    first = queue_as(w.ledger, &client);
    second = queue(w.ledger);
    own = queue_as(w.ledger, &sticky);
    abl_ledger_leave(w.ledger, &third);
    third = queue(w.ledger); /* has the ticket of the one that left: places and numbers differ in order */
    spoil(w.segment);
    sound(&w);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &first), 0);
    client.place = 0;
    first = queue_as(w.ledger, &client); /* its part of the queue is free again */
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &second), 0);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &own), 1);
    abl_ledger_give(w.ledger, 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &third), 1);
    ck_assert(still_waits(w.ledger, &first));
    sound(&w);
}
END_TEST

START_TEST(who_was_granted_is_told_again)
{
    ledger_world_t w;
    abl_ticket_t *ticket;

    make_world(&w, "a", 1);
    sit_down_alone(&w);
    take(w.ledger);
    ticket = queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL);
    silence(ticket); /* died before it rang */
    spoil(w.segment);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 0), 1);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    sound(&w);
}
END_TEST

START_TEST(what_was_given_back_is_handed_on)
{
    ledger_world_t w;
    abl_ticket_t *ticket;

    make_world(&w, "a", 1);
    sit_down_alone(&w);
    take(w.ledger);
    ticket = queue(w.ledger);
    --*abl_held(w.segment, 1, 1); /* died right after that */
    spoil(w.segment);
    ck_assert_uint_eq(abl_ledger_busy(w.ledger, 0), 1);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    sound(&w);
}
END_TEST

START_TEST(a_removed_member_is_forgotten_all_the_same)
{
    ledger_world_t w;

    make_world(&w, "ab", 0);
    sit_down_alone(&w);
    take(w.ledger);
    take(w.ledger);
    describe(&w, "b", 0);
    configure(&w);
    --*abl_held(w.segment, 1, 1);
    spoil(w.segment);
    sound(&w);
    ck_assert_uint_ne(w.segment->rows[1].balancer, 0); /* this child still knows it */
    w.segment->seats[1].generation++;
    spoil(w.segment);
    sound(&w);
    ck_assert_uint_eq(w.segment->rows[1].balancer, 0);
}
END_TEST

static abl_segment_t *watched;
static int entered;

static void look_at_dirty(abl_probe_t at)
{
    if (at == ABL_PROBE_ENTERED || at == ABL_PROBE_COUNTED || at == ABL_PROBE_LEAVING) {
        ck_assert_uint_ne(watched->shared->dirty, 0);
        entered++;
    }
    ck_assert(at != ABL_PROBE_AFTER || watched->shared->dirty == 0);
}

START_TEST(whoever_is_inside_says_so)
{
    ledger_world_t w;

    make_world(&w, "a", 0);
    sit_down_alone(&w);
    watched = w.segment;
    abl_ledger_probe = look_at_dirty;
    abl_ledger_give(w.ledger, take(w.ledger), NULL);
    ck_assert_int_eq(entered, 6);
}
END_TEST

/* ---- mail ------------------------------------------------------------------------------------------- */

/* A world with one ticket in the mail: granted, or refused, by the parent. */
static abl_ticket_t *make_mail(ledger_world_t *w, bool granted)
{
    abl_want_t sticky = {.only = 1, .strict = true};
    abl_ledger_t *mine;
    abl_ticket_t *ticket;

    make_world(w, "ab", 1);
    sit_down_alone(w);
    mine = w->ledger;
    take(w->ledger);
    take(w->ledger);
    ticket = queue_as(w->ledger, &sticky);
    describe(w, "ab", 2);
    w->members[1].status = granted ? ABL_STATUS_ON : ABL_STATUS_DISABLED;
    configure(w);
    w->ledger = mine;
    ck_assert_uint_eq(w->segment->seats[1].mail.length, 1);
    ck_assert(!rings(ticket, 0));
    sound(w);
    return ticket;
}

START_TEST(mail_that_is_collected_before_it_comes)
{
    ledger_world_t w;
    abl_ticket_t *ticket = make_mail(&w, true);
    int member;

    ck_assert_int_eq(abl_ledger_collect(w.ledger, &ticket, &member), APR_SUCCESS);
    ck_assert_int_eq(member, 1);
    ck_assert_uint_eq(w.segment->seats[1].mail.length, 0);
    sound(&w);
    ticket = make_mail(&w, false);
    ck_assert_int_eq(abl_ledger_collect(w.ledger, &ticket, &member), APR_ENOENT);
    ck_assert_uint_eq(w.segment->seats[1].mail.length, 0);
    sound(&w);
}
END_TEST

START_TEST(mail_for_one_who_leaves)
{
    ledger_world_t w;

    for (int granted = 0; granted < 2; granted++) {
        abl_ticket_t *ticket = make_mail(&w, granted);
        abl_ledger_leave(w.ledger, &ticket);
        ck_assert_uint_eq(w.segment->seats[1].mail.length, 0);
        ck_assert_uint_eq(abl_ledger_busy(w.ledger, 1), 1);
        sound(&w);
    }
}
END_TEST

START_TEST(mail_for_the_dead)
{
    ledger_world_t w;

    for (int granted = 0; granted < 2; granted++) {
        make_mail(&w, granted);
        abl_segment_reap(w.segment, getpid());
        ck_assert_uint_eq(w.segment->seats[1].mail.length, 0);
        ck_assert_uint_eq(w.segment->rows[1].c.busy, 0);
        sound(&w);
    }
}
END_TEST

/* Another child, of which this process plays the part. */
static abl_ledger_t *neighbour(ledger_world_t *w)
{
    abl_child_t *child = calloc(1, sizeof(*child));

    *child = *w->child;
    w->segment->seats[1].pid = 0; /* so that this process is not taken for somebody who had its number */
    w->segment->seats[2].kept = 1;
    w->segment->seats[2].pid = getpid();
    ck_assert(abl_seats_take(child));
    ck_assert_uint_eq(child->seat, 2);
    w->segment->seats[2].pid = getppid();
    w->segment->seats[1].pid = getpid();
    return abl_ledger_join(w->ledger, child);
}

START_TEST(what_the_dead_had_not_collected_is_handed_on)
{
    ledger_world_t w;
    abl_ledger_t *other;
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "a", 1);
    sit_down_alone(&w);
    other = neighbour(&w);
    take(w.ledger);
    queue(w.ledger);
    ticket = queue(other);
    abl_ledger_give(w.ledger, 0, NULL); /* to the first */
    ck_assert(still_waits(other, &ticket));
    abl_segment_reap(w.segment, getpid());
    sound(&w);
    ck_assert_int_eq(abl_ledger_collect(other, &ticket, &member), APR_SUCCESS);
    sound(&w);
}
END_TEST

START_TEST(the_last_request_of_a_removed_member_dies)
{
    ledger_world_t w;

    make_world(&w, "ab", 1);
    sit_down_alone(&w);
    take(w.ledger);
    take(w.ledger);
    queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL);
    describe(&w, "b", 1);
    configure(&w);
    abl_segment_reap(w.segment, getpid());
    ck_assert_uint_eq(w.segment->rows[1].balancer, 0);
    sound(&w);
}
END_TEST

START_TEST(the_last_request_of_a_removed_member_leaves)
{
    ledger_world_t w;
    abl_ticket_t *ticket;
    abl_ledger_t *old;

    make_world(&w, "ab", 1);
    sit_down_alone(&w);
    take(w.ledger);
    take(w.ledger);
    ticket = queue(w.ledger);
    abl_ledger_give(w.ledger, 0, NULL); /* the ticket has it */
    old = w.ledger;
    describe(&w, "b", 1);
    configure(&w);
    w.segment->seats[1].generation++;
    abl_ledger_leave(old, &ticket);
    ck_assert_uint_eq(w.segment->rows[1].balancer, 0);
    sound(&w);
}
END_TEST

/* ---- the table of tickets --------------------------------------------------------------------------- */

START_TEST(when_every_ticket_is_in_use)
{
    ledger_world_t w;
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;

    make_world(&w, "a", 1);
    sit_down_alone(&w);
    take(w.ledger);
    w.segment->shared->tickets_used = ABL_LEDGER_TICKETS - 1;
    ticket = queue(w.ledger);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &(abl_ticket_t *){NULL}), ABL_QUEUE_FULL);
    abl_ledger_leave(w.ledger, &ticket);
    queue(w.ledger); /* the one that has come back */
    ck_assert_uint_eq(w.segment->shared->tickets_used, ABL_LEDGER_TICKETS);
}
END_TEST

/* ---- the proof -------------------------------------------------------------------------------------- */

/* Members a and b (rows 1 and 2) are full, c (row 3) is disabled. Two requests wait for anybody (tickets 1
 * and 2), one for a (3). */
static void make_full(ledger_world_t *w)
{
    abl_want_t client = {.only = -1, .client = 5}, sticky = {.only = 0};

    make_world(w, "abc", 1);
    w->members[2].status = ABL_STATUS_DISABLED;
    configure(w);
    sit_down_alone(w);
    take(w->ledger);
    take(w->ledger);
    queue_as(w->ledger, &client);
    queue(w->ledger);
    queue_as(w->ledger, &sticky);
    sound(w);
}

static void refuted(abl_segment_t *segment, const char *reason)
{
    char verdict[ABL_CHECK_MAX];

    ck_assert_msg(!abl_ledger_check(segment, verdict), "it did not see: %s", reason);
    ck_assert_msg(strstr(verdict, reason) != NULL, "it saw \"%s\", not: %s", verdict, reason);
}

#define SEES(fault, reason)                                                                                  \
    do {                                                                                                     \
        make_full(&w);                                                                                       \
        abl_segment_t *s = w.segment;                                                                        \
        fault;                                                                                               \
        refuted(s, reason);                                                                                  \
    } while (0)

START_TEST(the_check_sees)
{
    ledger_world_t w;

    SEES(*abl_held(s, 2, 1) = 1, "seat 2 is empty and holds a lease of member a");
    SEES(s->seats[2].pid = getpid(), "has two seats");
    SEES(s->seats[2].mail.length = 1, "seat 2 is empty and has mail");
    SEES(s->shared->leader = 2, "the leader's seat 2 is empty");
    SEES(s->rows[1].balancer = 0, "a member that was forgotten (a) has 1 leases");
    SEES(s->rows[1].c.busy = 0, "member a: busy says 0, 1 leases are held");
    SEES(*abl_held(s, 1, 2) = s->rows[2].c.busy = 2, "member b: 2 requests, its limit is 1");
    SEES(s->rows[1].c.queued = 5, "member a: queued says 5, its queue has 1");
    SEES(s->rows[3].listed = 0, "member c is in no configuration, has no request, and is still here");
    SEES(*abl_held(s, 1, 1) = s->rows[1].c.busy = 0, "member a has room, and requests wait for it");
    SEES(*abl_held(s, 1, 2) = s->rows[2].c.busy = 0, "member b has room, and requests wait for any");
    SEES(s->tickets[1].only = 2, "the queue of test has ticket 1, which does not belong there");
    SEES(s->tickets[2].place = 0, "the queue of test is out of order at ticket 2");
    SEES(s->tickets[2].prev = 2, "the queue of test is out of order at ticket 2");
    SEES(s->balancers[1].queue.length = 3, "the queue of test says 3 and has 2");
    SEES(s->balancers[1].queue.last = 1, "the queue of test says 2 and has 2");
    SEES(s->tickets[2].next = 1, "the queue of test is out of order at ticket 1");
    SEES(s->balancers[1].waiting = 9, "balancer test: 3 requests wait, it says 9, its queues have 3");
    SEES((s->balancers[1].queue = (abl_list_t){1, 1, 1}, s->tickets[1].next = 0),
         "balancer test: 3 requests wait, it says 3, its queues have 2");
    SEES(s->balancers[1].clients[5] = 0, "balancer test: not every waiting client is counted");
    SEES(s->tickets[1].client = 6, "balancer test: ticket 1 is counted for another client");
    SEES(s->tickets[1].seat = 2, "ticket 1 is of seat 2, which is empty");
    SEES(s->seats[1].mail = ((abl_list_t){1, 1, 1}),
         "the mail of seat 1 has ticket 1, which does not belong there");
    SEES(s->seats[1].mail.length = 1, "the mail of seat 1 says 1 and has 0");
    SEES(s->tickets[1].seat = 33, "ticket 1 is of seat 33, which is empty");
    SEES(s->tickets[1].mailed = 1, "ticket 1 is in the mail and was not granted");
    SEES(s->shared->tickets_used++, "of 4 tickets 3 are in use and 0 free");
}
END_TEST

START_TEST(the_check_follows_the_mail)
{
    ledger_world_t w;

    make_mail(&w, true);
    w.segment->seats[1].mail = (abl_list_t){0, 0, 0};
    refuted(w.segment, "not every ticket that is in the mail is in a seat's");
}
END_TEST

START_TEST(what_a_limit_was_before_excuses_nobody_who_comes_later)
{
    ledger_world_t w;

    make_world(&w, "a", 2);
    sit_down_alone(&w);
    take(w.ledger);
    take(w.ledger);
    describe(&w, "a", 1);
    configure(&w);
    w.ledger = abl_ledger_join(w.ledger, w.child);
    sound(&w);
    abl_ledger_give(w.ledger, 0, NULL);
    *abl_held(w.segment, 1, 1) = w.segment->rows[1].c.busy = 2;
    refuted(w.segment, "its limit is 1");
}
END_TEST

UNIT_MAIN("ledger_truth", the_queue_is_made_anew, who_was_granted_is_told_again,
          what_was_given_back_is_handed_on, a_removed_member_is_forgotten_all_the_same,
          whoever_is_inside_says_so, mail_that_is_collected_before_it_comes, mail_for_one_who_leaves,
          mail_for_the_dead, what_the_dead_had_not_collected_is_handed_on,
          the_last_request_of_a_removed_member_dies, the_last_request_of_a_removed_member_leaves,
          when_every_ticket_is_in_use, the_check_sees, the_check_follows_the_mail,
          what_a_limit_was_before_excuses_nobody_who_comes_later)
