/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that nobody ever joins: they run until the process ends.
 */
#ifndef ABL_BASE_THREAD_H
#define ABL_BASE_THREAD_H

#include <pthread.h>

/* Starts run(data) in a thread that gets no signals, and keeps this module's code in memory from now on. 0,
 * or an errno. */
int abl_thread_start(void *(*run)(void *data), void *data);

/* A condition that pthread_cond_timedwait() waits for by abl_clock_now()'s clock. */
void abl_thread_cond_init(pthread_cond_t *cond);

#endif
