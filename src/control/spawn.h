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
/* The environment variable by which descendants are found. */
#define ABL_INSTANCE_MARK "APPBALANCE_INSTANCE"

typedef struct abl_spawn_t {
    const abl_app_conf_t *app;
    int slot;
    const char *mark; /* value of ABL_INSTANCE_MARK: names this httpd, application and slot; no two at once */
    int listener;     /* ABL_PLACE_FD: the socket that becomes descriptor 3; else -1 */
    int output;       /* becomes descriptors 1 and 2; a pipe becomes the user's, so that /dev/stdout works */
    void (*begun)(void *ctx,
                  pid_t pid); /* called as soon as there is a process, before it is the program; NULL:
                                 nobody wants to know. When it fails after all, abl_spawn() says so */
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

/* The path of this slot's Unix socket; NULL: it has a port. */
static inline const char *abl_spawn_socket(const abl_app_conf_t *app, int slot)
{
    return app->sockets != NULL ? app->sockets[slot] : NULL;
}

/* ---- place.c: where it listens ---------------------------------------------------------------------- */

/* The address of this slot, at which an instance listens and httpd's children connect: 127.0.0.1 and its
 * port, or its Unix socket. Returns its length; 0: errno is ENAMETOOLONG, the socket's path is. */
socklen_t abl_spawn_address(const abl_app_conf_t *app, int slot, struct sockaddr_storage *sa);

/* A listening socket for this slot, at 127.0.0.1 or, for httpd's children only, on the file system; what is
 * left there of an earlier one is removed first, when nobody answers there. -1: errno tells. */
int abl_spawn_listen(const abl_app_conf_t *app, int slot);

/* Lets httpd's children connect to the socket that an instance has made at its slot's path, and nobody else.
 * False: errno; it is not there, or no socket of the instance's user. Does nothing where there is a port. */
bool abl_spawn_hand_over(const abl_app_conf_t *app, int slot);

/* Could an instance listen at this slot's port or socket? A socket that is left there is removed when nobody
 * answers. False: somebody else does, `errno` is EADDRINUSE; or something else is there, EEXIST or EISDIR; or
 * it is not allowed. */
bool abl_spawn_is_free(const abl_app_conf_t *app, int slot);

/* ---- pipe.c: what it writes ------------------------------------------------------------------------- */

/* A pipe for an instance's output: [0] to be read, not blocking; [1] for the instance. Whoever has [1] does
 * not get SIGPIPE when the reader is gone, because [1] can be read from, too. 0, or errno. */
int abl_spawn_pipe(int fds[2]);

/* The reading end of a running instance's output, when the process that started it is gone. -1: errno; it is
 * ENXIO when neither its descriptor 1 nor 2 is such a pipe any more. */
int abl_spawn_reopen_output(pid_t pid);

#endif
