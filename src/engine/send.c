/* SPDX-License-Identifier: Apache-2.0
 *
 * The request's bytes: the head and what is known of the body in one system call, then the rest of the body
 * in pieces, in its own framing.
 */
#include "engine/transfer.h"

#include "engine/reach.h"

#include <string.h>

static const char CRLF[] = "\r\n";
static const char LAST_CHUNK[] = "0\r\n";

/* Room in x->piece: a chunk's size line before the data, CRLF behind it. */
#define PIECE_FRONT ABL_H1_CHUNK_PREFIX_MAX
#define PIECE_BACK 2

static void push(abl_exchange_t *x, const char *bytes, size_t len)
{
    x->vectors[x->nvectors].iov_base = (char *)bytes;
    x->vectors[x->nvectors].iov_len = len;
    x->nvectors++;
}

static bool chunked(const abl_exchange_t *x)
{
    return x->request->head.body == ABL_H1_REQUEST_CHUNKED;
}

/* ---- the end of the body ---------------------------------------------------------------------------- */

/* Trailers and the empty line that ends a chunked body; the last chunk's line has been pushed. */
static void push_trailers(abl_exchange_t *x)
{
    const abl_h1_pair_t *pairs = NULL;
    size_t size = 2;
    char *block, *at;
    int n = 0;
    int i;

    if (x->events->body_trailers != NULL) {
        pairs = x->events->body_trailers(x->ctx, &n);
    }
    for (i = 0; i < n; i++) {
        size += strlen(pairs[i].name) + strlen(pairs[i].value) + 4;
    }
    block = at = apr_palloc(x->pool, size);
    for (i = 0; i < n; i++) {
        size_t name_len = strlen(pairs[i].name), value_len = strlen(pairs[i].value);
        memcpy(at, pairs[i].name, name_len);
        memcpy(at + name_len, ": ", 2);
        memcpy(at + name_len + 2, pairs[i].value, value_len);
        memcpy(at + name_len + 2 + value_len, CRLF, 2);
        at += name_len + value_len + 4;
    }
    memcpy(at, CRLF, 2);
    push(x, block, size);
}

static void end_of_body(abl_exchange_t *x)
{
    x->refill = NULL;
    if (chunked(x)) {
        push(x, LAST_CHUNK, 3);
        push_trailers(x);
    } else if (x->request->head.body == ABL_H1_REQUEST_LENGTH && x->body_sent != x->request->head.length) {
        abl_transfer_finish(x, ABL_END_CLIENT_BODY, "the body is shorter than its Content-Length",
                            APR_SUCCESS);
    }
}

/* ---- making more to send ---------------------------------------------------------------------------- */

static void push_piece(abl_exchange_t *x, size_t len)
{
    char *data = x->piece + PIECE_FRONT;

    x->body_sent += len;
    if (!x->tunnel && x->request->head.body == ABL_H1_REQUEST_LENGTH &&
        x->body_sent > x->request->head.length) {
        abl_transfer_finish(x, ABL_END_CLIENT_BODY, "the body is longer than its Content-Length",
                            APR_SUCCESS);
        return;
    }
    if (!x->tunnel && chunked(x)) {
        char prefix[ABL_H1_CHUNK_PREFIX_MAX];
        size_t prefix_len = abl_h1_chunk_prefix(len, prefix);
        memcpy(data - prefix_len, prefix, prefix_len);
        memcpy(data + len, CRLF, 2);
        push(x, data - prefix_len, prefix_len + len + 2);
        return;
    }
    push(x, data, len);
}

/* Reads a piece from the client. False: nothing to send came of it. */
static bool read_piece(abl_exchange_t *x, bool *end)
{
    char first[ABL_BODY_PIECE]; /* until something comes: a tunnel may be silent for ever */
    char *to = x->piece != NULL ? x->piece + PIECE_FRONT : first;
    apr_status_t rv;
    size_t len = 0;

    x->body_begun = true;
    *end = false;
    rv = x->events->read_body(x->ctx, to, ABL_BODY_PIECE, &len, end);
    if (rv == APR_EAGAIN) {
        x->wants_client = true;
        return false;
    }
    if (rv != APR_SUCCESS) {
        abl_transfer_finish(x, ABL_END_CLIENT_BODY, "the request's body could not be read", rv);
        return false;
    }
    if (len > 0 && x->piece == NULL) {
        x->piece = apr_palloc(x->pool, PIECE_FRONT + ABL_BODY_PIECE + PIECE_BACK);
        memcpy(x->piece + PIECE_FRONT, first, len);
    }
    x->moved |= len > 0 || *end;
    if (len > 0) {
        push_piece(x, len);
    }
    return true;
}

static void refill_body(abl_exchange_t *x)
{
    bool end;

    if (read_piece(x, &end) && end) {
        end_of_body(x);
    }
}

/* The client may end its side of a tunnel while the member still talks. */
static void refill_tunnel(abl_exchange_t *x)
{
    bool end;

    if (read_piece(x, &end) && end) {
        x->refill = NULL;
        if (x->nvectors == 0) {
            abl_conn_shutdown_write(x->conn);
        }
    }
}

void abl_send_body(abl_exchange_t *x)
{
    x->hold_until = 0;
}

void abl_send_tunnel(abl_exchange_t *x)
{
    x->nvectors = 0;
    x->refill = refill_tunnel;
}

void abl_send_stop(abl_exchange_t *x)
{
    x->nvectors = 0;
    x->refill = NULL;
    x->wants_client = false;
    x->hold_until = 0;
}

/* ---- the head --------------------------------------------------------------------------------------- */

static bool push_head(abl_exchange_t *x)
{
    const abl_member_t *member = &x->balancer->members[x->member];
    abl_h1_request_t head = x->request->head;
    const char *why = NULL;
    size_t size;
    char *block;

    head.prefix = member->url.path;
    if (head.host == NULL) {
        abl_member_url_t own;
        head.host = abl_reach_url(x->balancer, x->member, x->pool, &own)->authority;
    }
    head.close = !member->keepalive && head.upgrade == NULL;
    size = abl_h1_request_size(&head, &why);
    if (size == 0) {
        abl_transfer_finish(x, ABL_END_REFUSED, why, APR_SUCCESS);
        return false;
    }
    block = apr_palloc(x->pool, size);
    abl_h1_request_write(&head, block);
    push(x, block, size);
    return true;
}

/* The part of the body that has been read already, framed. */
static void push_first(abl_exchange_t *x)
{
    const abl_request_t *request = x->request;

    x->body_sent = request->first_len;
    if (request->first_len == 0) {
        return;
    }
    if (chunked(x)) {
        char *prefix = apr_palloc(x->pool, ABL_H1_CHUNK_PREFIX_MAX);
        push(x, prefix, abl_h1_chunk_prefix(request->first_len, prefix));
        push(x, request->first, request->first_len);
        push(x, CRLF, 2);
    } else {
        push(x, request->first, request->first_len);
    }
}

void abl_send_begin(abl_exchange_t *x)
{
    abl_send_stop(x);
    if (x->body_begun) {
        x->events->rewind_body(x->ctx);
        x->body_begun = false;
    }
    x->sent_here = false;
    x->sending_broke = false;
    x->can_write = true;
    x->sent_at = 0;
    if (!push_head(x)) {
        return;
    }
    push_first(x);
    if (x->request->head.expect) {
        x->hold_until = abl_clock_now() + ABL_CONTINUE_WAIT;
        x->refill = refill_body; /* once nothing holds it back */
    } else if (!x->request->first_is_all) {
        x->refill = refill_body;
    } else if (chunked(x)) {
        x->refill = end_of_body;
    }
}

/* ---- to the socket ---------------------------------------------------------------------------------- */

static void drop_sent(abl_exchange_t *x, size_t sent)
{
    int i = 0;

    while (i < x->nvectors && sent >= x->vectors[i].iov_len) {
        sent -= x->vectors[i++].iov_len;
    }
    x->nvectors -= i;
    memmove(x->vectors, x->vectors + i, (size_t)x->nvectors * sizeof(x->vectors[0]));
    if (sent > 0) {
        x->vectors[0].iov_base = (char *)x->vectors[0].iov_base + sent;
        x->vectors[0].iov_len -= sent;
    }
}

static void write_vectors(abl_exchange_t *x)
{
    size_t sent = 0;
    apr_status_t rv = abl_conn_write(x->conn, x->vectors, x->nvectors, &sent);

    if (rv == APR_SUCCESS) {
        x->sent_here = x->moved = true;
        drop_sent(x, sent);
        x->can_write = x->nvectors == 0;
    } else if (APR_STATUS_IS_EAGAIN(rv)) {
        x->can_write = false;
    } else {
        /* The member may have answered before it closed: let the receiver look. */
        abl_send_stop(x);
        x->sending_broke = true;
        x->can_read = true;
    }
}

void abl_send_pump(abl_exchange_t *x)
{
    while (x->end == ABL_END_NONE) {
        if (x->nvectors > 0) {
            if (!x->can_write) {
                return;
            }
            write_vectors(x);
        } else if (x->refill != NULL && x->hold_until == 0 && !x->wants_client) {
            x->refill(x);
        } else {
            break;
        }
    }
    if (!abl_send_pending(x) && x->sent_at == 0) {
        x->sent_at = abl_clock_now();
    }
}
