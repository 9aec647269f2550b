/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of a child of the event MPM. A loop's thread does httpd's work itself where it may: then a
 * request of a connection that is there already needs no other thread.
 */
#ifndef ABL_HTTPD_LANE_H
#define ABL_HTTPD_LANE_H

#include "engine/loop.h"

#include "httpd.h"

typedef struct abl_lane_t {
    abl_loop_t *loop;
    /* adopted.c's; the loop's thread only */
    abl_waiter_t stopper;
    abl_waiter_t valve; /* looks whether the MPM has too many connections */
    bool stopping;      /* the child ends */
    bool looks;         /* the valve's timer runs */
    int slot;           /* of this child in the scoreboard */
} abl_lane_t;

/* Starts the loops. Child, at its start. Returns errno's reason. */
apr_status_t abl_lane_start(apr_pool_t *pchild);

/* Ends their threads. The child's main thread, at its end. */
void abl_lane_stop(void);

/* The lane that has index i; NULL: there are not so many, or none because this MPM cannot suspend. */
abl_lane_t *abl_lane_at(int i);

/* Whose turn it is to have another connection. Any thread, where there are lanes. */
abl_lane_t *abl_lane_next(void);

/* The loop is the waiter's owner, and calls `to`, from here on, or as soon as its thread has come back from
 * this work. Any thread; the last thing it does with what the waiter is part of. */
void abl_lane_give(abl_lane_t *lane, abl_waiter_t *waiter, abl_waiter_fn_t *to);

/* The loop's thread: does it itself. It is not a worker, but while somebody stands by it may be as slow as
 * one. False: it may not; a worker has to. */
bool abl_lane_work(abl_lane_t *lane, void (*work)(void *baton), void *baton);

/* Is a loop's thread doing this thread's work? Then nothing must be waited for, not even for a moment, but
 * after the second. */
bool abl_lane_is_here(void);
void abl_lane_leave(void);

#endif
