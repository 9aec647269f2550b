/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives an exchange with poll().
 */
#include "engine/inline.h"

#include <errno.h>
#include <poll.h>

/* Milliseconds until `deadline`, rounded up, so that a poll never ends before it; 0 when it has passed. */
static int millis_until(int64_t deadline)
{
    int64_t left = (deadline - abl_clock_now() + ABL_MS - 1) / ABL_MS;

    if (left < 0) {
        return 0;
    }
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static unsigned member_ready(short revents)
{
    unsigned ready = 0;

    if (revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) {
        ready |= ABL_READY_MEMBER_READ;
    }
    if (revents & (POLLOUT | POLLHUP | POLLERR | POLLNVAL)) {
        ready |= ABL_READY_MEMBER_WRITE;
    }
    return ready;
}

static unsigned client_ready(short revents, bool reading)
{
    if (reading) {
        return revents ? ABL_READY_CLIENT_READ : 0; /* the read itself finds out what happened */
    }
    return (revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) ? ABL_READY_CLIENT_GONE : 0;
}

static short member_events(unsigned what)
{
    return (short)((what & ABL_READY_MEMBER_READ ? POLLIN : 0) |
                   (what & ABL_READY_MEMBER_WRITE ? POLLOUT : 0));
}

/* One poll of the member, and of the client when `client_fd` is one. */
static unsigned poll_once(const abl_wait_t *wait, int client_fd, int64_t until)
{
    bool reading = (wait->what & ABL_READY_CLIENT_READ) != 0;
    struct pollfd fds[2] = {
        {.fd = wait->fd, .events = member_events(wait->what)},
        {.fd = client_fd, .events = reading ? POLLIN : POLLRDHUP},
    };
    int rc = poll(fds, client_fd >= 0 ? 2 : 1, millis_until(until));

    if (rc <= 0) {
        return rc < 0 && errno != EINTR ? ABL_READY_TIMEOUT : 0;
    }
    return member_ready(fds[0].revents) | (client_fd >= 0 ? client_ready(fds[1].revents, reading) : 0);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Waits for the member alone: first without flushing, then, if nothing came, with everything flushed. */
static unsigned wait_quietly(const abl_wait_t *wait, const abl_inline_client_t *client)
{
    if (client->unflushed(client->ctx)) {
        unsigned ready =
            poll_once(wait, -1, earlier(abl_clock_now() + ABL_INLINE_FLUSH_AFTER, wait->deadline));
        if (ready != 0) {
            return ready;
        }
        if (client->flush(client->ctx) != APR_SUCCESS) {
            return ABL_READY_CLIENT_GONE;
        }
    }
    return poll_once(wait, -1, earlier(abl_clock_now() + ABL_INLINE_WATCH_AFTER, wait->deadline));
}

static unsigned wait_for(const abl_wait_t *wait, const abl_inline_client_t *client)
{
    bool reading = (wait->what & ABL_READY_CLIENT_READ) != 0;
    bool watching = (wait->what & ABL_READY_CLIENT_GONE) != 0;
    unsigned ready = 0;

    if (wait->queued) {
        /* perhaps for long: nothing is flushed, and the client is watched from the start */
    } else if (!reading) {
        ready = wait_quietly(wait, client);
    } else if (client->flush(client->ctx) != APR_SUCCESS) {
        return ABL_READY_CLIENT_GONE;
    } else if (client->fd < 0) {
        return ABL_READY_CLIENT_READ; /* read_body will block */
    }
    while (ready == 0 && abl_clock_now() < wait->deadline) {
        if (client->aborted(client->ctx)) {
            return ABL_READY_CLIENT_GONE;
        }
        ready = poll_once(wait, reading || watching ? client->fd : -1,
                          earlier(abl_clock_now() + ABL_INLINE_SLICE, wait->deadline));
    }
    return ready == 0 ? ABL_READY_TIMEOUT : ready;
}

void abl_inline_run(abl_exchange_t *x, const abl_inline_client_t *client)
{
    unsigned ready = 0;

    while (abl_exchange_run(x, ready)) {
        ready = wait_for(abl_exchange_wait(x), client);
    }
}
