/* SPDX-License-Identifier: Apache-2.0
 *
 * How the body of a response is framed (RFC 9112 section 6.3), decided from its head and never guessed.
 */
#ifndef ABL_WIRE_H1_BODY_H
#define ABL_WIRE_H1_BODY_H

#include "wire/h1_head.h"

typedef enum abl_h1_body_kind_t {
    ABL_H1_BODY_NONE,    /* answer to HEAD, 1xx, 204, 304, or length 0 */
    ABL_H1_BODY_LENGTH,  /* `length` bytes, at least 1 */
    ABL_H1_BODY_CHUNKED, /* chunked */
    ABL_H1_BODY_CLOSE    /* everything until the member closes */
} abl_h1_body_kind_t;

typedef struct abl_h1_body_t {
    abl_h1_body_kind_t kind;
    uint64_t length; /* of LENGTH */
    bool keep;       /* the connection may be used again after this answer */
    const char *why; /* after BAD: static text */
} abl_h1_body_t;

/* Decides. `head` is complete, `buf` the bytes it points into, `to_head`: the request was a HEAD.
 * BAD: more than one Content-Length (even the same number twice, even as a list), one that is not 1 to 18
 * digits, Transfer-Encoding other than exactly "chunked" (any case), Transfer-Encoding twice, with
 * Content-Length, or in an HTTP/1.0 answer. For HEAD, 1xx, 204 and 304 the same fields are checked, then
 * the body is NONE; a 204, 304 or 1xx with Transfer-Encoding or a Content-Length over 0, and every
 * answer to HEAD, has keep = false, because some servers send the body all the same.
 * keep: HTTP/1.1 without "close" in Connection; HTTP/1.0 with "keep-alive" in it; never for CLOSE or 101. */
abl_wire_rc_t abl_h1_body_decide(const abl_h1_head_t *head, const char *buf, bool to_head,
                                 abl_h1_body_t *body);

#endif
