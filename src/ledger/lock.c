/* SPDX-License-Identifier: Apache-2.0
 *
 * A robust mutex between processes: the kernel gives it to the next one when its owner dies.
 */
#include "ledger/lock.h"

#include <errno.h>

void (*abl_ledger_probe)(abl_probe_t at);

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

bool abl_lock_take(abl_shared_t *shared)
{
    int rc = pthread_mutex_lock(&shared->lock);

    if (rc == EOWNERDEAD) {
        /* Whether anything is amiss says the dirty word. */
        pthread_mutex_consistent(&shared->lock);
        rc = 0;
    }
    return rc == 0;
}

void abl_lock_release(abl_shared_t *shared)
{
    pthread_mutex_unlock(&shared->lock);
}
