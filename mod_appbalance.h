/* SPDX-License-Identifier: Apache-2.0
 *
 * The public contract of mod_appbalance: its version, and what a balancing method is.
 *
 * This is the lowest layer: it includes APR only, and every other file may include it. A third-party module
 * adds a method by registering an abl_method_t with
 *     ap_register_provider(pool, ABL_METHOD_GROUP, "mymethod", ABL_METHOD_VERSION, &my_method);
 * in its register_hooks function; `BalancerMethod mymethod` then selects it.
 */
#ifndef MOD_APPBALANCE_H
#define MOD_APPBALANCE_H

#include <apr.h>

#define ABL_VERSION "0.1.0"

#define ABL_METHOD_GROUP "appbalance_method"
#define ABL_METHOD_VERSION "1"

#define ABL_MEMBERS_MAX 256 /* members of one balancer */

/* One member as a method sees it. */
typedef struct abl_candidate_t {
    apr_uint32_t weight; /* in hundredths, at least 1: a member of weight 200 gets twice the share of 100 */
    apr_uint32_t busy;   /* requests at this member now */
    apr_int64_t credit;  /* the method's own number, kept from one pick to the next, 0 at first */
    apr_byte_t usable;   /* 0: not to be picked for this request */
} abl_candidate_t;

/* A balancing method. `pick` runs inside the lock that also counts the pick, so that choosing and counting
 * are one step: it must not block, allocate or log, and must not keep the pointer. */
typedef struct abl_method_t {
    const char *name;
    /* Returns the index of a usable candidate, or -1 when none is usable. `n` is 1..ABL_MEMBERS_MAX. */
    int (*pick)(abl_candidate_t *candidates, int n);
} abl_method_t;

#endif
