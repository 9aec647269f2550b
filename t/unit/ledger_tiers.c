/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may be used at all: status, sets, marks and affinity.
 */
#include "ledger_world.h"

/* ---- status and sets -------------------------------------------------------------------------------- */

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

UNIT_MAIN("ledger_tiers", backups_serve_when_nobody_else_can, a_busy_member_is_no_reason_for_a_backup,
          spares_stand_in_one_for_one, sets_are_used_in_order, a_lease_of_a_later_set_is_not_handed_on,
          spares_for_those_out_of_use, disabled_and_draining, marks_change_who_waits_for_what,
          affinity_waits_for_its_member, affinity_and_queue_are_served_by_age,
          affinity_falls_back_or_does_not, a_home_stays_when_others_go,
          nobody_is_at_home_where_no_new_request_goes, homes_are_in_the_first_set)
