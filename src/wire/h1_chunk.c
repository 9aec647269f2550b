/* SPDX-License-Identifier: Apache-2.0
 *
 * Decodes the chunked transfer coding as it arrives and writes size lines.
 */
#include <string.h>

#include "wire/h1_chars.h"
#include "wire/h1_chunk.h"

#define DIGITS_MAX 16

/* What the next byte is. The order is the order in which a chunk's bytes come. */
enum {
    AT_SIZE,    /* a digit of the size, or what ends it */
    AT_BLANK,   /* white space between the size and the semicolon of an extension */
    AT_EXT,     /* an extension, or the CR after it */
    AT_SIZE_LF, /* the LF of the size line */
    AT_DATA,
    AT_DATA_CR,
    AT_DATA_LF,
    AT_END,  /* the last chunk's size line was taken */
    AT_FAULT /* `why` says which */
};

static void next_chunk(abl_h1_chunk_t *chunk)
{
    chunk->left = 0;
    chunk->line_len = 0;
    chunk->digits = 0;
    chunk->state = AT_SIZE;
}

void abl_h1_chunk_init(abl_h1_chunk_t *chunk)
{
    chunk->why = NULL;
    next_chunk(chunk);
}

static const char *fault(abl_h1_chunk_t *chunk, const char *at, const char *why)
{
    chunk->state = AT_FAULT;
    chunk->why = why;
    return at;
}

static bool line_full(abl_h1_chunk_t *chunk)
{
    return chunk->line_len++ == ABL_H1_CHUNK_LINE_MAX;
}

/* The size is complete; *p is the byte after its digits. */
static const char *end_size(abl_h1_chunk_t *chunk, const char *p)
{
    if (chunk->digits == 0) {
        return fault(chunk, p, "a chunk size without hexadecimal digits");
    }
    chunk->line_len = chunk->digits;
    if (*p == '\r') {
        chunk->state = AT_SIZE_LF;
    } else if (*p == ';') {
        chunk->state = AT_EXT;
        chunk->line_len++;
    } else if (abl_h1_is_blank(*p)) {
        chunk->state = AT_BLANK;
        chunk->line_len++;
    } else {
        return fault(chunk, p, "a character after a chunk size that may not be there");
    }
    return p + 1;
}

static const char *read_size(abl_h1_chunk_t *chunk, const char *p, const char *end)
{
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (!abl_h1_is(*p, ABL_H1_HEXDIGIT)) {
            return end_size(chunk, p);
        }
        if (chunk->digits == DIGITS_MAX || chunk->left > ABL_H1_CHUNK_SIZE_MAX >> 4) {
            return fault(chunk, p, "a chunk size too large");
        }
        chunk->digits++;
        /* in ASCII the letters' low bits count from 1 in both cases, and only they have bit 6 */
        chunk->left = chunk->left << 4 | ((c & 15u) + (c >> 6) * 9u);
    }
    return p;
}

static const char *read_blank(abl_h1_chunk_t *chunk, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (line_full(chunk)) {
            return fault(chunk, p, "a chunk's size line too long");
        }
        if (*p == ';') {
            chunk->state = AT_EXT;
            return p + 1;
        }
        if (!abl_h1_is_blank(*p)) {
            return fault(chunk, p, "white space after a chunk size");
        }
    }
    return p;
}

static const char *read_ext(abl_h1_chunk_t *chunk, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '\r') {
            chunk->state = AT_SIZE_LF;
            return p + 1;
        }
        if (line_full(chunk)) {
            return fault(chunk, p, "a chunk's size line too long");
        }
        if (!abl_h1_is(*p, ABL_H1_VALUE)) {
            return fault(chunk, p, "a control character in a chunk extension");
        }
    }
    return p;
}

static const char *read_size_lf(abl_h1_chunk_t *chunk, const char *p)
{
    if (*p != '\n') {
        return fault(chunk, p, "a carriage return without a line feed in a chunk's size line");
    }
    chunk->state = chunk->left > 0 ? AT_DATA : AT_END;
    return p + 1;
}

static const char *read_data_end(abl_h1_chunk_t *chunk, const char *p)
{
    if (*p != (chunk->state == AT_DATA_CR ? '\r' : '\n')) {
        return fault(chunk, p, "a chunk longer than its size");
    }
    if (chunk->state == AT_DATA_CR) {
        chunk->state = AT_DATA_LF;
    } else {
        next_chunk(chunk);
    }
    return p + 1;
}

/* Takes as much as its state lets it of the bytes around the data, of which there is at least one. */
static const char *read_around(abl_h1_chunk_t *chunk, const char *p, const char *end)
{
    switch (chunk->state) {
    case AT_SIZE:
        return read_size(chunk, p, end);
    case AT_BLANK:
        return read_blank(chunk, p, end);
    case AT_EXT:
        return read_ext(chunk, p, end);
    case AT_SIZE_LF:
        return read_size_lf(chunk, p);
    default:
        return read_data_end(chunk, p);
    }
}

static size_t take_data(abl_h1_chunk_t *chunk, size_t have)
{
    size_t n = chunk->left < have ? (size_t)chunk->left : have;

    chunk->left -= n;
    if (chunk->left == 0) {
        chunk->state = AT_DATA_CR;
    }
    return n;
}

abl_wire_rc_t abl_h1_chunk_decode(abl_h1_chunk_t *chunk, const char *in, size_t len, size_t *used,
                                  const char **data, size_t *data_len)
{
    const char *p = in;
    const char *end = len > 0 ? in + len : in;

    *data = NULL;
    *data_len = 0;
    while (p < end && chunk->state < AT_END && chunk->state != AT_DATA) {
        p = read_around(chunk, p, end);
    }
    if (p < end && chunk->state == AT_DATA) {
        *data = p;
        *data_len = take_data(chunk, (size_t)(end - p));
        p += *data_len;
    }
    *used = (size_t)(p - in);
    if (chunk->state == AT_FAULT) {
        return ABL_WIRE_BAD;
    }
    return chunk->state == AT_END ? ABL_WIRE_DONE : ABL_WIRE_MORE;
}

size_t abl_h1_chunk_prefix(uint64_t size, char *out)
{
    size_t len = 1;

    while (len < DIGITS_MAX && size >> (4 * len) != 0) {
        len++;
    }
    for (size_t i = len; i-- > 0; size >>= 4) {
        out[i] = "0123456789abcdef"[size & 15];
    }
    memcpy(out + len, "\r\n", 2);
    return len + 2;
}
