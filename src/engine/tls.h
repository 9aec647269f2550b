/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS to members, by OpenSSL, over non-blocking sockets: what a member's certificate has to be, the sessions
 * that can be resumed, and what goes over one connection. Nothing else in the module knows OpenSSL.
 *
 * abl_tls_t is a member's: made by the parent while the configuration is read, used by any thread of any
 * child. A child fills in its own copy of the sessions. abl_tls_conn_t is one connection's, and is its
 * owner's (conn.h).
 */
#ifndef ABL_ENGINE_TLS_H
#define ABL_ENGINE_TLS_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define ABL_TLS_CUT ECONNABORTED /* the socket ended, and the member had not said goodbye */

typedef enum abl_tls_version_t { ABL_TLS_1_2 = 0, ABL_TLS_1_3 } abl_tls_version_t;

/* What the configuration says. */
typedef struct abl_tls_conf_t {
    bool unverified;           /* whoever answers is the member */
    abl_tls_version_t minimum; /* older versions are not spoken */
    const char *ca;            /* file of certificates that are believed; NULL: the system's */
    const char *name; /* in the member's certificate, and SNI; or an IP address, for which there is no SNI */
    const char *cert; /* file of our own certificate and its chain; NULL: none */
    const char *key;  /* file of its key; NULL: the same file */
} abl_tls_conf_t;

typedef struct abl_tls_t abl_tls_t;
typedef struct abl_tls_conn_t abl_tls_conn_t;

/* Reads the files and makes what all connections to a member share; it lives as long as `pool` and the
 * connections do. Returns NULL, or what is wrong in the user's words (from `pool`). Parent. */
const char *abl_tls_make(apr_pool_t *pool, const abl_tls_conf_t *conf, abl_tls_t **tls);

/* A new connection over the socket, which stays the caller's. NULL: no memory. */
abl_tls_conn_t *abl_tls_open(abl_tls_t *tls, int fd);

/* Says goodbye (close_notify) if that is possible without waiting, and frees. Before the socket is closed. */
void abl_tls_close(abl_tls_conn_t *conn);

/* Goes on with the handshake. APR_SUCCESS: done, and the member is who it should be. APR_EAGAIN: call again
 * when the socket is readable, or writable if abl_tls_wants_write(). Otherwise it failed, abl_tls_why() says
 * how. */
apr_status_t abl_tls_handshake(abl_tls_conn_t *conn);

/* Sends from the vectors as much as the socket takes; what was not taken must come again, with the same
 * bytes. APR_EAGAIN: nothing was, and abl_tls_wants_write() says what to wait for. *sent: bytes taken. */
apr_status_t abl_tls_write(abl_tls_conn_t *conn, const struct iovec *iov, int n, size_t *sent);

/* Reads until there is no more, or no more room. APR_EAGAIN: nothing there. APR_EOF: the member said goodbye;
 * a socket that ends without is ABL_TLS_CUT, because anybody on the way could have ended it. *more: there may
 * be more. */
apr_status_t abl_tls_read(abl_tls_conn_t *conn, char *to, size_t room, size_t *got, bool *more);

/* Is something of what has been read from the socket not given out yet? No poll would tell of it. */
bool abl_tls_pending(const abl_tls_conn_t *conn);

/* After APR_EAGAIN: does it wait until the socket is writable, and not until it is readable? */
bool abl_tls_wants_write(const abl_tls_conn_t *conn);

/* An idle connection: is it open, and has nothing come but what belongs to TLS, such as tickets of sessions?
 */
bool abl_tls_fit(abl_tls_conn_t *conn);

/* Nothing more will be sent: tells the member so (close_notify). */
void abl_tls_end_writing(abl_tls_conn_t *conn);

/* What went wrong, in a few words that need no errno beside them; NULL: nothing, or what errno says. Valid
 * until the connection is closed. */
const char *abl_tls_why(const abl_tls_conn_t *conn);

#endif
