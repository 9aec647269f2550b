/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for another thread, but not for ever.
 */
#ifndef ABL_UNIT_AWAIT_H
#define ABL_UNIT_AWAIT_H

#include <semaphore.h>
#include <stdbool.h>
#include <time.h>

/* False: nobody has posted within so many milliseconds. */
static inline bool await(sem_t *sem, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(sem, &until) == 0;
}

/* Where nobody posts. False: it has not come true. */
static inline bool await_that(bool (*is_so)(void *), void *ctx, int ms)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    while (!is_so(ctx)) { /* once it was, it may cease to be */
        if (ms-- <= 0) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

#endif
