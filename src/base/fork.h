/* SPDX-License-Identifier: Apache-2.0
 *
 * Making processes inside a program that is not ours alone: httpd has other threads, and handlers for signals
 * that must not run in a process which is about to be something else.
 */
#ifndef ABL_BASE_FORK_H
#define ABL_BASE_FORK_H

#include <sys/types.h>

/* fork(); but the new process returns from it with all signals blocked: no handler of the caller's runs
 * there, and a signal that comes early waits until the new process is ready for it. The caller's own mask is
 * as before. Returns as fork() does; -1: errno. Any thread. */
pid_t abl_fork_quietly(void);

/* The new process: from now on every signal has its default action, and none is blocked, as a program expects
 * it that is about to be executed. (What is ignored or blocked stays so over exec.) Does only what is safe in
 * a signal handler, so it may be called between fork and exec while the caller of fork had other threads. */
void abl_fork_reset_signals(void);

#endif
