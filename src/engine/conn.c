/* SPDX-License-Identifier: Apache-2.0
 *
 * Non-blocking sockets to members.
 */
#include "engine/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static abl_conn_t *make(int fd, int64_t now)
{
    /* The buffer is left as it is: clearing 32 kB for every connection would cost more than connecting. */
    abl_conn_t *conn = malloc(sizeof(*conn));

    if (conn != NULL) {
        memset(conn, 0, offsetof(abl_conn_t, buffer));
        conn->fd = fd;
        conn->born = now;
    }
    return conn;
}

apr_status_t abl_conn_open(const abl_member_t *member, int address, int64_t now, abl_conn_t **conn)
{
    const abl_address_t *to = &member->addresses[address];
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
        *conn = make(fd, now);
        if (*conn == NULL) {
            rv = APR_ENOMEM;
        }
    }
    if (*conn == NULL) {
        close(fd);
    }
    return rv;
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

apr_status_t abl_conn_write(abl_conn_t *conn, const struct iovec *iov, int n, size_t *sent)
{
    struct msghdr msg;
    ssize_t rc;

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

apr_status_t abl_conn_read(abl_conn_t *conn, bool *more)
{
    size_t room = ABL_CONN_BUFFER - conn->end;
    ssize_t rc;

    do {
        rc = recv(conn->fd, conn->buffer + conn->end, room, 0);
    } while (rc < 0 && errno == EINTR);
    *more = rc > 0 && (size_t)rc == room;
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

bool abl_conn_fit(abl_conn_t *conn)
{
    char byte;

    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void abl_conn_shutdown_write(abl_conn_t *conn)
{
    (void)shutdown(conn->fd, SHUT_WR);
}

void abl_conn_close(abl_conn_t **conn)
{
    close((*conn)->fd);
    free(*conn);
    *conn = NULL;
}
