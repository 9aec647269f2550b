/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: what is taken is counted once and given back once, whoever asks at the same time.
 */
#include <pthread.h>

#include "balance/methods.h"
#include "ledger/ledger.h"
#include "unit.h"

static const apr_uint32_t equal[] = {100, 100, 100, 100};

START_TEST(takes_and_gives)
{
    abl_ledger_t *ledger = abl_ledger_create(&abl_method_leastbusy, equal, 3);
    abl_tried_t tried = {{0}};
    int taken[3];

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(abl_ledger_take(ledger, &tried, &taken[i]), APR_SUCCESS);
        ck_assert_uint_eq(abl_ledger_busy(ledger, taken[i]), 1); /* the least busy one had none */
    }
    abl_ledger_give(ledger, taken[1]);
    ck_assert_uint_eq(abl_ledger_busy(ledger, taken[1]), 0);
    ck_assert_int_eq(abl_ledger_take(ledger, &tried, &taken[0]), APR_SUCCESS);
    ck_assert_int_eq(taken[0], taken[1]);
}
END_TEST

START_TEST(tried_members_are_left_out)
{
    abl_ledger_t *ledger = abl_ledger_create(&abl_method_roundrobin, equal, 4);
    abl_tried_t tried = {{0}};
    int member;

    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(abl_ledger_take(ledger, &tried, &member), APR_SUCCESS);
        ck_assert(!abl_tried_has(&tried, member));
        abl_tried_add(&tried, member);
        abl_ledger_give(ledger, member);
    }
    ck_assert_int_eq(abl_ledger_take(ledger, &tried, &member), APR_ENOENT);
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
    abl_ledger_t *ledger = abl_ledger_create(&abl_method_roundrobin, equal, 1);
    abl_tried_t none = {{0}};
    int member;

    for (int i = 0; i < ABL_RETRY_BURST; i++) {
        ck_assert(abl_ledger_spend_retry(ledger));
    }
    ck_assert(!abl_ledger_spend_retry(ledger));
    for (int i = 0; i < 100 / ABL_RETRY_PERCENT; i++) {
        ck_assert(!abl_ledger_spend_retry(ledger));
        ck_assert_int_eq(abl_ledger_take(ledger, &none, &member), APR_SUCCESS);
        abl_ledger_give(ledger, member);
    }
    ck_assert(abl_ledger_spend_retry(ledger));
    ck_assert(!abl_ledger_spend_retry(ledger));
}
END_TEST

static int pick_nonsense(abl_candidate_t *candidates, int n)
{
    (void)candidates;
    return n;
}

START_TEST(a_method_that_lies_takes_nobody)
{
    static const abl_method_t method = {"nonsense", pick_nonsense};
    abl_ledger_t *ledger = abl_ledger_create(&method, equal, 2);
    abl_tried_t none = {{0}};
    int member;

    ck_assert_int_eq(abl_ledger_take(ledger, &none, &member), APR_ENOENT);
}
END_TEST

static void *take_and_give(void *ledger)
{
    abl_tried_t none = {{0}};
    int member;

    for (int i = 0; i < 20000; i++) {
        if (abl_ledger_take(ledger, &none, &member) != APR_SUCCESS) {
            return ledger;
        }
        abl_ledger_give(ledger, member);
    }
    return NULL;
}

START_TEST(threads_lose_nothing)
{
    abl_ledger_t *ledger = abl_ledger_create(&abl_method_leastbusy, equal, 4);
    pthread_t threads[8];
    void *failed;

    for (size_t i = 0; i < COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, ledger), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(abl_ledger_busy(ledger, i), 0);
    }
}
END_TEST

UNIT_MAIN("ledger", takes_and_gives, tried_members_are_left_out, the_last_member_can_be_tried,
          retries_are_a_share_of_requests, a_method_that_lies_takes_nobody, threads_lose_nothing)
