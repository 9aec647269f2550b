/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipe that an instance writes to.
 */
#include "control/pipe.h"

#include "control/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int abl_pipe_make(int fds[2])
{
    char name[32];
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[1]);
    fds[0] = ends[0];
    fds[1] = open(name, O_RDWR | O_CLOEXEC);
    error = errno;
    close(ends[1]);
    if (fds[1] < 0) {
        close(ends[0]);
        return error;
    }
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
        error = errno;
        close(fds[0]);
        close(fds[1]);
        return error;
    }
    return 0;
}

/* Ours is a pipe that is open for reading and writing. What the application has made itself, to a logger of
 * its own for instance, is not: to read from that would steal. */
static bool is_ours(pid_t pid, const char *name, const char *info)
{
    char text[256], *flags;
    struct stat st;
    ssize_t len;
    int fd = abl_proc_open(pid, name, O_PATH);
    bool is_pipe = fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);

    if (fd >= 0) {
        close(fd);
    }
    if (!is_pipe) {
        return false;
    }
    fd = abl_proc_open(pid, info, O_RDONLY);
    if (fd < 0) {
        return false;
    }
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    flags = strstr(text, "flags:");
    return flags != NULL && (strtol(flags + 6, NULL, 8) & O_ACCMODE) == O_RDWR;
}

int abl_pipe_reopen(pid_t pid)
{
    static const char *const names[][2] = {{"fd/1", "fdinfo/1"}, {"fd/2", "fdinfo/2"}};
    int i;

    for (i = 0; i < 2; i++) {
        errno = 0;
        if (is_ours(pid, names[i][0], names[i][1])) {
            return abl_proc_open(pid, names[i][0], O_RDONLY | O_NONBLOCK);
        }
    }
    errno = errno != 0 ? errno : ENXIO;
    return -1;
}
