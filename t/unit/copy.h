/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of the test itself, as processes that can be looked at.
 */
#ifndef ABL_UNIT_COPY_H
#define ABL_UNIT_COPY_H

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* A copy of the test that does this in a group of its own, says that it has, and waits for its end. */
static inline pid_t copy_begin(void (*what)(void *), void *data)
{
    int fds[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setpgid(0, 0);
        what(data);
        if (write(fds[1], "x", 1) == 1) {
            pause();
        }
        _exit(0);
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    return pid;
}

static inline void copy_end(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

#endif
