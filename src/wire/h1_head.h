/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 response heads and trailer sections (RFC 9112 sections 2, 4, 5, 7.1.2), parsed incrementally.
 *
 * The caller collects bytes in one contiguous buffer and calls abl_h1_head_parse() with everything it has
 * since the head's first byte, again whenever more has arrived. The parser remembers how far it got, so
 * that a head that comes in one byte at a time still costs linear time. Names and values are offsets into
 * that buffer: the buffer may move between calls, its bytes may not change.
 */
#ifndef ABL_WIRE_H1_HEAD_H
#define ABL_WIRE_H1_HEAD_H

#include "wire/wire.h"

#define ABL_H1_HEAD_MAX 32768 /* bytes of a whole head or trailer section, with its last CRLF */
#define ABL_H1_FIELDS_MAX 200 /* field lines in one head or trailer section */

typedef struct abl_h1_field_t {
    uint32_t name;      /* offset of the first byte of the name */
    uint32_t name_len;  /* at least 1 */
    uint32_t value;     /* offset of the value, without white space around it */
    uint32_t value_len; /* may be 0 */
} abl_h1_field_t;

typedef struct abl_h1_head_t {
    int status;          /* 100..599; 0 for a trailer section */
    int minor;           /* 0 or 1: HTTP/1.minor */
    uint32_t reason;     /* offset of the reason phrase */
    uint32_t reason_len; /* 0: none was sent */
    int nfields;
    uint32_t length; /* after ABL_WIRE_DONE: bytes of the head, with the empty line */
    const char *why; /* after ABL_WIRE_BAD: what was wrong, static text */
    uint32_t line;   /* private: offset of the line being read */
    uint32_t scan;   /* private: how far that line was searched for its end */
    bool trailers;   /* private: no status line is expected */
    abl_h1_field_t fields[ABL_H1_FIELDS_MAX];
} abl_h1_head_t;

/* Prepares for a response head. Does not touch `fields`. */
void abl_h1_head_init(abl_h1_head_t *head);

/* Prepares for a trailer section: field lines up to an empty line, no status line. */
void abl_h1_head_init_trailers(abl_h1_head_t *head);

/* Reads on. `buf` and `len`: everything since the head's first byte (bytes after the head may follow).
 * DONE: head->length says where the head ends. BAD: head->why says why; among others for a bare CR or LF,
 * NUL or another control character in a name, value or reason, obs-fold, white space before the colon, an
 * empty name, a version other than HTTP/1.0 and HTTP/1.1, a status that is not three digits from 100 to
 * 599, more than ABL_H1_HEAD_MAX bytes or ABL_H1_FIELDS_MAX fields. The space after the status may be
 * missing only when there is no reason phrase either. */
abl_wire_rc_t abl_h1_head_parse(abl_h1_head_t *head, const char *buf, size_t len);

#endif
