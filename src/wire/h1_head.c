/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads response heads and trailer sections line by line, and searches no byte twice for a line's end.
 */
#include <string.h>

#include "wire/h1_chars.h"
#include "wire/h1_head.h"

#define VERSION "HTTP/1." /* and the minor digit */
#define VERSION_LEN (sizeof(VERSION) - 1)
#define STATUS_AT (VERSION_LEN + 2) /* the minor digit and a space come between */
#define STATUS_END (STATUS_AT + 3)

static const char not_http[] = "the answer does not begin with HTTP/1.0 or HTTP/1.1 and a space";

static abl_wire_rc_t bad(abl_h1_head_t *head, const char *why)
{
    head->why = why;
    return ABL_WIRE_BAD;
}

void abl_h1_head_init(abl_h1_head_t *head)
{
    head->status = 0;
    head->minor = 0;
    head->reason = 0;
    head->reason_len = 0;
    head->nfields = 0;
    head->length = 0;
    head->why = NULL;
    head->line = 0;
    head->scan = 0;
    head->trailers = false;
}

void abl_h1_head_init_trailers(abl_h1_head_t *head)
{
    abl_h1_head_init(head);
    head->trailers = true;
}

/* Can these bytes still become a version we speak? Lets a member that talks something else fail at its first
 * bytes, even if it never sends a line feed. */
static bool version_ok(const char *line, size_t len)
{
    size_t fixed = len < VERSION_LEN ? len : VERSION_LEN;

    if (memcmp(line, VERSION, fixed) != 0) {
        return false;
    }
    if (len > VERSION_LEN && line[VERSION_LEN] != '0' && line[VERSION_LEN] != '1') {
        return false;
    }
    return len <= VERSION_LEN + 1 || line[VERSION_LEN + 1] == ' ';
}

static int status_of(const char *digits)
{
    int status = 0;

    for (int i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return -1;
        }
        status = status * 10 + (digits[i] - '0');
    }
    return status >= 100 && status <= 599 ? status : -1;
}

static const char *read_status_line(abl_h1_head_t *head, const char *line, size_t len)
{
    if (len < STATUS_AT || !version_ok(line, len)) {
        return not_http;
    }
    int status = len < STATUS_END ? -1 : status_of(line + STATUS_AT);
    if (status < 0 || (len > STATUS_END && line[STATUS_END] != ' ')) {
        return "the status is not three digits from 100 to 599";
    }
    if (!abl_h1_all(line + STATUS_END, len - STATUS_END, ABL_H1_VALUE)) {
        return "a control character in the reason phrase";
    }
    head->status = status;
    head->minor = line[VERSION_LEN] - '0';
    if (len > STATUS_END + 1) {
        head->reason = head->line + (uint32_t)STATUS_END + 1;
        head->reason_len = (uint32_t)(len - STATUS_END - 1);
    }
    return NULL;
}

/* Says what is wrong with a line whose name ends at `at` without a colon. */
static const char *name_fault(const char *line, size_t len, size_t at)
{
    if (at == 0 && abl_h1_is_blank(line[0])) {
        return "a folded field line";
    }
    if (at == len) {
        return "a field line without a colon";
    }
    if (at == 0 && line[0] == ':') {
        return "an empty field name";
    }
    if (abl_h1_is_blank(line[at])) {
        return "white space in a field name or before its colon";
    }
    return "a character in a field name that may not be there";
}

static const char *read_field(abl_h1_head_t *head, const char *line, size_t len)
{
    size_t name_len = 0;

    while (name_len < len && abl_h1_is(line[name_len], ABL_H1_TOKEN)) {
        name_len++;
    }
    if (name_len == 0 || name_len == len || line[name_len] != ':') {
        return name_fault(line, len, name_len);
    }
    size_t value = name_len + 1;
    size_t end = len;
    if (!abl_h1_all(line + value, end - value, ABL_H1_VALUE)) {
        return "a control character in a field value";
    }
    while (value < end && abl_h1_is_blank(line[value])) {
        value++;
    }
    while (end > value && abl_h1_is_blank(line[end - 1])) {
        end--;
    }
    if (head->nfields == ABL_H1_FIELDS_MAX) {
        return "too many fields";
    }
    head->fields[head->nfields++] = (abl_h1_field_t){.name = head->line,
                                                     .name_len = (uint32_t)name_len,
                                                     .value = head->line + (uint32_t)value,
                                                     .value_len = (uint32_t)(end - value)};
    return NULL;
}

static bool wants_status(const abl_h1_head_t *head)
{
    return head->status == 0 && !head->trailers;
}

/* No line feed in sight: more to come, unless what is here is hopeless already. */
static abl_wire_rc_t on_part_line(abl_h1_head_t *head, const char *buf, uint32_t limit)
{
    head->scan = limit;
    if (wants_status(head) && !version_ok(buf, limit)) {
        return bad(head, not_http);
    }
    return limit == ABL_H1_HEAD_MAX ? bad(head, "longer than a head may be") : ABL_WIRE_MORE;
}

/* Reads the line from head->line up to its line feed at `lf`. */
static abl_wire_rc_t on_line(abl_h1_head_t *head, const char *buf, uint32_t lf)
{
    const char *line = buf + head->line;

    if (lf == head->line || buf[lf - 1] != '\r') {
        return bad(head, "a line feed without a carriage return before it");
    }
    size_t len = lf - 1 - head->line;
    if (len == 0 && !wants_status(head)) {
        head->length = lf + 1;
        return ABL_WIRE_DONE;
    }
    const char *why = wants_status(head) ? read_status_line(head, line, len) : read_field(head, line, len);
    if (why) {
        return bad(head, why);
    }
    head->line = head->scan = lf + 1;
    return ABL_WIRE_MORE;
}

abl_wire_rc_t abl_h1_head_parse(abl_h1_head_t *head, const char *buf, size_t len)
{
    uint32_t limit = len < ABL_H1_HEAD_MAX ? (uint32_t)len : ABL_H1_HEAD_MAX;

    if (head->why) {
        return ABL_WIRE_BAD;
    }
    while (head->length == 0) {
        const char *lf = head->scan < limit ? memchr(buf + head->scan, '\n', limit - head->scan) : NULL;
        if (!lf) {
            return limit > 0 ? on_part_line(head, buf, limit) : ABL_WIRE_MORE;
        }
        abl_wire_rc_t rc = on_line(head, buf, (uint32_t)(lf - buf));
        if (rc != ABL_WIRE_MORE) {
            return rc;
        }
    }
    return ABL_WIRE_DONE;
}
