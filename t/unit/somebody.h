/* SPDX-License-Identifier: Apache-2.0
 *
 * Somebody who waits in a loop, for its tests.
 */
#ifndef ABL_T_SOMEBODY_H
#define ABL_T_SOMEBODY_H

#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "await.h"
#include "base/clock.h"
#include "engine/loop.h"
#include "unit.h"

/* Notes what he was called with. */
typedef struct somebody_t {
    abl_waiter_t waiter; /* first */
    int calls;
    uint32_t happened[ABL_WAITER_FDS];
    bool late;
    int64_t at;
    pthread_t thread;
    sem_t called;
    abl_loop_t *in; /* NULL: the one below */
} somebody_t;

static abl_loop_t *loop;

static inline void note(abl_waiter_t *waiter)
{
    somebody_t *s = (somebody_t *)waiter;

    s->calls++;
    memcpy(s->happened, waiter->happened, sizeof(s->happened));
    s->late = waiter->late;
    s->at = abl_clock_now();
    s->thread = pthread_self();
    sem_post(&s->called);
}

static inline void wait_now(abl_waiter_t *waiter)
{
    abl_loop_t *in = ((somebody_t *)waiter)->in;

    abl_loop_wait(in != NULL ? in : loop, waiter);
}

static inline void begin(somebody_t *s, int fd0, uint32_t events0, int fd1, uint32_t events1)
{
    memset(s, 0, sizeof(*s));
    sem_init(&s->called, 0, 0);
    s->waiter.fd[0] = fd0;
    s->waiter.events[0] = events0;
    s->waiter.fd[1] = fd1;
    s->waiter.events[1] = events1;
    s->waiter.deadline = INT64_MAX;
    s->waiter.on_ready = note;
}

static inline bool was_called(somebody_t *s, int ms)
{
    return await(&s->called, ms);
}

static inline void start(void)
{
    ck_assert_int_eq(abl_loop_start(&loop, 1, NULL), APR_SUCCESS);
}

static inline void make_pair(int fds[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

#endif
