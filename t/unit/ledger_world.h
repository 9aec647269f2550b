/* SPDX-License-Identifier: Apache-2.0
 *
 * The world of the ledger's tests: a segment, a balancer whose members a line describes, and children that
 * are this process or forked from it.
 */
#ifndef ABL_UNIT_LEDGER_WORLD_H
#define ABL_UNIT_LEDGER_WORLD_H

#include <apr_general.h>
#include <apr_strings.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "balance/methods.h"
#include "ledger/ledger.h"
#include "unit.h"

typedef struct ledger_world_t {
    apr_pool_t *pool; /* of the newest generation */
    abl_segment_t *segment;
    abl_ledger_t *ledger; /* of the newest generation; joined: this process's own */
    abl_child_t *child;
    abl_member_conf_t members[64];
    abl_ledger_conf_t conf;
} ledger_world_t;

#define ANY ((abl_want_t){.only = -1})

/* Members "a", "b", ... with these limits; the last argument is -1. */
static inline void describe(ledger_world_t *w, const char *addresses, int concurrency)
{
    size_t n = strlen(addresses);

    memset(w->members, 0, sizeof(w->members));
    for (size_t i = 0; i < n; i++) {
        const char *name = apr_pstrmemdup(w->pool, addresses + i, 1);
        w->members[i] = (abl_member_conf_t){
            .address = name, .route = name, .weight = 100, .concurrency = (apr_uint32_t)concurrency};
    }
    w->conf = (abl_ledger_conf_t){.name = "test",
                                  .method = &abl_method_leastbusy,
                                  .queue_length = 1000,
                                  .members = w->members,
                                  .nmembers = (int)n,
                                  .retry_percent = ABL_RETRY_PERCENT};
}

static inline void configure(ledger_world_t *w)
{
    int left_out;

    ck_assert_int_eq(abl_segment_configure(w->segment, &w->conf, 1, w->pool, &w->ledger, &left_out),
                     APR_SUCCESS);
    ck_assert_int_eq(left_out, 0);
}

/* This process becomes a child. */
static inline void sit_down(ledger_world_t *w)
{
    ck_assert_int_eq(abl_segment_join(w->segment, &w->child), APR_SUCCESS);
    w->ledger = abl_ledger_join(w->ledger, w->child);
}

static inline void make_world(ledger_world_t *w, const char *addresses, int concurrency)
{
    apr_initialize();
    memset(w, 0, sizeof(*w));
    apr_pool_create(&w->pool, NULL);
    ck_assert_int_eq(abl_segment_create(32, &w->segment), APR_SUCCESS);
    describe(w, addresses, concurrency);
    configure(w);
}

static inline void sound(ledger_world_t *w)
{
    char verdict[ABL_CHECK_MAX];
    bool ok = abl_ledger_check(w->segment, verdict);

    ck_assert_msg(ok, "the ledger is not sound: %s", verdict);
}

/* ---- short words for requests ----------------------------------------------------------------------- */

/* The member taken, or -1. */
static inline int take(abl_ledger_t *ledger)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member = -1;

    ck_assert_int_eq(abl_ledger_take(ledger, &want, &member, &ticket), APR_SUCCESS);
    return member;
}

static inline abl_ticket_t *queue_as(abl_ledger_t *ledger, abl_want_t *want)
{
    abl_ticket_t *ticket;
    int member;

    ck_assert_int_eq(abl_ledger_take(ledger, want, &member, &ticket), APR_EINPROGRESS);
    return ticket;
}

static inline abl_ticket_t *queue(abl_ledger_t *ledger)
{
    abl_want_t want = ANY;

    return queue_as(ledger, &want);
}

static inline bool rings(const abl_ticket_t *ticket, int ms)
{
    struct pollfd pfd = {abl_ticket_fd(ticket), POLLIN, 0};

    return poll(&pfd, 1, ms) == 1;
}

/* Waits for the grant. */
static inline int collect(abl_ledger_t *ledger, abl_ticket_t **ticket)
{
    int member = -1;

    ck_assert(rings(*ticket, 10000));
    ck_assert_int_eq(abl_ledger_collect(ledger, ticket, &member), APR_SUCCESS);
    return member;
}

static inline bool still_waits(abl_ledger_t *ledger, abl_ticket_t **ticket)
{
    int member;

    return !rings(*ticket, 0) && abl_ledger_collect(ledger, ticket, &member) == APR_EAGAIN;
}

/* Takes and gives until every member has had its chance; the members that were used. */
static inline const char *used(abl_ledger_t *ledger, const abl_want_t *want)
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

static inline const char *used_without(abl_ledger_t *ledger, const char *tried)
{
    abl_want_t want = ANY;

    for (; *tried != '\0'; tried++) {
        abl_tried_add(&want.tried, *tried - 'a');
    }
    return used(ledger, &want);
}

#endif
