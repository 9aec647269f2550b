/* SPDX-License-Identifier: Apache-2.0
 *
 * The sweeper's thread.
 */
#include "engine/sweeper.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct task_t {
    struct task_t *next;
    abl_sweep_fn_t *sweep;
    void *ctx;
} task_t;

static task_t *tasks; /* complete before the thread starts, read only afterwards */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects next_look's way down, with `changed` */
static pthread_cond_t changed;
static _Atomic int64_t next_look = INT64_MAX; /* when the thread will look by itself */

apr_status_t abl_sweeper_add(abl_sweep_fn_t *sweep, void *ctx)
{
    task_t *task = malloc(sizeof(*task));

    if (task == NULL) {
        return APR_ENOMEM;
    }
    task->sweep = sweep;
    task->ctx = ctx;
    task->next = tasks;
    tasks = task;
    return APR_SUCCESS;
}

/* Sleeps until next_look, which abl_sweeper_wake() may bring forward meanwhile. */
static void sleep_until_due(void)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        int64_t due = atomic_load(&next_look);
        struct timespec ts = {.tv_sec = due / ABL_SECOND, .tv_nsec = due % ABL_SECOND * 1000};

        if (abl_clock_now() >= due) {
            break;
        }
        if (due == INT64_MAX) {
            pthread_cond_wait(&changed, &lock);
        } else {
            pthread_cond_timedwait(&changed, &lock, &ts);
        }
    }
    /* From here on a wake is not lost: it lowers this value again, and look_at_all() only lowers it too. */
    atomic_store(&next_look, INT64_MAX);
    pthread_mutex_unlock(&lock);
}

static void look_at_all(void)
{
    int64_t now = abl_clock_now();
    task_t *task;

    for (task = tasks; task != NULL; task = task->next) {
        abl_sweeper_wake(task->sweep(task->ctx, now));
    }
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        sleep_until_due();
        look_at_all();
    }
    return NULL;
}

apr_status_t abl_sweeper_start(void)
{
    if (tasks == NULL) {
        return APR_SUCCESS;
    }
    abl_thread_cond_init(&changed);
    return abl_thread_start(run, NULL);
}

void abl_sweeper_wake(int64_t at)
{
    if (at >= atomic_load_explicit(&next_look, memory_order_relaxed)) {
        return;
    }
    pthread_mutex_lock(&lock);
    if (at < atomic_load(&next_look)) {
        atomic_store(&next_look, at);
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
}
