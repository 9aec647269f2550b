/* SPDX-License-Identifier: Apache-2.0
 *
 * Non-blocking sockets to members.
 */
#include "engine/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds of silence before the kernel asks whether the other side still exists, and between its questions.
 */
#define KEEPALIVE_AFTER 30
#define KEEPALIVE_EVERY 10
#define KEEPALIVE_TIMES 3

/* ---- buffers: each thread has a spare one, so that who waits, or is idle, needs none ----------------- */

static pthread_key_t spare;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;

static void make_spare_key(void)
{
    (void)pthread_key_create(&spare, free);
}

static char *take_buffer(void)
{
    char *buffer;

    (void)pthread_once(&spare_once, make_spare_key);
    buffer = pthread_getspecific(spare);
    if (buffer == NULL) {
        return malloc(ABL_CONN_BUFFER);
    }
    (void)pthread_setspecific(spare, NULL);
    return buffer;
}

static void give_buffer(char *buffer)
{
    if (buffer != NULL && pthread_getspecific(spare) == NULL) {
        (void)pthread_setspecific(spare, buffer);
    } else {
        free(buffer);
    }
}

void abl_conn_rest(abl_conn_t *conn)
{
    if (conn->start == conn->end) {
        give_buffer(conn->buffer);
        conn->buffer = NULL;
        conn->start = conn->end = 0;
    }
}

/* ---- connections ------------------------------------------------------------------------------------ */

static abl_conn_t *make(int fd, int64_t now)
{
    abl_conn_t *conn = calloc(1, sizeof(*conn));

    if (conn != NULL) {
        conn->fd = fd;
        conn->born = now;
    }
    return conn;
}

/* A new connection; takes the socket over if it succeeds. */
static abl_conn_t *make_for(const abl_member_t *member, int fd, int64_t now)
{
    abl_conn_t *conn = make(fd, now);

    if (conn != NULL && member->tls != NULL) {
        conn->tls = abl_tls_open(member->tls, fd);
        if (conn->tls == NULL) {
            free(conn);
            return NULL;
        }
    }
    return conn;
}

apr_status_t abl_conn_open(const abl_member_t *member, const abl_address_t *to, int64_t now,
                           abl_conn_t **conn)
{
    const struct sockaddr *sa = (const struct sockaddr *)&to->sa;
    apr_status_t rv = APR_SUCCESS;
    int one = 1;
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *conn = NULL;
    if (fd < 0) {
        return errno;
    }
    if (sa->sa_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (connect(fd, sa, to->len) < 0) {
        rv = errno;
    }
    if (rv == APR_SUCCESS || rv == EINPROGRESS) {
        *conn = make_for(member, fd, now);
        if (*conn == NULL) {
            rv = APR_ENOMEM;
        }
    }
    if (*conn == NULL) {
        close(fd);
    }
    return rv;
}

void abl_conn_ask_for_life(const abl_conn_t *conn)
{
    int on = 1, after = KEEPALIVE_AFTER, every = KEEPALIVE_EVERY, times = KEEPALIVE_TIMES;

    (void)setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof(after));
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

apr_status_t abl_conn_connected(abl_conn_t *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return errno;
    }
    return error;
}

apr_status_t abl_conn_greet(const abl_conn_t *conn, const char *bytes, size_t len, size_t *sent)
{
    while (*sent < len) {
        ssize_t rc = send(conn->fd, bytes + *sent, len - *sent, MSG_NOSIGNAL);
        if (rc >= 0) {
            *sent += (size_t)rc;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

apr_status_t abl_conn_handshake(abl_conn_t *conn, bool *for_write)
{
    apr_status_t rv = conn->tls != NULL ? abl_tls_handshake(conn->tls) : APR_SUCCESS;

    *for_write = APR_STATUS_IS_EAGAIN(rv) && abl_tls_wants_write(conn->tls);
    return rv;
}

const char *abl_conn_why(const abl_conn_t *conn)
{
    return conn->tls != NULL ? abl_tls_why(conn->tls) : NULL;
}

bool abl_conn_pending(const abl_conn_t *conn)
{
    return conn->tls != NULL && abl_tls_pending(conn->tls);
}

static apr_status_t write_tls(abl_conn_t *conn, const struct iovec *iov, int n, size_t *sent)
{
    apr_status_t rv = abl_tls_write(conn->tls, iov, n, sent);

    conn->write_wants_read = APR_STATUS_IS_EAGAIN(rv) && !abl_tls_wants_write(conn->tls);
    conn->bytes += *sent;
    return rv;
}

apr_status_t abl_conn_write(abl_conn_t *conn, const struct iovec *iov, int n, size_t *sent)
{
    struct msghdr msg;
    ssize_t rc;

    if (conn->tls != NULL) {
        return write_tls(conn, iov, n, sent);
    }
    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = (struct iovec *)iov;
    msg.msg_iovlen = (size_t)n;
    *sent = 0;
    do {
        /* sendmsg and not writev: a member that closed must cost an error, not a SIGPIPE. */
        rc = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        return errno;
    }
    *sent = (size_t)rc;
    conn->bytes += (size_t)rc;
    return APR_SUCCESS;
}

static apr_status_t read_tls(abl_conn_t *conn, size_t room, bool *more)
{
    size_t got;
    apr_status_t rv = abl_tls_read(conn->tls, conn->buffer + conn->end, room, &got, more);

    conn->read_wants_write = abl_tls_wants_write(conn->tls);
    conn->drained = !*more && !conn->read_wants_write;
    conn->end += got;
    conn->bytes += got;
    return rv;
}

apr_status_t abl_conn_read(abl_conn_t *conn, bool *more)
{
    size_t room = ABL_CONN_BUFFER - conn->end;
    ssize_t rc;

    if (conn->buffer == NULL) {
        conn->buffer = take_buffer();
    }
    if (conn->buffer == NULL) {
        return APR_ENOMEM;
    }
    if (conn->tls != NULL) {
        return read_tls(conn, room, more);
    }
    do {
        rc = recv(conn->fd, conn->buffer + conn->end, room, 0);
    } while (rc < 0 && errno == EINTR);
    *more = rc > 0 && (size_t)rc == room;
    conn->drained = !*more;
    if (rc < 0) {
        return errno;
    }
    if (rc == 0) {
        return APR_EOF;
    }
    conn->end += (size_t)rc;
    conn->bytes += (size_t)rc;
    return APR_SUCCESS;
}

void abl_conn_compact(abl_conn_t *conn)
{
    if (conn->start > 0) {
        memmove(conn->buffer, conn->buffer + conn->start, conn->end - conn->start);
        conn->end -= conn->start;
        conn->start = 0;
    }
}

bool abl_conn_fit(abl_conn_t *conn, int64_t now)
{
    char byte;

    if (conn->drained && abl_loop_is_quiet(&conn->line, conn->fd, now)) {
        return true;
    }
    if (conn->tls != NULL) {
        return abl_tls_fit(conn->tls);
    }
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void abl_conn_shutdown_write(abl_conn_t *conn)
{
    if (conn->tls != NULL) {
        abl_tls_end_writing(conn->tls);
    }
    (void)shutdown(conn->fd, SHUT_WR);
}

void abl_conn_close(abl_conn_t **conn)
{
    if ((*conn)->tls != NULL) {
        abl_tls_close((*conn)->tls);
    }
    close((*conn)->fd);
    give_buffer((*conn)->buffer);
    free(*conn);
    *conn = NULL;
}
