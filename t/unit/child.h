/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that a test starts through abl_spawn(), and what they write.
 */
#ifndef ABL_UNIT_CHILD_H
#define ABL_UNIT_CHILD_H

#include <apr_general.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "await.h"
#include "control/pipe.h"
#include "control/place.h"
#include "control/proc.h"
#include "control/spawn.h"
#include "unit.h"

#define CHILD_PATIENCE 20000 /* ms */

/* The application of a test: its folder, and one slot. */
typedef struct child_app_t {
    abl_app_conf_t conf;
    char dir[64];
    int port;
    const char *socket;
} child_app_t;

/* What has been started, and the pipe's reading end. */
typedef struct child_t {
    pid_t pid;
    int out;
    char why[ABL_SPAWN_WHY_MAX];
    apr_status_t rv;
} child_t;

static inline void child_app(child_app_t *app)
{
    static const char *const no_env[] = {NULL};

    apr_initialize();
    memset(app, 0, sizeof(*app));
    strcpy(app->dir, "/tmp/abl-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(app->dir));
    app->port = 39999; /* where nobody listens in these tests: only its digits count */
    app->conf.name = "app";
    app->conf.nslots = 1;
    app->conf.ports = &app->port;
    app->conf.dir = app->dir;
    app->conf.env = no_env;
    app->conf.umask = -1;
    app->conf.uid = geteuid();
    app->conf.gid = getegid();
}

static inline void child_app_socket(child_app_t *app, const char *path)
{
    app->socket = path;
    app->conf.sockets = &app->socket;
    app->port = 0;
}

/* The folder and the files in it. */
static inline void child_app_end(child_app_t *app)
{
    DIR *dir = opendir(app->dir);
    struct dirent *entry;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (unlinkat(dirfd(dir), entry->d_name, 0) < 0) {
            (void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(app->dir), 0);
}

/* pid -1: it could not be made. */
static inline child_t child_try(child_app_t *app, const char *const *argv, int listener, const char *mark)
{
    abl_spawn_t spawn = {.app = &app->conf, .mark = mark, .listener = listener, .output = -1};
    child_t child;
    int fds[2];

    app->conf.argv = argv;
    ck_assert_int_eq(abl_pipe_make(fds), 0);
    spawn.output = fds[1];
    child.pid = abl_spawn(&spawn, child.why, &child.rv);
    child.out = fds[0];
    close(fds[1]);
    return child;
}

static inline child_t child_start(child_app_t *app, const char *const *argv, int listener)
{
    child_t child = child_try(app, argv, listener, "unit");

    ck_assert_msg(child.pid > 0, "%s", child.why);
    ck_assert_int_eq(child.rv, 0);
    ck_assert_str_eq(child.why, "");
    return child;
}

static inline child_t child_shell(child_app_t *app, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};

    return child_start(app, argv, -1);
}

/* Reads until `len` bytes are there, or the end. */
static inline size_t child_read(int out, char *text, size_t len)
{
    struct pollfd pfd = {out, POLLIN, 0};
    size_t n = 0;

    while (n < len && poll(&pfd, 1, CHILD_PATIENCE) > 0) {
        ssize_t got = read(out, text + n, len - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    return n;
}

/* Its exit status. */
static inline int child_wait(const child_t *child)
{
    int status;

    ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
    return status;
}

static inline void child_kill(const child_t *child)
{
    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    (void)child_wait(child);
    close(child->out);
}

/* Everything that it writes until its end, which has to be a good one. Valid until the next call. */
static inline const char *child_said(const child_t *child)
{
    static char text[16384];

    text[child_read(child->out, text, sizeof(text) - 1)] = '\0';
    close(child->out);
    ck_assert_int_eq(child_wait(child), 0);
    return text;
}

static inline bool child_file_is_there(void *path)
{
    return access(path, F_OK) == 0;
}

/* Until the application has made this file in its folder. */
static inline void child_await_file(const child_app_t *app, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", app->dir, name);
    ck_assert(await_that(child_file_is_there, path, CHILD_PATIENCE));
}

static inline void child_write_file(const child_app_t *app, const char *name, const char *text, mode_t mode)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", app->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

#endif
