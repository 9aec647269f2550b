/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to a member: a non-blocking socket, TLS over it where the member has that, and the bytes
 * read from it that nobody has used yet.
 *
 * A connection belongs to exactly one owner, an exchange or the pool of idle connections, and only the
 * owner's thread calls these functions. Nothing here waits.
 */
#ifndef ABL_ENGINE_CONN_H
#define ABL_ENGINE_CONN_H

#include "engine/loop.h"
#include "engine/member.h"

#include <apr_errno.h>
#include <sys/uio.h>

#define ABL_CONN_BUFFER 32768 /* bytes read at once; also holds a whole response head */

typedef struct abl_conn_t {
    int fd;
    struct abl_conn_t *next; /* the pool's, while idle */
    int64_t born;            /* abl_clock_now() when it was opened */
    int64_t idle_since;      /* when it was last given to the pool */
    uint32_t epoch;          /* reach.c's: of the addresses among which it was chosen, */
    abl_ip_t ip;             /* and which it was, where the member has a name */
    bool reused;             /* it has carried an answer before */
    bool drained;            /* the last read found less than there was room for */
    bool read_wants_write;   /* TLS: reading goes on when the socket is writable, */
    bool write_wants_read;   /* and the other way round */
    abl_tls_conn_t *tls;     /* owned; NULL: the member has none */
    abl_line_t line;         /* the loops' */
    uint64_t bytes;          /* both ways, since it was opened or taken from the pool */
    size_t start, end;       /* unused bytes are buffer[start..end) */
    char *buffer;            /* ABL_CONN_BUFFER of them; NULL: nothing was read since it rested */
} abl_conn_t;

/* Starts to connect to one of the member's addresses. APR_SUCCESS: connected already. APR_EINPROGRESS: wait
 * until the descriptor is writable, then ask abl_conn_connected(). Both set *conn, which the caller owns.
 * Anything else: errno's reason, *conn is NULL. `now`: abl_clock_now(). */
apr_status_t abl_conn_open(const abl_member_t *member, const abl_address_t *to, int64_t now,
                           abl_conn_t **conn);

/* From now on the kernel asks whether the other side still exists: a machine that is gone neither answers nor
 * closes. For connections that are waited for without a limit of time. */
void abl_conn_ask_for_life(const abl_conn_t *conn);

/* How the connect went: APR_SUCCESS or the reason. */
apr_status_t abl_conn_connected(abl_conn_t *conn);

/* Sends what goes before TLS and before any request, once connected: APR_EAGAIN as long as something of it is
 * left. *sent: bytes taken so far, 0 at first. */
apr_status_t abl_conn_greet(const abl_conn_t *conn, const char *bytes, size_t len, size_t *sent);

/* Goes on with the handshake of TLS; nothing where the member has none. APR_SUCCESS: done. APR_EAGAIN: not
 * yet; *for_write says which way to wait. */
apr_status_t abl_conn_handshake(abl_conn_t *conn, bool *for_write);

/* What is wrong, in words that TLS has for it, valid as long as the connection; NULL: nothing, or what errno
 * says. */
const char *abl_conn_why(const abl_conn_t *conn);

/* Have bytes been read from the socket that abl_conn_read() has not given out? No poll tells of them. */
bool abl_conn_pending(const abl_conn_t *conn);

/* Sends from the vectors, as much as the socket takes now. APR_EAGAIN: nothing. *sent: bytes taken. */
apr_status_t abl_conn_write(abl_conn_t *conn, const struct iovec *iov, int n, size_t *sent);

/* Reads once into the free end of the buffer. APR_EAGAIN: nothing there. APR_EOF: the member closed.
 * APR_ENOMEM. With TLS an end without its goodbye is no APR_EOF but an error.
 * *more: the buffer was filled, so more may be waiting. The buffer must have room. */
apr_status_t abl_conn_read(abl_conn_t *conn, bool *more);

/* Nothing unread is left, and nothing that was read is used any more: the buffer goes to whoever reads next.
 * Does nothing where something is left. */
void abl_conn_rest(abl_conn_t *conn);

/* Moves the unused bytes to the front of the buffer. */
void abl_conn_compact(abl_conn_t *conn);

/* Is an idle connection still fit for a request: open, and nothing arrived that nobody asked for (but what is
 * TLS's own business, which is done with on the way)? Where a loop watches it and has looked just now there
 * is no further look. `now`: abl_clock_now(). */
bool abl_conn_fit(abl_conn_t *conn, int64_t now);

/* No more bytes will be sent; reading goes on. */
void abl_conn_shutdown_write(abl_conn_t *conn);

/* Closes and frees; *conn becomes NULL. */
void abl_conn_close(abl_conn_t **conn);

#endif
