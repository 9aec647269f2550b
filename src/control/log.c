/* SPDX-License-Identifier: Apache-2.0
 *
 * An application's own log.
 */
#include "control/log.h"

#include "base/clock.h"
#include "base/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RETRY_EVERY ABL_SECOND

/* In the forked copy of a process with other threads: only what is safe in a signal handler. */
__attribute__((noreturn)) static void be_program(const char *command, int input)
{
    abl_fork_reset_signals();
    (void)setsid();
    if (dup2(input, STDIN_FILENO) == STDIN_FILENO) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

/* The program ends when it meets the end of its input. Its end is noticed when it is written to; its parent
 * reaps it with all others. */
static int start_program(const char *command, int *ended)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -1;
    }
    pid = abl_fork_quietly();
    if (pid == 0) {
        be_program(command, fds[0]);
    }
    close(fds[0]);
    if (pid < 0 || fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0) {
        close(fds[1]);
        return -1;
    }
    *ended = (int)syscall(SYS_pidfd_open, pid, 0) + 1;
    return fds[1];
}

void abl_log_close(abl_log_t *log)
{
    if (log->fd_plus_one != 0) {
        close(log->fd_plus_one - 1);
        log->fd_plus_one = 0;
    }
}

/* Nobody waits for an earlier program any more. */
static void forget_program(abl_log_t *log)
{
    if (log->pidfd_plus_one != 0) {
        close(log->pidfd_plus_one - 1);
        log->pidfd_plus_one = 0;
    }
}

void abl_log_await(abl_log_t *log, int64_t until)
{
    struct pollfd pfd = {.fd = log->pidfd_plus_one - 1, .events = POLLIN};
    int64_t left = until - abl_clock_now();

    if (log->pidfd_plus_one != 0 && left > 0) {
        (void)poll(&pfd, 1, (int)(left / ABL_MS));
    }
    forget_program(log);
}

/* What the application's user may have put there in the place of its log, to have this process write into a
 * file that he may not write: a link. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0640);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) != 0 || (S_ISREG(st.st_mode) && st.st_nlink != 1))) {
        close(fd);
        errno = EMLINK;
        return -1;
    }
    return fd;
}

apr_status_t abl_log_open(abl_log_t *log, const char *to)
{
    int fd;

    abl_log_close(log);
    forget_program(log);
    log->to = to;
    log->retry_at = 0;
    if (to == NULL) {
        return APR_SUCCESS;
    }
    /* Not blocking: a named pipe that nobody reads, or not fast enough, must not hold all applications up. */
    fd = *to == '|' ? start_program(to + 1, &log->pidfd_plus_one) : open_file(to);
    log->fd_plus_one = fd + 1;
    return fd < 0 ? errno : APR_SUCCESS;
}

bool abl_log_line(abl_log_t *log, const char *line, size_t len, int64_t now)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)line, len}, {(void *)(uintptr_t) "\n", 1}};

    if (log->fd_plus_one == 0) {
        if (now < log->retry_at) {
            return false;
        }
        if (abl_log_open(log, log->to) != APR_SUCCESS) {
            log->retry_at = now + RETRY_EVERY;
            return false;
        }
    }
    if (writev(log->fd_plus_one - 1, parts, 2) == (ssize_t)len + 1) {
        return true;
    }
    if (errno == EPIPE) { /* whoever read it has ended */
        abl_log_close(log);
        log->retry_at = now + RETRY_EVERY;
    }
    return log->fd_plus_one != 0;
}
