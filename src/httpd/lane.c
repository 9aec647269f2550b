/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes a loop's thread good for httpd's work, and what it has been given back when it is done.
 */
#include "httpd/lane.h"

#include "ap_mpm.h"
#include "apr_strings.h"

#include <stdatomic.h>
#include <unistd.h>

#define LANES_MAX 64
#define CREW 8 /* threads of a loop, of which one works and at least one stands by */

static abl_lane_t *lanes; /* NULL: this MPM cannot suspend */
static int n_lanes;
static atomic_uint next_lane;
static apr_pool_t *child_pool;

/* What a loop's thread has been given back by the work it is doing itself. */
typedef struct given_t {
    abl_waiter_t *waiter;
    abl_waiter_fn_t *to;
} given_t;

static _Thread_local given_t *here; /* NULL: this thread is not a loop's at work */

abl_lane_t *abl_lane_at(int i)
{
    return i < n_lanes ? &lanes[i] : NULL;
}

abl_lane_t *abl_lane_next(void)
{
    return &lanes[atomic_fetch_add(&next_lane, 1) % (unsigned)n_lanes];
}

/* ---- at work ---------------------------------------------------------------------------------------- */

/* Modules keep things in the pool of the thread that serves a request: a loop's thread needs one, too. */
static _Thread_local apr_pool_t *own_pool;

static bool is_httpds_thread(void)
{
#if AP_HAS_THREAD_LOCAL
    apr_thread_t *thread = NULL;

    if (own_pool == NULL && ap_thread_current_create(&thread, NULL, child_pool) == APR_SUCCESS) {
        own_pool = apr_thread_pool_get(thread);
    }
#endif
    return own_pool != NULL;
}

static void end_thread(void)
{
    if (own_pool != NULL) {
        apr_pool_destroy(own_pool);
    }
}

void abl_lane_give(abl_lane_t *lane, abl_waiter_t *waiter, abl_waiter_fn_t *to)
{
    if (here != NULL) {
        here->waiter = waiter;
        here->to = to;
    } else {
        abl_loop_post(lane->loop, waiter, to);
    }
}

bool abl_lane_work(abl_lane_t *lane, void (*work)(void *baton), void *baton)
{
    abl_loop_t *loop = lane->loop;
    given_t given = {NULL, NULL};
    bool is_back;

    if (!is_httpds_thread() || !abl_loop_enter(loop)) {
        return false;
    }
    here = &given;
    work(baton);
    here = NULL;
    is_back = abl_loop_exit(loop);
    if (given.waiter != NULL && is_back) {
        given.to(given.waiter);
    } else if (given.waiter != NULL) {
        abl_loop_post(loop, given.waiter, given.to);
    }
    return true;
}

bool abl_lane_is_here(void)
{
    return here != NULL;
}

void abl_lane_leave(void)
{
    if (here != NULL) {
        abl_loop_leave();
    }
}

/* ---- the child -------------------------------------------------------------------------------------- */

/* All children together should be able to use all processors. */
static int lanes_needed(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int children = 1;

    (void)ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children);
    if (processors <= children || children < 1) {
        return 1;
    }
    processors = (processors + children - 1) / children;
    return processors < LANES_MAX ? (int)processors : LANES_MAX;
}

apr_status_t abl_lane_start(apr_pool_t *pchild)
{
    int needed = lanes_needed();
    apr_status_t rv = APR_SUCCESS;

    child_pool = pchild;
    lanes = apr_pcalloc(pchild, (apr_size_t)needed * sizeof(*lanes));
    while (rv == APR_SUCCESS && n_lanes < needed) {
        rv = abl_loop_start(&lanes[n_lanes].loop, CREW, end_thread);
        n_lanes += rv == APR_SUCCESS ? 1 : 0;
    }
    return rv;
}

void abl_lane_stop(void)
{
    int i;

    for (i = 0; i < n_lanes; i++) {
        abl_loop_stop(lanes[i].loop);
    }
}
