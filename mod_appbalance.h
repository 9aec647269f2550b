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
#define ABL_METHOD_VERSION "3"

#define ABL_MEMBERS_MAX 10240 /* members of one balancer */

/* One member as a method sees it. All numbers are of the whole server: all httpd processes together. What a
 * method changes is `credit` and `cost`; everything else is read only. */
typedef struct abl_candidate_t {
    apr_uint64_t id;         /* the member's own, made of its address: the same after a restart */
    apr_int64_t credit;      /* the method's own number, kept from one pick to the next, 0 at first */
    apr_uint64_t cost;       /* the method's own, too, for one pick: there may be too many for its stack */
    apr_uint64_t traffic;    /* bytes both ways; of what is older only a half counts every 10 s */
    apr_int64_t traffic_at;  /* when that was so, on `now`'s scale; see abl_decay() in balance/decay.h */
    apr_uint64_t mean_bytes; /* of one request, over the last ones; 0: none yet */
    apr_uint64_t latency;    /* to the first byte of an answer, µs: peak EWMA; 0: none yet */
    apr_int64_t latency_at;  /* when that was so */
    apr_uint32_t weight;     /* in hundredths, at least 1: 200 gets twice the share of 100 */
    apr_uint32_t busy;       /* requests at this member now */
    apr_uint32_t queued;     /* requests that wait for this member and no other */
    apr_uint32_t limit;      /* its concurrency; 0: none */
    apr_byte_t usable;       /* 0: not to be picked for this request: tried before, out of use, or full */
} abl_candidate_t;

/* What a method is told about the request. */
typedef struct abl_pick_t {
    apr_int64_t now;  /* µs of a clock that never jumps */
    apr_uint64_t key; /* hash of what `BalancerMethod NAME KEY` names, when has_key */
    apr_byte_t has_key;
} abl_pick_t;

/* A balancing method. `pick` runs inside the lock, shared by all httpd processes, that also counts the pick,
 * so that choosing and counting are one step: it must not block, allocate or log, must not keep a pointer,
 * and costs every request of the server its time. */
typedef struct abl_method_t {
    const char *name;
    /* Returns the index of a usable candidate, or -1 when none is usable. `n` is 1..ABL_MEMBERS_MAX. The
     * order is that of the configuration's lines within each set=. */
    int (*pick)(abl_candidate_t *candidates, int n, const abl_pick_t *request);
    apr_byte_t takes_key; /* `BalancerMethod NAME KEY` must say what to hash */
} abl_method_t;

#endif
