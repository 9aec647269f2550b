/* SPDX-License-Identifier: Apache-2.0
 *
 * Which byte may stand where in HTTP/1.1 (RFC 9110 section 5.6, RFC 9112 section 7.1), as one table, and the
 * two comparisons the codecs share. Everything here is inline: these are the innermost loops of the folder.
 */
#ifndef ABL_WIRE_H1_CHARS_H
#define ABL_WIRE_H1_CHARS_H

#include "wire/wire.h"

#define ABL_H1_TOKEN 1  /* tchar */
#define ABL_H1_VALUE 2  /* in a field value: TAB, space, visible, obs-text */
#define ABL_H1_TARGET 4 /* in a request target: visible, obs-text */
#define ABL_H1_HEXDIGIT 8

extern const uint8_t abl_h1_chars[256];

static inline bool abl_h1_is(char c, unsigned char_class)
{
    return (abl_h1_chars[(unsigned char)c] & char_class) != 0;
}

/* Are all `len` bytes of this one class? Without a branch per byte, since nearly every answer is yes. */
static inline bool abl_h1_all(const char *s, size_t len, unsigned char_class)
{
    unsigned seen = char_class;

    for (size_t i = 0; i < len; i++) {
        seen &= abl_h1_chars[(unsigned char)s[i]];
    }
    return seen != 0;
}

static inline bool abl_h1_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ASCII only: the process' locale must not change what a field means. */
static inline unsigned char abl_h1_lower(char c)
{
    unsigned char u = (unsigned char)c;

    return (unsigned char)(u - 'A') < 26 ? (unsigned char)(u | 0x20) : u;
}

/* Does `s` hold the `len` bytes of `lower`, which is written in lower case, whatever the case in `s`? */
static inline bool abl_h1_same(const char *s, const char *lower, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (abl_h1_lower(s[i]) != (unsigned char)lower[i]) {
            return false;
        }
    }
    return true;
}

#endif
