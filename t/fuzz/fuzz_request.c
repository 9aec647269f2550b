/* SPDX-License-Identifier: Apache-2.0
 *
 * Request heads: whatever is written must read back as exactly the lines that were asked for, with no CR, LF
 * or NUL beyond those that end its lines, and with one framing.
 *
 * Input: a byte of flags, a byte for the framing, then method, prefix, target, host, upgrade and pairs of
 * name and value, each ended by a zero byte.
 */
#include <strings.h>

#include "fuzz.h"
#include "wire/h1_fields.h"
#include "wire/h1_head.h"
#include "wire/h1_request.h"

#define FIELDS_MAX 16

enum { HAS_UPGRADE = 1, CLOSE = 2, TE_TRAILERS = 4, EXPECT = 8 };

/* Takes a zero-ended string off the input. */
static char *take_text(fuzz_t *fuzz)
{
    const uint8_t *zero = memchr(fuzz->in, 0, fuzz->len);
    size_t len = zero ? (size_t)(zero - fuzz->in) : fuzz->len;
    char *text = malloc(len + 1);

    CHECK(text);
    memcpy(text, fuzz->in, len);
    text[len] = '\0';
    len += zero != NULL;
    fuzz->in += len;
    fuzz->len -= len;
    return text;
}

static const char *take_line(const char **at, const char *end, size_t *len)
{
    const char *line = *at;
    const char *lf = memchr(line, '\n', (size_t)(end - line));

    CHECK(lf && lf > line && lf[-1] == '\r');
    *len = (size_t)(lf - 1 - line);
    CHECK(!memchr(line, '\r', *len) && !memchr(line, '\0', *len));
    *at = lf + 1;
    return line;
}

static void expect_line(const char **at, const char *end, const char *format, const char *a, const char *b,
                        const char *c)
{
    size_t len;
    const char *line = take_line(at, end, &len);
    int size = snprintf(NULL, 0, format, a, b, c);
    char *expected = malloc((size_t)size + 1);

    CHECK(expected);
    snprintf(expected, (size_t)size + 1, format, a, b, c);
    CHECK(len == (size_t)size && memcmp(line, expected, len) == 0);
    free(expected);
}

static void expect_own_lines(const abl_h1_request_t *request, const char **at, const char *end)
{
    char number[32];

    snprintf(number, sizeof(number), "%llu", (unsigned long long)request->length);
    if (request->body == ABL_H1_REQUEST_LENGTH) {
        expect_line(at, end, "Content-Length: %s%s%s", number, "", "");
    } else if (request->body == ABL_H1_REQUEST_CHUNKED) {
        expect_line(at, end, "Transfer-Encoding: %s%s%s", "chunked", "", "");
    }
    if (request->te_trailers) {
        expect_line(at, end, "TE: %s%s%s", "trailers", "", "");
    }
    if (request->expect) {
        expect_line(at, end, "Expect: %s%s%s", "100-continue", "", "");
    }
    if (request->upgrade) {
        expect_line(at, end, "Upgrade: %s%s%s", request->upgrade, "", "");
    }
}

static void expect_connection(const abl_h1_request_t *request, const char **at, const char *end)
{
    size_t len;

    if (!request->close && !request->te_trailers && !request->upgrade) {
        return;
    }
    const char *line = take_line(at, end, &len);
    CHECK(len > 12 && memcmp(line, "Connection: ", 12) == 0);
    CHECK(abl_h1_list_has(line + 12, len - 12, "close") == request->close);
    CHECK(abl_h1_list_has(line + 12, len - 12, "te") == request->te_trailers);
    CHECK(abl_h1_list_has(line + 12, len - 12, "upgrade") == (request->upgrade != NULL));
}

static void check_lines(const abl_h1_request_t *request, const char *out, size_t size)
{
    const char *at = out;
    const char *end = out + size;
    const char *prefix = strcmp(request->target, "*") == 0 ? "" : request->prefix;
    size_t len;

    expect_line(&at, end, "%s %s%s HTTP/1.1", request->method, prefix, request->target);
    expect_line(&at, end, "Host: %s%s%s", request->host, "", "");
    for (int i = 0; i < request->nfields; i++) {
        expect_line(&at, end, "%s: %s%s", request->fields[i].name, request->fields[i].value, "");
    }
    expect_own_lines(request, &at, end);
    expect_connection(request, &at, end);
    take_line(&at, end, &len);
    CHECK(len == 0 && at == end);
}

/* The request line has exactly two spaces, and our own strict parser takes the fields for fields. */
static void check_as_reader(const char *out, size_t size)
{
    static abl_h1_head_t head;
    const char *lf = memchr(out, '\n', size);
    size_t spaces = 0;
    size_t hosts = 0;
    size_t framings = 0;

    for (const char *p = out; p < lf; p++) {
        spaces += *p == ' ';
    }
    CHECK(spaces == 2);
    size_t rest = size - (size_t)(lf + 1 - out);
    if (rest > ABL_H1_HEAD_MAX) {
        return;
    }
    abl_h1_head_init_trailers(&head);
    CHECK(abl_h1_head_parse(&head, lf + 1, rest) == ABL_WIRE_DONE && head.length == rest);
    for (int i = 0; i < head.nfields; i++) {
        const char *name = lf + 1 + head.fields[i].name;
        size_t len = head.fields[i].name_len;
        hosts += len == 4 && strncasecmp(name, "host", len) == 0;
        framings += (len == 14 && strncasecmp(name, "content-length", len) == 0) ||
                    (len == 17 && strncasecmp(name, "transfer-encoding", len) == 0);
    }
    CHECK(hosts == 1 && framings <= 1);
}

static void check(const abl_h1_request_t *request)
{
    const char *why;
    size_t size = abl_h1_request_size(request, &why);

    CHECK((size == 0) == (why != NULL));
    if (size > 0) {
        char *out = malloc(size);
        CHECK(out && abl_h1_request_write(request, out) == size);
        check_lines(request, out, size);
        check_as_reader(out, size);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    fuzz_t fuzz = {in, len};
    uint8_t flags = fuzz_byte(&fuzz);
    uint8_t body = fuzz_byte(&fuzz);
    char *texts[5 + 2 * FIELDS_MAX];
    abl_h1_pair_t fields[FIELDS_MAX];
    int ntexts = 0;
    int nfields = 0;

    do {
        texts[ntexts++] = take_text(&fuzz);
    } while (ntexts < 5 || (fuzz.len > 0 && ntexts + 1 < (int)(sizeof(texts) / sizeof(texts[0]))));
    for (int i = 5; i + 1 < ntexts; i += 2) {
        fields[nfields++] = (abl_h1_pair_t){texts[i], texts[i + 1]};
    }
    check(&(abl_h1_request_t){.method = texts[0],
                              .prefix = texts[1],
                              .target = texts[2],
                              .host = texts[3],
                              .upgrade = flags & HAS_UPGRADE ? texts[4] : NULL,
                              .fields = fields,
                              .nfields = nfields,
                              .body = (abl_h1_request_body_t)(body % 3),
                              .length = body * UINT64_C(0x0102040810204081),
                              .close = (flags & CLOSE) != 0,
                              .te_trailers = (flags & TE_TRAILERS) != 0,
                              .expect = (flags & EXPECT) != 0});
    while (ntexts > 0) {
        free(texts[--ntexts]);
    }
    return 0;
}
