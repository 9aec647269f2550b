/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked transfer coding (RFC 9112 section 7.1), decoded incrementally and encoded.
 *
 * Trailers are not read here: after the last chunk's line the decoder says DONE and the caller reads the
 * trailer section with abl_h1_head_init_trailers().
 */
#ifndef ABL_WIRE_H1_CHUNK_H
#define ABL_WIRE_H1_CHUNK_H

#include "wire/wire.h"

#define ABL_H1_CHUNK_LINE_MAX 256 /* bytes of a size line without its CRLF; extensions are ignored */
#define ABL_H1_CHUNK_SIZE_MAX INT64_MAX

typedef struct abl_h1_chunk_t {
    uint64_t left;     /* bytes of the current chunk's data still to come */
    uint32_t line_len; /* bytes of the size line so far */
    uint32_t digits;   /* hexadecimal digits of the size so far */
    int state;         /* private */
    const char *why;   /* after BAD: static text */
} abl_h1_chunk_t;

void abl_h1_chunk_init(abl_h1_chunk_t *chunk);

/* Decodes the next piece. Reads at most `len` bytes of `in`, sets *used to how many it took, and
 *   MORE with *data_len > 0: *data (inside `in`) are payload bytes; call again with what follows;
 *   MORE with *data_len = 0: all of `in` was taken, more is needed;
 *   DONE: the last chunk's size line was taken, the trailer section follows;
 *   BAD:  chunk->why says why (no digits, more than 16, a size over ABL_H1_CHUNK_SIZE_MAX, a line over
 *         ABL_H1_CHUNK_LINE_MAX, a bare CR or LF or a control character in it, white space after the
 *         size that no ';' follows, data not followed by CRLF). */
abl_wire_rc_t abl_h1_chunk_decode(abl_h1_chunk_t *chunk, const char *in, size_t len, size_t *used,
                                  const char **data, size_t *data_len);

#define ABL_H1_CHUNK_PREFIX_MAX 18 /* 16 digits and CRLF */

/* Writes the size line of a chunk of `size` bytes (`size` > 0) to `out`, which has room for
 * ABL_H1_CHUNK_PREFIX_MAX bytes; returns its length. No NUL is added. The caller sends the data and CRLF. */
size_t abl_h1_chunk_prefix(uint64_t size, char *out);

#endif
