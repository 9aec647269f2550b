/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipe that an instance writes to.
 */
#ifndef ABL_CONTROL_PIPE_H
#define ABL_CONTROL_PIPE_H

#include <sys/types.h>

/* A pipe for an instance's output: [0] to be read, not blocking; [1] for the instance. Whoever has [1] does
 * not get SIGPIPE when the reader is gone, because [1] can be read from, too. 0, or errno. */
int abl_pipe_make(int fds[2]);

/* The reading end of a running instance's output, when the process that started it is gone. -1: errno; it is
 * ENXIO when neither its descriptor 1 nor 2 is such a pipe any more. */
int abl_pipe_reopen(pid_t pid);

#endif
