/* SPDX-License-Identifier: Apache-2.0
 *
 * The program that reads an application's words.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "await.h"
#include "control/log.h"
#include "unit.h"

#define PATIENCE 20000 /* ms */

static char dir[] = "/tmp/abl-unit-XXXXXX";

static bool has_ended(void *unused)
{
    (void)unused;
    return waitpid(-1, NULL, WNOHANG) > 0;
}

/* Everything that is in a file of the test's folder, which is removed. */
static const char *take_file(const char *name)
{
    static char text[4096];
    char path[128];
    int fd;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    n = read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    ck_assert_int_eq(unlink(path), 0);
    return text;
}

/* httpd ignores some signals, and the control process blocks some. Signals 32 and 33 belong to the C library,
 * and stay as they are. */
START_TEST(a_program_with_signals_as_usual)
{
    static const int ignored_here[] = {SIGINT, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE, SIGHUP};
    unsigned long long blocked, ignored, caught;
    abl_log_t log = {.to = NULL};
    char command[256];
    sigset_t some;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (size_t i = 0; i < COUNT(ignored_here); i++) {
        signal(ignored_here[i], SIG_IGN);
    }
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_SETMASK, &some, NULL);
    (void)snprintf(command, sizeof(command),
                   "|exec >%s/said; sed -n '/^Sig[BIC]/p' /proc/self/status; exec cat", dir);
    ck_assert_int_eq(abl_log_open(&log, command), APR_SUCCESS);
    ck_assert(abl_log_line(&log, "hello", 5, 0));
    abl_log_close(&log);
    ck_assert(await_that(has_ended, NULL, PATIENCE));
    const char *said = take_file("said");
    ck_assert_int_eq(sscanf(said, "SigBlk: %llx SigIgn: %llx SigCgt: %llx", &blocked, &ignored, &caught), 3);
    ck_assert_uint_eq(blocked | (ignored & ~0x180000000ULL) | caught, 0);
    ck_assert_ptr_nonnull(strstr(said, "\nhello\n"));
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

UNIT_MAIN("log", a_program_with_signals_as_usual)
