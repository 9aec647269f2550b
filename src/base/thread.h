/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that get no signals, and keep this module's code in memory once they were started.
 */
#ifndef ABL_BASE_THREAD_H
#define ABL_BASE_THREAD_H

#include <pthread.h>

/* Starts run(data) in a thread that nobody ever joins: it runs until the process ends. 0, or an errno. */
int abl_thread_start(void *(*run)(void *data), void *data);

/* A condition that pthread_cond_timedwait() waits for by abl_clock_now()'s clock. */
void abl_thread_cond_init(pthread_cond_t *cond);

#endif
