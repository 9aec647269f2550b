/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes request heads. What may not be written is found by abl_h1_request_size(), so that the second pass
 * only copies.
 */
#include <string.h>

#include "wire/h1_chars.h"
#include "wire/h1_request.h"

#define DECIMAL_MAX 20 /* digits of UINT64_MAX */

/* Where the bytes go. With `out` NULL they are only counted: the size and the bytes come from the same
 * lines of code and cannot disagree. */
typedef struct sink_t {
    char *out;
    size_t len;
} sink_t;

static void put(sink_t *sink, const char *s, size_t len)
{
    if (sink->out) {
        memcpy(sink->out + sink->len, s, len);
    }
    sink->len += len;
}

static void put_text(sink_t *sink, const char *s)
{
    put(sink, s, strlen(s));
}

static void put_decimal(sink_t *sink, uint64_t number)
{
    char digits[DECIMAL_MAX];
    size_t at = DECIMAL_MAX;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(sink, digits + at, DECIMAL_MAX - at);
}

static bool is_asterisk(const char *target)
{
    return target[0] == '*' && target[1] == '\0';
}

static void put_request_line(sink_t *sink, const abl_h1_request_t *request)
{
    put_text(sink, request->method);
    put_text(sink, " ");
    if (!is_asterisk(request->target)) {
        put_text(sink, request->prefix);
    }
    put_text(sink, request->target);
    put_text(sink, " HTTP/1.1\r\nHost: ");
    put_text(sink, request->host);
    put_text(sink, "\r\n");
}

static void put_fields(sink_t *sink, const abl_h1_request_t *request)
{
    for (int i = 0; i < request->nfields; i++) {
        put_text(sink, request->fields[i].name);
        put(sink, ": ", 2);
        put_text(sink, request->fields[i].value);
        put(sink, "\r\n", 2);
    }
}

static void put_framing(sink_t *sink, const abl_h1_request_t *request)
{
    if (request->body == ABL_H1_REQUEST_CHUNKED) {
        put_text(sink, "Transfer-Encoding: chunked\r\n");
    } else if (request->body == ABL_H1_REQUEST_LENGTH) {
        put_text(sink, "Content-Length: ");
        put_decimal(sink, request->length);
        put_text(sink, "\r\n");
    }
}

static void put_option(sink_t *sink, const char *option, bool *any)
{
    put_text(sink, *any ? ", " : "Connection: ");
    put_text(sink, option);
    *any = true;
}

static void put_connection(sink_t *sink, const abl_h1_request_t *request)
{
    bool any = false;

    if (request->close) {
        put_option(sink, "close", &any);
    }
    if (request->te_trailers) {
        put_option(sink, "TE", &any);
    }
    if (request->upgrade) {
        put_option(sink, "upgrade", &any);
    }
    if (any) {
        put_text(sink, "\r\n");
    }
}

/* Everything after the fields: what we say ourselves. */
static void put_own(sink_t *sink, const abl_h1_request_t *request)
{
    put_framing(sink, request);
    if (request->te_trailers) {
        put_text(sink, "TE: trailers\r\n");
    }
    if (request->expect) {
        put_text(sink, "Expect: 100-continue\r\n");
    }
    if (request->upgrade) {
        put_text(sink, "Upgrade: ");
        put_text(sink, request->upgrade);
        put_text(sink, "\r\n");
    }
    put_connection(sink, request);
    put_text(sink, "\r\n");
}

static void put_head(sink_t *sink, const abl_h1_request_t *request)
{
    put_request_line(sink, request);
    put_fields(sink, request);
    put_own(sink, request);
}

static bool all_text(const char *s, unsigned char_class)
{
    return abl_h1_all(s, strlen(s), char_class);
}

/* A second one of these beside ours would let two readers disagree about where the request ends or to whom
 * it goes. */
static bool is_ours(const char *name, size_t len)
{
    return (len == 4 && abl_h1_same(name, "host", len)) ||
           (len == 14 && abl_h1_same(name, "content-length", len)) ||
           (len == 17 && abl_h1_same(name, "transfer-encoding", len));
}

static const char *check_fields(const abl_h1_request_t *request)
{
    for (int i = 0; i < request->nfields; i++) {
        const abl_h1_pair_t *field = &request->fields[i];
        size_t name_len = strlen(field->name);
        if (name_len == 0 || !abl_h1_all(field->name, name_len, ABL_H1_TOKEN)) {
            return "a field name that is no token";
        }
        if (!all_text(field->value, ABL_H1_VALUE)) {
            return "a control character in a field value";
        }
        if (is_ours(field->name, name_len)) {
            return "Host, Content-Length or Transfer-Encoding among the fields";
        }
    }
    return NULL;
}

static const char *check_line(const abl_h1_request_t *request)
{
    if (request->method[0] == '\0' || !all_text(request->method, ABL_H1_TOKEN)) {
        return "a method that is no token";
    }
    if (request->target[0] != '/' && !is_asterisk(request->target)) {
        return "a target that neither begins with a slash nor is an asterisk";
    }
    if (request->prefix[0] != '\0' && request->prefix[0] != '/') {
        return "a prefix that does not begin with a slash";
    }
    if (!all_text(request->target, ABL_H1_TARGET) || !all_text(request->prefix, ABL_H1_TARGET)) {
        return "a space or control character in the target";
    }
    if (!all_text(request->host, ABL_H1_TARGET)) {
        return "a space or control character in the host";
    }
    if (request->upgrade && !all_text(request->upgrade, ABL_H1_VALUE)) {
        return "a control character in the protocols to upgrade to";
    }
    return NULL;
}

size_t abl_h1_request_size(const abl_h1_request_t *request, const char **why)
{
    sink_t sink = {0};

    *why = check_line(request);
    if (!*why) {
        *why = check_fields(request);
    }
    if (*why) {
        return 0;
    }
    put_head(&sink, request);
    return sink.len;
}

size_t abl_h1_request_write(const abl_h1_request_t *request, char *out)
{
    sink_t sink = {.out = out};

    put_head(&sink, request);
    return sink.len;
}
