/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has how many requests where: the one interface through which an exchange takes a member and gives it
 * back. What is behind it counts per httpd child; callers must not rely on that, because exact counting over
 * all children is meant to replace it without a change to them.
 *
 * Every function may be called from any thread of the child that created the ledger.
 */
#ifndef ABL_LEDGER_H
#define ABL_LEDGER_H

#include "mod_appbalance.h"

#include <apr_errno.h>
#include <stdbool.h>

/* The rows of one balancer. */
typedef struct abl_ledger_t abl_ledger_t;

/* The members that one request has already tried, as a bit set. All zero: none. */
typedef struct abl_tried_t {
    apr_uint64_t bits[ABL_MEMBERS_MAX / 64];
} abl_tried_t;

static inline void abl_tried_add(abl_tried_t *tried, int member)
{
    tried->bits[member / 64] |= APR_UINT64_C(1) << (member % 64);
}

static inline bool abl_tried_has(const abl_tried_t *tried, int member)
{
    return (tried->bits[member / 64] >> (member % 64)) & 1;
}

/* Makes the rows of a balancer of `n` members (1..ABL_MEMBERS_MAX) with these weights (hundredths). Lives as
 * long as the process. NULL: no memory. */
abl_ledger_t *abl_ledger_create(const abl_method_t *method, const apr_uint32_t *weights, int n);

/* Takes a lease: the method picks among the members not in `tried`, and the pick is counted in the same
 * step. APR_SUCCESS: *member is its index and abl_ledger_give() is owed. APR_ENOENT: every member has been
 * tried. */
apr_status_t abl_ledger_take(abl_ledger_t *ledger, const abl_tried_t *tried, int *member);

/* Gives a lease back. */
void abl_ledger_give(abl_ledger_t *ledger, int member);

#define ABL_RETRY_PERCENT 20
#define ABL_RETRY_BURST 10

/* May a request that has perhaps reached a member be sent to another one? A share of the requests may
 * (ABL_RETRY_PERCENT, saved up to ABL_RETRY_BURST), so that a pool that fails everything is not also asked
 * everything twice. True: the retry has been counted. */
bool abl_ledger_spend_retry(abl_ledger_t *ledger);

/* Requests at this member now, for status and tests. */
apr_uint32_t abl_ledger_busy(abl_ledger_t *ledger, int member);

#endif
