/* SPDX-License-Identifier: Apache-2.0
 *
 * Making an instance's process: of its own process group and session, with a clean environment, as the user
 * it is to be, and with nothing of httpd's open.
 *
 * Its environment: PATH=/usr/local/bin:/usr/bin:/bin, LANG=C.UTF-8 (what it writes is taken as UTF-8), HOME,
 * USER and LOGNAME of its user when he is known; over these `app->env`; over that ABL_INSTANCE_MARK and, with
 * a listening socket, LISTEN_FDS, LISTEN_PID and SERVER_STARTER_PORT.
 */
#ifndef ABL_CONTROL_SPAWN_H
#define ABL_CONTROL_SPAWN_H

#include "control/app.h"

#include <apr_errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#define ABL_SPAWN_WHY_MAX 256
typedef struct abl_spawn_t {
    const abl_app_conf_t *app;
    int slot;
    const char *mark; /* value of ABL_INSTANCE_MARK: names this httpd, application and slot; no two at once */
    int listener;     /* ABL_PLACE_FD: the socket that becomes descriptor 3; else -1 */
    int output;       /* becomes descriptors 1 and 2; a pipe becomes the user's, so that /dev/stdout works */
    void (*begun)(
        void *ctx,
        pid_t pid); /* called as soon as there is a process, before it is the program; NULL:
                       nobody wants to know. When it fails within half a second, abl_spawn() says so */
    void *ctx;
} abl_spawn_t;

/* Forks and executes. Returns the pid, which is also that of its process group, as soon as the program has
 * been executed; or -1, and `why` says in the user's words what did not work (no such program, folder or
 * user's right, …), *rv with which errno. The caller waits for the process. Signals are unblocked and have
 * their default action in the new process. The caller may have other threads. What takes longer than half
 * a second until then (a folder on a slow file server) is not waited for: then the process ends with status
 * 127 if something does not work, and nobody says what. Until it is the program it does not outlive its
 * parent. */
pid_t abl_spawn(const abl_spawn_t *spawn, char why[ABL_SPAWN_WHY_MAX], apr_status_t *rv);

#endif
