/* SPDX-License-Identifier: Apache-2.0
 *
 * What ps shows.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/title.h"
#include "unit.h"

static void read_file(const char *name, char text[256])
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, 255);

    text[n > 0 ? n : 0] = '\0';
    close(fd);
}

/* In a copy of this process: a title cannot be taken back. */
static int shown_after(const char *title, const char *cmdline, const char *comm)
{
    pid_t pid = fork();
    int status = 0;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char now[256], name[256];
        abl_title_set(title, "a title");
        read_file("/proc/self/cmdline", now);
        read_file("/proc/self/comm", name);
        _exit(strcmp(now, cmdline) == 0 && strcmp(name, comm) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(the_title)
{
    char before[256], more[1024];

    read_file("/proc/self/cmdline", before);
    ck_assert_uint_gt(strlen(before), 4);
    ck_assert_int_eq(shown_after("new:", "new:", "a title\n"), 0);
    ck_assert_int_eq(shown_after("", "", "a title\n"), 0);
    memset(more, 'x', sizeof(more));
    more[sizeof(more) - 1] = '\0';
    ck_assert_int_eq(shown_after(more, before, "a title\n"), 0); /* there is no room for it */
}
END_TEST

UNIT_MAIN("title", the_title)
