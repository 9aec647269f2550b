/* SPDX-License-Identifier: Apache-2.0
 *
 * What a method sees of the members, what its answer is worth, and what requests that have ended teach.
 */
#include "base/hash.h"
#include "ledger/view.h"
#include "ledger_world.h"
#include "member_view.h"

/* What the method below was asked last. */
static abl_candidate_t seen[ABL_MEMBERS_MAX];
static int nseen;
static abl_pick_t asked;

static int answer;   /* the spy's */
static bool corrupt; /* it says that everybody is usable */

static int spy(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    memcpy(seen, candidates, (size_t)n * sizeof(*candidates));
    nseen = n;
    asked = *request;
    for (int i = 0; i < n; i++) {
        candidates[i].usable = candidates[i].usable || corrupt;
        candidates[i].credit++;
    }
    return answer;
}

static const abl_method_t spies[] = {{"spy", spy, 1}, {"another", spy, 1}};

/* The spy's world: this process is a child, and the members have these limits. */
static void make_spied(ledger_world_t *w, const char *addresses, int concurrency)
{
    make_world(w, addresses, concurrency);
    w->conf.method = &spies[0];
    configure(w);
    sit_down(w);
}

static void describe_again(ledger_world_t *w, const char *addresses, int concurrency)
{
    describe(w, addresses, concurrency);
    w->conf.method = &spies[0];
}

static void next_generation(ledger_world_t *w)
{
    configure(w);
    w->ledger = abl_ledger_join(w->ledger, w->child);
}

static char seen_letter(int i)
{
    for (char letter = 'a'; letter <= 'z'; letter++) {
        if (seen[i].id == abl_hash_text((char[]){letter, '\0'})) {
            return letter;
        }
    }
    return '?';
}

/* ---- choosing --------------------------------------------------------------------------------------- */

START_TEST(members_come_in_the_order_of_the_section)
{
    ledger_world_t w;

    make_spied(&w, "abc", 0);
    take(w.ledger);
    ck_assert_int_eq(nseen, 3);
    ck_assert_int_eq(seen_letter(0), 'a');
    ck_assert_int_eq(seen_letter(2), 'c');
    describe_again(&w, "cxa", 0);
    next_generation(&w);
    take(w.ledger);
    ck_assert_int_eq(nseen, 3);
    ck_assert_int_eq(seen_letter(0), 'c');
    ck_assert_int_eq(seen_letter(1), 'x');
    ck_assert_int_eq(seen_letter(2), 'a');
}
END_TEST

START_TEST(it_knows_who_is_full_and_what_is_asked)
{
    ledger_world_t w;
    abl_want_t want = {.only = -1, .has_key = true, .key = 4711};
    abl_ticket_t *ticket;
    int member;

    make_spied(&w, "ab", 1);
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert(seen[0].usable && seen[1].usable);
    ck_assert(!asked.has_key);
    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &member, &ticket), APR_SUCCESS);
    ck_assert(!seen[0].usable && seen[1].usable);
    ck_assert_uint_eq(seen[0].busy, 1);
    ck_assert(asked.has_key && asked.key == 4711 && asked.now > 0);
}
END_TEST

START_TEST(who_picks_a_full_member_is_not_obeyed)
{
    ledger_world_t w;

    make_spied(&w, "ab", 1);
    corrupt = true;
    ck_assert_int_eq(take(w.ledger), 0);
    ck_assert_int_eq(take(w.ledger), 1);
    sound(&w);
}
END_TEST

START_TEST(instead_of_nobody_the_least_busy)
{
    ledger_world_t w;

    make_spied(&w, "abc", 0);
    answer = -1;
    for (int i = 0; i < 6; i++) {
        take(w.ledger);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(abl_ledger_busy(w.ledger, i), 2);
    }
}
END_TEST

START_TEST(its_own_number_is_kept_for_it_alone)
{
    ledger_world_t w;

    make_spied(&w, "ab", 0);
    take(w.ledger);
    take(w.ledger);
    ck_assert_int_eq(seen[0].credit, 1);
    next_generation(&w); /* the same method: it goes on */
    take(w.ledger);
    ck_assert_int_eq(seen[1].credit, 2);
    w.conf.method = &spies[1];
    next_generation(&w);
    take(w.ledger);
    ck_assert_int_eq(seen[0].credit, 0);
}
END_TEST

/* ---- learning --------------------------------------------------------------------------------------- */

START_TEST(requests_teach)
{
    ledger_world_t w;
    abl_outcome_t good = {.bytes = 1000, .latency = 5000}, bad = {.latency = -1, .failed = true};

    make_spied(&w, "ab", 0);
    abl_ledger_give(w.ledger, take(w.ledger), &good);
    take(w.ledger);
    ck_assert_uint_eq(seen[0].traffic, 1000);
    ck_assert_uint_eq(seen[0].mean_bytes, 1000);
    ck_assert_uint_eq(seen[0].latency, 5000);
    ck_assert(seen[0].traffic_at > 0 && seen[0].latency_at == seen[0].traffic_at);
    ck_assert(seen[1].traffic == 0 && seen[1].latency == 0);
    abl_ledger_give(w.ledger, 0, &bad);
    take(w.ledger);
    ck_assert_uint_ge(seen[0].latency, 5000000); /* what fails fast is not fast */
    abl_ledger_give(w.ledger, 0, NULL);
    take(w.ledger);
    ck_assert_uint_ge(seen[0].latency, 5000000);
}
END_TEST

START_TEST(what_there_is_to_see)
{
    ledger_world_t w;
    static abl_balancer_view_t view;
    abl_outcome_t good = {.bytes = 1000, .latency = 5000}, bad = {.bytes = 10, .latency = -1, .failed = true};
    abl_want_t sticky = {.only = 0};
    abl_ticket_t *ticket;

    make_spied(&w, "a", 1);
    take(w.ledger);
    ticket = queue_as(w.ledger, &sticky);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert(view.waiting == 1 && view.head_age > 0 && member_view(w.segment, 0).queued == 1);
    abl_ledger_give(w.ledger, 0, &good);
    collect(w.ledger, &ticket);
    abl_ledger_give(w.ledger, 0, &bad);
    take(w.ledger);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_uint_eq(member_view(w.segment, 0).requests, 3); /* the one that waited, too */
    ck_assert_uint_eq(member_view(w.segment, 0).failures, 1);
    ck_assert_uint_eq(member_view(w.segment, 0).bytes, 1010);
    ck_assert_uint_gt(member_view(w.segment, 0).latency, 5000);
    ck_assert(view.waiting == 0 && view.head_age == 0 && member_view(w.segment, 0).queued == 0);
}
END_TEST

START_TEST(a_changed_member_is_seen_changed)
{
    ledger_world_t w;
    static abl_balancer_view_t view;

    make_spied(&w, "a", 1);
    take(w.ledger);
    w.members[0].route = "elsewhere";
    w.members[0].weight = 250;
    w.members[0].set = 3;
    w.members[0].concurrency = 7;
    w.conf.queue_length = 5;
    w.conf.per_client = 2;
    next_generation(&w);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_str_eq(member_view(w.segment, 0).route, "elsewhere");
    ck_assert(member_view(w.segment, 0).weight == 250 && member_view(w.segment, 0).set == 3 &&
              member_view(w.segment, 0).concurrency == 7);
    ck_assert(view.queue_length == 5 && view.per_client == 2);
    ck_assert_uint_eq(member_view(w.segment, 0).busy, 1);
    describe_again(&w, "b", 1);
    next_generation(&w);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_int_eq(view.nmembers, 2); /* the removed one is last, until its request has ended */
    ck_assert(!member_view(w.segment, 0).removed && member_view(w.segment, 1).removed);
}
END_TEST

UNIT_MAIN("ledger_method", members_come_in_the_order_of_the_section, it_knows_who_is_full_and_what_is_asked,
          who_picks_a_full_member_is_not_obeyed, instead_of_nobody_the_least_busy,
          its_own_number_is_kept_for_it_alone, requests_teach, what_there_is_to_see,
          a_changed_member_is_seen_changed)
