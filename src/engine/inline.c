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

static unsigned client_ready(short revents, short events)
{
    unsigned ready = 0;

    if (revents & POLLOUT) {
        ready |= ABL_READY_CLIENT_WRITE;
    }
    if (events & POLLIN) {
        /* the read itself finds out what happened */
        return ready | ((revents & ~POLLOUT) ? ABL_READY_CLIENT_READ : 0);
    }
    return ready | ((revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) ? ABL_READY_CLIENT_GONE : 0);
}

static short member_events(unsigned what)
{
    return (short)((what & ABL_READY_MEMBER_READ ? POLLIN : 0) |
                   (what & ABL_READY_MEMBER_WRITE ? POLLOUT : 0));
}

/* 0: poll still tells when it is gone altogether. */
static short client_events(unsigned what, bool writing)
{
    int reading = what & ABL_READY_CLIENT_READ ? POLLIN : what & ABL_READY_CLIENT_GONE ? POLLRDHUP : 0;

    return (short)(reading | (writing ? POLLOUT : 0));
}

/* One poll of the member, and of the client when `client_fd` is one. */
static unsigned poll_once(const abl_wait_t *wait, int client_fd, bool writing, int64_t until)
{
    struct pollfd fds[2] = {
        /* A hang-up is always told, even to who has not asked for anything. */
        {.fd = member_events(wait->what) != 0 ? wait->fd : -1, .events = member_events(wait->what)},
        {.fd = client_fd, .events = client_events(wait->what, writing)},
    };
    int rc = poll(fds, client_fd >= 0 ? 2 : 1, millis_until(until));

    if (rc <= 0) {
        return rc < 0 && errno != EINTR ? ABL_READY_TIMEOUT : 0;
    }
    return member_ready(fds[0].revents) | (client_fd >= 0 ? client_ready(fds[1].revents, fds[1].events) : 0);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Waits for the member alone: first without flushing, then, if nothing came, with everything flushed. */
static unsigned wait_quietly(const abl_wait_t *wait, const abl_inline_client_t *client, int64_t until)
{
    if (client->unflushed(client->ctx)) {
        unsigned ready = poll_once(wait, -1, false, earlier(abl_clock_now() + ABL_INLINE_FLUSH_AFTER, until));
        if (ready != 0) {
            return ready;
        }
        if (client->flush(client->ctx) != APR_SUCCESS) {
            return ABL_READY_CLIENT_GONE;
        }
    }
    return poll_once(wait, -1, false, earlier(abl_clock_now() + ABL_INLINE_WATCH_AFTER, until));
}

/* What can be said without a look at all descriptors; 0: nothing yet. */
static unsigned begin_to_wait(const abl_wait_t *wait, const abl_inline_client_t *client, bool writing,
                              int64_t until)
{
    if (wait->queued || writing) {
        return 0; /* perhaps for long: nothing is flushed, and the client is watched from the start */
    }
    if (!(wait->what & ABL_READY_CLIENT_READ)) {
        return wait_quietly(wait, client, until);
    }
    if (client->flush(client->ctx) != APR_SUCCESS) {
        return ABL_READY_CLIENT_GONE;
    }
    return client->fd < 0 ? ABL_READY_CLIENT_READ : 0; /* read_body will block */
}

unsigned abl_inline_wait(const abl_wait_t *wait, const abl_inline_client_t *client, bool writing,
                         int64_t until)
{
    int64_t deadline = earlier(wait->deadline, until);
    int64_t slice = client->untold ? ABL_INLINE_SLICE_UNTOLD : ABL_INLINE_SLICE;
    unsigned ready = begin_to_wait(wait, client, writing, deadline);

    while (ready == 0 && abl_clock_now() < deadline) {
        if (client->aborted(client->ctx)) {
            return ABL_READY_CLIENT_GONE;
        }
        ready = poll_once(wait, client->fd, writing, earlier(abl_clock_now() + slice, deadline));
        if (ready == 0 && (wait->what & ABL_READY_CLIENT_READ) && !client->untold &&
            abl_clock_now() < deadline) {
            return ABL_READY_CLIENT_READ; /* who limits how long a client takes may only look when asked */
        }
    }
    if (wait->queued && client->aborted(client->ctx)) {
        return ABL_READY_CLIENT_GONE; /* nobody works for who is not there any more */
    }
    return ready == 0 && abl_clock_now() >= wait->deadline ? ABL_READY_TIMEOUT : ready;
}

void abl_inline_run(abl_exchange_t *x, const abl_inline_client_t *client)
{
    unsigned ready = 0;

    while (abl_exchange_run(x, ready)) {
        ready = abl_inline_wait(abl_exchange_wait(x), client, false, INT64_MAX);
    }
}
