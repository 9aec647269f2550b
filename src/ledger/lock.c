/* SPDX-License-Identifier: Apache-2.0
 *
 * A robust mutex between processes: the kernel gives it to the next one when its owner dies.
 */
#include "ledger/lock.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>

/* How long somebody may sleep beside a lock that is free. */
#define PATIENCE (20 * ABL_MS)

void (*abl_ledger_probe)(abl_probe_t at);

/* This thread is in one of the two functions below, or between them. pthread's own answer to who takes the
 * lock twice is not enough: in a signal's handler it would spoil what the interrupted call is doing, and the
 * kernel could not hand the lock on. */
static _Thread_local volatile sig_atomic_t inside;

apr_status_t abl_lock_create(abl_shared_t *shared)
{
    pthread_mutexattr_t attr;
    int rc;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    /* A child of the prefork MPM runs its exit from a signal's handler, perhaps while it is inside. */
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    rc = pthread_mutex_init(&shared->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return rc;
}

/* `until`: abl_clock_now()'s scale. */
static int lock_until(pthread_mutex_t *lock, int64_t until)
{
#ifdef __SANITIZE_THREAD__ /* which does not know pthread_mutex_clocklock(), and would see no lock taken */
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += (until - abl_clock_now()) * 1000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return pthread_mutex_timedlock(lock, &t);
#else
    struct timespec t = {.tv_sec = until / ABL_SECOND, .tv_nsec = until % ABL_SECOND * 1000};

    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &t);
#endif
}

/* A process may be killed after it was woken and before it has the lock. If a third one had the lock in the
 * meantime, neither that one nor the kernel knows of those who still sleep (the kernel's handle_futex_death()
 * makes good for it only while nobody has the lock). So nobody sleeps for long. */
static int wait_for(pthread_mutex_t *lock)
{
    int rc;

    do {
        rc = lock_until(lock, abl_clock_now() + PATIENCE);
    } while (rc == ETIMEDOUT);
    return rc;
}

bool abl_lock_take(abl_shared_t *shared)
{
    int rc;

    if (inside) {
        return false;
    }
    inside = 1;
    rc = pthread_mutex_trylock(&shared->lock);
    if (rc == EBUSY) {
        rc = wait_for(&shared->lock);
    }
    if (rc == EOWNERDEAD) {
        /* Whether anything is amiss says the dirty word. */
        pthread_mutex_consistent(&shared->lock);
        rc = 0;
    }
    inside = rc == 0;
    return inside;
}

void abl_lock_release(abl_shared_t *shared)
{
    pthread_mutex_unlock(&shared->lock);
    inside = 0;
}
