/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers the questions about field names and values that both directions ask.
 */
#include <string.h>

#include "wire/h1_chars.h"
#include "wire/h1_fields.h"

bool abl_h1_field_is_hop(const char *name, size_t len)
{
    switch (len) {
    case 2:
        return abl_h1_same(name, "te", len);
    case 5:
        return abl_h1_same(name, "proxy", len);
    case 7:
        return abl_h1_same(name, "upgrade", len);
    case 10:
        return abl_h1_same(name, "connection", len) || abl_h1_same(name, "keep-alive", len);
    case 16:
        return abl_h1_same(name, "proxy-connection", len);
    case 17:
        return abl_h1_same(name, "transfer-encoding", len);
    case 18:
        return abl_h1_same(name, "proxy-authenticate", len);
    case 19:
        return abl_h1_same(name, "proxy-authorization", len);
    default:
        return false;
    }
}

/* As abl_h1_same(), and an underscore in `name` is a hyphen. */
static bool same_to_app(const char *name, const char *lower, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = name[i] == '_' ? '-' : abl_h1_lower(name[i]);
        if (c != (unsigned char)lower[i]) {
            return false;
        }
    }
    return true;
}

static bool is_to_app(const char *name, size_t len, const char *lower)
{
    return len == strlen(lower) && same_to_app(name, lower, len);
}

static bool begins_to_app(const char *name, size_t len, const char *lower)
{
    return len >= strlen(lower) && same_to_app(name, lower, strlen(lower));
}

bool abl_h1_field_is_forwarded(const char *name, size_t len)
{
    return begins_to_app(name, len, "x-forwarded-") || is_to_app(name, len, "forwarded") ||
           is_to_app(name, len, "x-real-ip");
}

bool abl_h1_field_is_protected(const char *name, size_t len)
{
    return is_to_app(name, len, "host") || begins_to_app(name, len, "content-") ||
           is_to_app(name, len, "transfer-encoding") || abl_h1_field_is_forwarded(name, len);
}

/* Where the element that begins at `p` ends: at a comma outside of quotes, or at `end`. */
static const char *element_end(const char *p, const char *end)
{
    bool quoted = false;

    for (; p < end; p++) {
        if (*p == ',' && !quoted) {
            return p;
        }
        if (*p == '"') {
            quoted = !quoted;
        } else if (*p == '\\' && quoted && p + 1 < end) {
            p++;
        }
    }
    return end;
}

/* Is the element from `p` to `end` this token, white space and parameters aside? */
static bool element_is(const char *p, const char *end, const char *token, size_t token_len)
{
    while (p < end && abl_h1_is_blank(*p)) {
        p++;
    }
    if ((size_t)(end - p) < token_len) {
        return false;
    }
    for (size_t i = 0; i < token_len; i++) {
        if (abl_h1_lower(p[i]) != abl_h1_lower(token[i])) {
            return false;
        }
    }
    p += token_len;
    while (p < end && abl_h1_is_blank(*p)) {
        p++;
    }
    return p == end || *p == ';';
}

bool abl_h1_list_has(const char *value, size_t len, const char *token)
{
    const char *end = value + len;
    size_t token_len = strlen(token);

    for (const char *p = value; token_len <= (size_t)(end - p);) {
        const char *stop = element_end(p, end);
        if (element_is(p, stop, token, token_len)) {
            return true;
        }
        if (stop == end) {
            return false;
        }
        p = stop + 1;
    }
    return false;
}

bool abl_h1_value_ok(const char *value, size_t len)
{
    return abl_h1_all(value, len, ABL_H1_VALUE);
}
