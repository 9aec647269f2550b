/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer with as many members as there may be.
 */
#include "base/clock.h"
#include "ledger/health.h"
#include "ledger_world.h"
#include "ledger/view.h"

#define N ABL_MEMBERS_MAX
#define LAST (N - 1)

static ledger_world_t w;
static abl_member_conf_t members[N];

static void make_many(const abl_method_t *method, int concurrency)
{
    make_world(&w, "a", concurrency);
    for (int i = 0; i < N; i++) {
        const char *name = apr_psprintf(w.pool, "http://10.0.%d.%d:8080", i / 250, i % 250);
        members[i] = (abl_member_conf_t){
            .address = name, .route = name, .weight = 100, .concurrency = (apr_uint32_t)concurrency};
    }
    w.conf.members = members;
    w.conf.nmembers = N;
    w.conf.method = method;
}

static void begin_many(const abl_method_t *method, int concurrency)
{
    make_many(method, concurrency);
    configure(&w);
    sit_down(&w);
}

static void turn_round(void)
{
    for (int i = 0; i < N / 2; i++) {
        abl_member_conf_t other = members[i];
        members[i] = members[LAST - i];
        members[LAST - i] = other;
    }
}

START_TEST(configuring_is_quick)
{
    int64_t began;

    make_many(&abl_method_roundrobin, 0);
    began = abl_clock_now();
    configure(&w);
    configure(&w);
    turn_round();
    configure(&w);
    ck_assert_int_lt(abl_clock_now() - began,
                     ABL_SECOND); /* it takes 30 ms; by squares it would be seconds */
    sit_down(&w);
    ck_assert_int_eq(take(w.ledger), 0); /* in the order of the section, whatever that of the rows is */
    ck_assert_int_eq(take(w.ledger), 1);
    sound(&w);
}
END_TEST

START_TEST(each_gets_its_turn)
{
    static bool seen[N];

    begin_many(&abl_method_roundrobin, 0);
    for (int i = 0; i < N; i++) {
        int member = take(w.ledger);
        ck_assert(!seen[member]);
        seen[member] = true;
    }
    for (int i = 0; i < N; i++) {
        ck_assert_uint_eq(abl_ledger_busy(w.ledger, i), 1);
    }
    sound(&w);
}
END_TEST

/* What each method knows about members makes it choose the last one. */
START_TEST(every_method_finds_the_last_one)
{
    const abl_method_t *const methods[] = {&abl_method_leastbusy, &abl_method_traffic, &abl_method_latency};
    abl_outcome_t bad = {.bytes = 1000000, .latency = 1000000}, good = {.bytes = 1, .latency = 1};

    for (size_t m = 0; m < COUNT(methods); m++) {
        begin_many(methods[m], 0);
        abl_ledger_join(w.ledger, w.child);
        for (int i = 0; i < N; i++) {
            abl_want_t want = {.only = i};
            abl_ticket_t *ticket;
            int member;
            ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
            if (methods[m] != &abl_method_leastbusy || i == LAST) {
                abl_ledger_give(w.ledger, member, i == LAST ? &good : &bad);
            }
        }
        ck_assert_int_eq(take(w.ledger), LAST);
        sound(&w);
    }
}
END_TEST

START_TEST(a_key_finds_its_home)
{
    abl_want_t want = {.only = -1, .has_key = true};
    abl_ticket_t *ticket;
    int member, beyond = 0;

    begin_many(&abl_method_hash, 0);
    for (int i = 0; i < 50; i++) {
        want.key = (apr_uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
        ck_assert_int_eq(member, abl_ledger_home(w.ledger, want.key));
        abl_ledger_give(w.ledger, member, NULL);
        beyond += member >= 256;
    }
    ck_assert_int_gt(beyond, 40);
}
END_TEST

START_TEST(the_queue_and_the_last_free_member)
{
    abl_ticket_t *first, *second;

    begin_many(&abl_method_leastbusy, 1);
    for (int i = 0; i < N; i++) {
        take(w.ledger);
    }
    first = queue(w.ledger);
    second = queue(w.ledger);
    abl_ledger_give(w.ledger, LAST, NULL);
    ck_assert_int_eq(collect(w.ledger, &first), LAST);
    ck_assert(still_waits(w.ledger, &second));
    sound(&w);
    abl_ledger_give(w.ledger, 0, NULL);
    ck_assert_int_eq(collect(w.ledger, &second), 0);
    sound(&w);
}
END_TEST

/* Regular members that are full, backups that are not, and many who wait: looking at each of these for each
 * of those would take minutes. */
START_TEST(a_change_while_many_wait_is_quick)
{
    enum { WAITING = 1000 };
    static abl_ticket_t *tickets[WAITING];
    int64_t began;

    make_many(&abl_method_leastbusy, 1);
    for (int i = N / 2; i < N; i++) {
        members[i].status = ABL_STATUS_BACKUP;
    }
    configure(&w);
    sit_down(&w);
    for (int i = 0; i < N / 2; i++) {
        ck_assert_int_lt(take(w.ledger), N / 2);
    }
    for (int i = 0; i < WAITING; i++) {
        tickets[i] = queue(w.ledger);
    }
    began = abl_clock_now();
    for (int i = 0; i < 10; i++) {
        abl_health_away(w.ledger, i, 111, abl_clock_now());
    }
    ck_assert_int_lt(abl_clock_now() - began, ABL_SECOND);
    sound(&w);
    ck_assert_int_lt(abl_clock_now() - began, 2 * ABL_SECOND);
    abl_ledger_give(w.ledger, N / 2 - 1, NULL);
    ck_assert_int_eq(collect(w.ledger, &tickets[0]), N / 2 - 1);
    sound(&w);
}
END_TEST

START_TEST(who_has_tried_many_has_tried_all)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;

    begin_many(&abl_method_roundrobin, 0);
    for (int i = 0; i < ABL_TRIED_MAX; i++) {
        ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
        ck_assert(!abl_tried_has(&want.tried, member));
        abl_tried_add(&want.tried, member);
        abl_tried_add(&want.tried, member); /* counts once */
        abl_ledger_give(w.ledger, member, NULL);
    }
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_ENOENT);
    sound(&w);
}
END_TEST

/* Reads on to the end; how many there were. `first`: the next one, and all come in the order of the section.
 */
static int see_on(abl_view_place_t *from, int first)
{
    static abl_member_view_t views[ABL_VIEW_PORTION];
    int n, seen = 0;

    while ((n = abl_view_members(w.segment, from, views, ABL_VIEW_PORTION)) > 0) {
        for (int i = 0; i < n && first + seen + i < N; i++) {
            ck_assert_str_eq(views[i].address, members[first + seen + i].address);
            ck_assert(!views[i].removed);
        }
        seen += n;
    }
    return seen;
}

START_TEST(all_are_seen_in_portions)
{
    static abl_member_view_t views[ABL_VIEW_PORTION];
    abl_view_place_t from = {.balancer = 1}, anew = from;
    abl_balancer_view_t view;

    begin_many(&abl_method_roundrobin, 0);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_int_eq(view.nmembers, N);
    ck_assert_int_eq(abl_view_members(w.segment, &from, views, ABL_VIEW_PORTION), ABL_VIEW_PORTION);
    w.conf.nmembers = N - 100; /* meanwhile the last ones go from the configuration, and from the ledger */
    configure(&w);
    abl_segment_renew(w.child);
    ck_assert_int_eq(see_on(&from, ABL_VIEW_PORTION), N - 100 - ABL_VIEW_PORTION);
    ck_assert_int_eq(see_on(&anew, 0), N - 100);
    ck_assert_int_eq(abl_view_members(w.segment, &anew, views, 1), 0);
}
END_TEST

START_TEST(the_removed_are_seen_last)
{
    static abl_member_view_t views[4];
    abl_view_place_t from = {.balancer = 1};

    begin_many(&abl_method_roundrobin, 0);
    take(w.ledger);
    take(w.ledger);
    w.conf.members = &members[2];
    w.conf.nmembers = 3;
    configure(&w);
    abl_segment_renew(w.child);
    ck_assert_int_eq(abl_view_members(w.segment, &from, views, 4), 4);
    ck_assert(!views[2].removed && views[3].removed);
    ck_assert_str_eq(views[3].address, members[0].address);
    ck_assert_int_eq(abl_view_members(w.segment, &from, views, 4), 1);
    ck_assert(views[0].removed);
    ck_assert_str_eq(views[0].address, members[1].address);
    ck_assert_int_eq(abl_view_members(w.segment, &from, views, 4), 0);
}
END_TEST

UNIT_MAIN("ledger_many", configuring_is_quick, each_gets_its_turn, every_method_finds_the_last_one,
          a_key_finds_its_home, the_queue_and_the_last_free_member, a_change_while_many_wait_is_quick,
          who_has_tried_many_has_tried_all, all_are_seen_in_portions, the_removed_are_seen_last)
