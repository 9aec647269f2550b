/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the head of an HTTP/1.1 request to a member (RFC 9112 section 3) into one block of memory, so
 * that one writev() sends it.
 */
#ifndef ABL_WIRE_H1_REQUEST_H
#define ABL_WIRE_H1_REQUEST_H

#include "wire/wire.h"

typedef struct abl_h1_pair_t {
    const char *name;  /* NUL-terminated, a token */
    const char *value; /* NUL-terminated */
} abl_h1_pair_t;

typedef enum abl_h1_request_body_t {
    ABL_H1_REQUEST_NO_BODY, /* neither Content-Length nor Transfer-Encoding is sent */
    ABL_H1_REQUEST_LENGTH,  /* Content-Length: length (may be 0) */
    ABL_H1_REQUEST_CHUNKED  /* Transfer-Encoding: chunked */
} abl_h1_request_body_t;

typedef struct abl_h1_request_t {
    const char *method; /* token */
    const char *prefix; /* the member's own path, put before target unless that is "*"; "" or
                         * starts with '/' */
    const char *target; /* origin-form or "*", byte for byte as the client sent it */
    const char *host;   /* value of Host */
    /* end-to-end fields; Host, Content-Length and hop-by-hop ones not among them */
    const abl_h1_pair_t *fields;
    int nfields;
    abl_h1_request_body_t body;
    uint64_t length;     /* of LENGTH */
    const char *upgrade; /* NULL, or the protocols to switch to: sends Upgrade and Connection: upgrade */
    bool close;          /* sends Connection: close */
    bool te_trailers;    /* sends TE: trailers and Connection: TE */
    bool expect;         /* sends Expect: 100-continue */
} abl_h1_request_t;

/* Bytes abl_h1_request_write() needs; 0 when the request may not be written: a method or field name that
 * is no token, a control character in a field value or upgrade, a byte up to 0x20 or 0x7f in the
 * target, prefix or host, a target or prefix of another form than said above, Host, Content-Length or
 * Transfer-Encoding among the fields. *why (static text) says which. */
size_t abl_h1_request_size(const abl_h1_request_t *request, const char **why);

/* Writes exactly abl_h1_request_size() bytes to `out` and returns their number. Order: request line, Host,
 * fields, framing, TE, Expect, Upgrade, one Connection field (when needed), empty line. */
size_t abl_h1_request_write(const abl_h1_request_t *request, char *out);

#endif
