/* SPDX-License-Identifier: Apache-2.0
 *
 * Decides how the body of a response is framed.
 */
#include "wire/h1_body.h"
#include "wire/h1_chars.h"
#include "wire/h1_fields.h"

#define LENGTH_DIGITS_MAX 18 /* the largest such number fits an int64_t without a check */

/* What a head says about its body, before anything follows from it. */
typedef struct framing_t {
    uint64_t length;
    bool has_length;
    bool chunked;
    bool close;
    bool keep_alive;
} framing_t;

static const char *read_length(framing_t *framing, const char *value, size_t len)
{
    if (framing->has_length) {
        return "more than one Content-Length";
    }
    if (len == 0 || len > LENGTH_DIGITS_MAX) {
        return "a Content-Length that is not 1 to 18 digits";
    }
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)value[i] - (unsigned)'0';
        if (digit > 9) {
            return "a Content-Length that is not 1 to 18 digits";
        }
        framing->length = framing->length * 10 + digit;
    }
    framing->has_length = true;
    return NULL;
}

static const char *read_coding(framing_t *framing, const char *value, size_t len, int minor)
{
    if (minor == 0) {
        return "Transfer-Encoding in an HTTP/1.0 answer";
    }
    if (framing->chunked) {
        return "more than one Transfer-Encoding";
    }
    if (len != 7 || !abl_h1_same(value, "chunked", 7)) {
        return "a Transfer-Encoding other than chunked";
    }
    framing->chunked = true;
    return NULL;
}

static void read_connection(framing_t *framing, const char *value, size_t len)
{
    framing->close = framing->close || abl_h1_list_has(value, len, "close");
    framing->keep_alive = framing->keep_alive || abl_h1_list_has(value, len, "keep-alive");
}

/* The names' lengths differ, so that nearly every field is passed over without a look at its bytes. */
static const char *read_field(framing_t *framing, const abl_h1_head_t *head, const char *buf,
                              const abl_h1_field_t *field)
{
    const char *name = buf + field->name;
    const char *value = buf + field->value;

    switch (field->name_len) {
    case 10:
        if (abl_h1_same(name, "connection", 10)) {
            read_connection(framing, value, field->value_len);
        }
        return NULL;
    case 14:
        return abl_h1_same(name, "content-length", 14) ? read_length(framing, value, field->value_len) : NULL;
    case 17:
        return abl_h1_same(name, "transfer-encoding", 17)
                   ? read_coding(framing, value, field->value_len, head->minor)
                   : NULL;
    default:
        return NULL;
    }
}

static const char *read_fields(framing_t *framing, const abl_h1_head_t *head, const char *buf)
{
    for (int i = 0; i < head->nfields; i++) {
        const char *why = read_field(framing, head, buf, &head->fields[i]);
        if (why) {
            return why;
        }
    }
    if (framing->chunked && framing->has_length) {
        return "both Transfer-Encoding and Content-Length";
    }
    return NULL;
}

/* Statuses that never have a body and may not announce one. */
static bool is_bodiless(int status)
{
    return status < 200 || status == 204;
}

static abl_h1_body_kind_t kind_of(const framing_t *framing, int status, bool to_head)
{
    if (to_head || is_bodiless(status) || status == 304) {
        return ABL_H1_BODY_NONE;
    }
    if (framing->chunked) {
        return ABL_H1_BODY_CHUNKED;
    }
    if (!framing->has_length) {
        return ABL_H1_BODY_CLOSE;
    }
    return framing->length > 0 ? ABL_H1_BODY_LENGTH : ABL_H1_BODY_NONE;
}

static bool keep_of(const framing_t *framing, const abl_h1_head_t *head, bool to_head,
                    abl_h1_body_kind_t kind)
{
    if (framing->close || (head->minor == 0 && !framing->keep_alive)) {
        return false;
    }
    if (kind == ABL_H1_BODY_CLOSE || head->status == 101) {
        return false;
    }
    if (!to_head && !is_bodiless(head->status) && head->status != 304) {
        return true;
    }
    /* Some servers (Starman is one) send the body all the same, a moment later, and the next request would
     * take it for its answer: no such connection is kept when a body is announced, nor after HEAD, where it
     * need not be. */
    return !framing->chunked && framing->length == 0 && !to_head;
}

abl_wire_rc_t abl_h1_body_decide(const abl_h1_head_t *head, const char *buf, bool to_head,
                                 abl_h1_body_t *body)
{
    framing_t framing = {0};

    *body = (abl_h1_body_t){.kind = ABL_H1_BODY_NONE};
    body->why = read_fields(&framing, head, buf);
    if (body->why) {
        return ABL_WIRE_BAD;
    }
    body->kind = kind_of(&framing, head->status, to_head);
    body->length = body->kind == ABL_H1_BODY_LENGTH ? framing.length : 0;
    body->keep = keep_of(&framing, head, to_head, body->kind);
    return ABL_WIRE_DONE;
}
