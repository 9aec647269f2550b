/* SPDX-License-Identifier: Apache-2.0
 *
 * A handler that returns SUSPENDED has httpd's worker let go of the connection. httpd 2.4 has no way back: so
 * from then on the connection is adopted, and this file is its MPM until it closes: it waits for the next
 * request, writes what is left, and lingers on close. The child's loops wait; whatever may block or take
 * long runs on httpd's workers, or on a loop's thread that may be as slow as one (lane.h).
 *
 * Only adopted.c, park.c and linger.c know the MPM's states.
 */
#ifndef ABL_HTTPD_ADOPTED_H
#define ABL_HTTPD_ADOPTED_H

#include "httpd/config.h"
#include "httpd/lane.h"

#include <stdatomic.h>

/* Who has it. */
typedef enum abl_whose_t {
    ABL_AT_WORK, /* a thread that is not to be disturbed; or it is on its way */
    ABL_WAITING, /* the loop, with a request */
    ABL_RESTING  /* the loop: idle, or lingering on close */
} abl_whose_t;

typedef struct abl_adopted_t abl_adopted_t;

/* In c->pool. The connection's owner's, where nothing else is said. */
struct abl_adopted_t {
    abl_waiter_t waiter; /* first */
    conn_rec *c;
    int fd;
    abl_lane_t *lane;
    bool stays;                        /* a loop's thread may do a worker's work for it */
    request_rec *r;                    /* the one that is parked; NULL: between requests */
    void (*on_stop)(abl_adopted_t *a); /* while there is one: the child ends; see abl_parking_t */
    void (*work)(abl_adopted_t *a);    /* what a worker does next */
    bool handed;                       /* the next suspend hook gives it to the loop */
    bool listed;                       /* it has been given to a loop before */
    bool hurried;                      /* called because the child ends, not because its time is over */
    _Atomic abl_whose_t at;            /* changed by its owner */
    int64_t let_go_at;                 /* when the MPM's worker had run its hooks */
    abl_adopted_t *next, *prev;        /* in the list of them all */
};

#define ABL_CLIENT 1 /* the waiter's descriptor that is the client's */

/* The child begins. `told`: where others read how many there are. */
void abl_adopted_child_init(abl_seat_counts_t *told);

/* How many there are, each of which the MPM counts. Any thread. */
int abl_adopted_count(void);

/* Fills it in, zeroed, for a connection that the next suspend hook gives to a loop. Worker. */
void abl_adopted_init(abl_adopted_t *a, conn_rec *c);

/* It will be idle when the suspend hook has given it to the loop. Worker. */
void abl_adopted_begin_idle(abl_adopted_t *a);

/* Its suspend_connection hooks run: the loop is its owner from here on. Worker. */
void abl_adopted_suspended(abl_adopted_t *a);

/* Whoever does a worker's work for it: it is this thread's connection from now on. */
void abl_adopted_resume(abl_adopted_t *a);

/* The same: a request is over, or has come back from its process_connection hooks. Does what the MPM would;
 * the connection is somebody else's, or gone, when it returns. */
void abl_adopted_go_on(abl_adopted_t *a);

/* The same: suspends it and gives it to the loop, where it waits, with its request, for what the waiter says.
 */
void abl_adopted_suspend(abl_adopted_t *a);

/* Loop, or its thread at work: it waits, with its request, for what the waiter says. */
void abl_adopted_wait(abl_waiter_t *waiter);

/* Loop: does it itself, as abl_lane_work() does. True: it did, or the child has come to its end. */
bool abl_adopted_work_here(abl_adopted_t *a, void (*work)(void *a));

/* Loop: has it done by a worker, or itself. */
void abl_adopted_call_worker(abl_adopted_t *a, void (*work)(abl_adopted_t *a));

/* The child ends: idle ones go, others finish; not graceful: nobody reads or writes any more. Any thread. */
void abl_adopted_on_stopping(bool graceful);

/* The child's end, before anything else of it goes: stops the lanes. */
void abl_adopted_stop(void);

#endif
