/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the client's request body, and, in a tunnel, whatever the client sends.
 */
#ifndef ABL_HTTPD_BODY_H
#define ABL_HTTPD_BODY_H

#include "httpd/config.h"
#include "engine/exchange.h"
#include "engine/spool.h"

typedef struct abl_body_t {
    request_rec *r;
    apr_bucket_brigade *bb; /* read from the filters, not yet copied */
    bool tunnel;            /* read the connection, not the request */
    bool pollable;          /* the client's socket can be polled, so reading never needs to block */
    bool ended;
    bool collected;    /* all of it is in the spool, and read_body reads there */
    abl_spool_t spool; /* the owner sets its limits */
    uint64_t taken;    /* bytes that were read */
    int error;         /* HTTP status of what went wrong, 0: nothing */
} abl_body_t;

/* Prepares. `pollable`: see above. */
void abl_body_init(abl_body_t *body, request_rec *r, bool pollable);

/* How the request says its body is framed. OK, or the HTTP status to answer instead: 400 for an ambiguous
 * framing, 501 for one that is not understood, 413 for a length over LimitRequestBody. Sets
 * head->body, head->length. */
int abl_body_framing(request_rec *r, abl_h1_request_t *head);

/* Does this request answer for another one, as an error's document or a subrequest? Then the client's body is
 * not its, nor are the client's conditions. */
bool abl_body_is_absent(const request_rec *r);

/* Does an input filter such as DEFLATE change the body? Then what the client said of it becomes true or is
 * taken back only when the body is read. */
bool abl_body_is_filtered(const request_rec *r);

/* Reads what has come of the body's beginning, at most `room` bytes. *len: bytes read; *all: that is the
 * whole body. OK or the HTTP status to answer (499 when the client left). */
int abl_body_prefetch(abl_body_t *body, char *buffer, apr_size_t room, apr_size_t *len, bool *all);

/* Reads what has come into the spool. OK: that is all of the body, or `enough` bytes or more of it.
 * SUSPENDED: the client has to be waited for; not when reading blocks. Otherwise the HTTP status to answer:
 * 413 for a body over `max` bytes (0: no limit) or over what the spool may hold. */
int abl_body_collect(abl_body_t *body, uint64_t enough, uint64_t max);

/* Takes bytes out of the spool again, *len > 0 of them unless it is empty. As abl_spool_peek(). */
apr_status_t abl_body_take(abl_body_t *body, char *buffer, size_t room, size_t *len);

/* abl_exchange_events_t.read_body. */
apr_status_t abl_body_read(abl_body_t *body, char *buffer, size_t room, size_t *len, bool *end);

/* abl_exchange_events_t.rewind_body: where abl_spool_keep() was called for the spool. */
void abl_body_rewind(abl_body_t *body);

/* The trailers that came after a chunked body, without hop-by-hop ones. */
const abl_h1_pair_t *abl_body_trailers(abl_body_t *body, int *n);

#define ABL_HTTP_CLIENT_GONE 499

#endif
