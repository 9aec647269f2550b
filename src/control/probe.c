/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking whether an instance is ready.
 */
#include "control/probe.h"

#include "base/clock.h"
#include "control/listener.h"
#include "control/place.h"
#include "wire/h1_head.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_TIME (5 * ABL_SECOND) /* then it is asked anew */
#define REQUEST_MAX 4096

/* ---- the connection --------------------------------------------------------------------------------- */

static bool begin(abl_probe_t *probe, const abl_app_conf_t *app, int slot, int64_t now)
{
    struct sockaddr_storage sa;
    socklen_t len = abl_place_address(app, slot, &sa);
    int fd = len > 0 ? socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0) {
        return false;
    }
    if (connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    probe->fd_plus_one = fd + 1;
    probe->sent = false;
    probe->len = 0;
    probe->until = now + ANSWER_TIME;
    return true;
}

void abl_probe_end(abl_probe_t *probe)
{
    if (probe->fd_plus_one != 0) {
        close(probe->fd_plus_one - 1);
    }
    free(probe->answer);
    probe->answer = NULL;
    probe->fd_plus_one = 0;
    probe->sent = false;
    probe->len = 0;
}

/* Connected? Below 0: it failed. */
static int is_connected(const abl_probe_t *probe)
{
    struct pollfd pfd = {.fd = probe->fd_plus_one - 1, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof(error);

    if (poll(&pfd, 1, 0) != 1) {
        return 0;
    }
    return getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? 1 : -1;
}

/* ---- who is it? ------------------------------------------------------------------------------------- */

/* Whoever we may not look at is not the instance: that is of our user, or we may look at everybody. */
static abl_probe_verdict_t identify(const abl_app_conf_t *app, int slot, pid_t pgid)
{
    abl_listener_t listener = app->place == ABL_PLACE_FD ? ABL_LISTENER_OURS
                              : abl_app_socket(app, slot) != NULL
                                  ? abl_listener_at_path(app->sockets[slot], pgid)
                                  : abl_listener_at_port(app->ports[slot], pgid);

    switch (listener) {
    case ABL_LISTENER_OURS:
        return ABL_PROBE_READY;
    case ABL_LISTENER_NOBODY:
        return ABL_PROBE_NOT_YET;
    default:
        return ABL_PROBE_STRANGER;
    }
}

/* ---- the answer ------------------------------------------------------------------------------------- */

/* False: it has failed. */
static bool ask(abl_probe_t *probe, const abl_app_conf_t *app)
{
    char request[REQUEST_MAX];
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: mod_appbalance (ready?)\r\n"
                       "Connection: close\r\n\r\n",
                       app->ready_uri);

    probe->sent = true;
    return len > 0 && len < REQUEST_MAX &&
           send(probe->fd_plus_one - 1, request, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) == len;
}

/* The status of the answer; 0: it is not there yet; below 0: there will be none. */
static int status_of(abl_probe_t *probe)
{
    abl_h1_head_t head;
    ssize_t n;

    if (probe->answer == NULL) {
        probe->answer = malloc(ABL_PROBE_ANSWER_MAX);
    }
    if (probe->answer == NULL || probe->len == ABL_PROBE_ANSWER_MAX) {
        return -1;
    }
    n = recv(probe->fd_plus_one - 1, probe->answer + probe->len, ABL_PROBE_ANSWER_MAX - probe->len,
             MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    probe->len += (size_t)n;
    abl_h1_head_init(&head);
    switch (abl_h1_head_parse(&head, probe->answer, probe->len)) {
    case ABL_WIRE_DONE:
        return head.status;
    case ABL_WIRE_BAD:
        return -1;
    default:
        return 0;
    }
}

/* Of a connection that stands. */
static abl_probe_verdict_t converse(abl_probe_t *probe, const abl_app_conf_t *app, int slot, pid_t pgid)
{
    abl_probe_verdict_t who = ABL_PROBE_READY;
    int status = -1;

    if (app->ready_uri == NULL) {
        abl_probe_end(probe);
        return identify(app, slot, pgid);
    }
    if (!probe->sent) {
        if (probe->known != pgid) { /* a stranger is not even asked; but it takes long to find out */
            who = identify(app, slot, pgid);
            probe->known = who == ABL_PROBE_READY ? pgid : 0;
        }
        status = who == ABL_PROBE_READY && ask(probe, app) ? 0 : -1;
    } else {
        status = status_of(probe);
    }
    if (status == 0) {
        return ABL_PROBE_NOT_YET;
    }
    abl_probe_end(probe);
    if (who != ABL_PROBE_READY) {
        return who;
    }
    return status >= 200 && status < 400 ? identify(app, slot, pgid) : ABL_PROBE_NOT_YET;
}

abl_probe_verdict_t abl_probe_look(abl_probe_t *probe, const abl_app_conf_t *app, int slot, pid_t pgid,
                                   int64_t now)
{
    int connected;

    if (app->place == ABL_PLACE_FD && app->ready_uri == NULL) {
        return ABL_PROBE_READY; /* it listens since before the instance began */
    }
    if (probe->fd_plus_one != 0 && now >= probe->until) {
        abl_probe_end(probe);
    }
    if (probe->fd_plus_one == 0 && !begin(probe, app, slot, now)) {
        return ABL_PROBE_NOT_YET;
    }
    connected = is_connected(probe);
    if (connected < 0) {
        abl_probe_end(probe);
    }
    return connected > 0 ? converse(probe, app, slot, pgid) : ABL_PROBE_NOT_YET;
}
