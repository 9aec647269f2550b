/* SPDX-License-Identifier: Apache-2.0
 *
 * Request heads: the exact bytes that are written, and what is refused.
 */
#include <stdio.h>

#include "unit.h"
#include "wire/h1_request.h"

#define LINE "GET /x HTTP/1.1\r\nHost: h\r\n"

typedef struct sample_t {
    abl_h1_request_t request;
    const char *text;
} sample_t;

static const abl_h1_pair_t two[] = {{"Accept", "*/*"}, {"x!#$%&'*+-.^_`|~9", "\ta \"b\" \xc3\xa4"}};
static const abl_h1_pair_t same[] = {{"Cookie", "a=b"}, {"Cookie", ""}};

static const abl_h1_request_t plain = {.method = "GET", .prefix = "", .target = "/x", .host = "h"};

/* What the samples have in common. */
#define WITH(...) .method = "GET", .prefix = "", .host = "h", __VA_ARGS__

static const sample_t samples[] = {
    {{WITH(.target = "/x")}, LINE "\r\n"},
    {{WITH(.target = "/x", .fields = two, .nfields = 2)},
     LINE "Accept: */*\r\nx!#$%&'*+-.^_`|~9: \ta \"b\" \xc3\xa4\r\n\r\n"},
    {{WITH(.target = "/x", .fields = two, .nfields = 1)}, LINE "Accept: */*\r\n\r\n"},
    {{WITH(.target = "/x", .fields = same, .nfields = 2)}, LINE "Cookie: a=b\r\nCookie: \r\n\r\n"},
    {{WITH(.target = "/x", .body = ABL_H1_REQUEST_LENGTH)}, LINE "Content-Length: 0\r\n\r\n"},
    {{WITH(.target = "/x", .body = ABL_H1_REQUEST_LENGTH, .length = 1234567890)},
     LINE "Content-Length: 1234567890\r\n\r\n"},
    {{WITH(.target = "/x", .body = ABL_H1_REQUEST_LENGTH, .length = UINT64_MAX)},
     LINE "Content-Length: 18446744073709551615\r\n\r\n"},
    {{WITH(.target = "/x", .length = 5)}, LINE "\r\n"},
    {{WITH(.target = "/x", .body = ABL_H1_REQUEST_CHUNKED, .length = 5)},
     LINE "Transfer-Encoding: chunked\r\n\r\n"},
    {{WITH(.target = "/x", .close = true)}, LINE "Connection: close\r\n\r\n"},
    {{WITH(.target = "/x", .te_trailers = true)}, LINE "TE: trailers\r\nConnection: TE\r\n\r\n"},
    {{WITH(.target = "/x", .expect = true)}, LINE "Expect: 100-continue\r\n\r\n"},
    {{WITH(.target = "/x", .upgrade = "websocket")},
     LINE "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"},
    {{WITH(.target = "/x", .close = true, .te_trailers = true)},
     LINE "TE: trailers\r\nConnection: close, TE\r\n\r\n"},
    {{WITH(.target = "/x", .close = true, .te_trailers = true, .expect = true, .upgrade = "a, b/2",
           .fields = two, .nfields = 1, .body = ABL_H1_REQUEST_CHUNKED)},
     LINE "Accept: */*\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nExpect: 100-continue\r\n"
          "Upgrade: a, b/2\r\nConnection: close, TE, upgrade\r\n\r\n"},
    {{.method = "M-SEARCH", .prefix = "/base", .target = "//a?b=%00&\xff#", .host = ""},
     "M-SEARCH /base//a?b=%00&\xff# HTTP/1.1\r\nHost: \r\n\r\n"},
    {{.method = "OPTIONS", .prefix = "", .target = "*", .host = "[::1]:8080"},
     "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
    {{.method = "OPTIONS", .prefix = "/base", .target = "*", .host = "h"},
     "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
};

START_TEST(writes)
{
    for (size_t i = 0; i < COUNT(samples); i++) {
        const char *why = "not touched";
        size_t expected = strlen(samples[i].text);
        size_t size = abl_h1_request_size(&samples[i].request, &why);
        ck_assert_msg(size == expected, "%s%zu: %s", samples[i].text, size, why ? why : "");
        ck_assert_ptr_null(why);
        char *out = unit_copy(samples[i].text, size);
        memset(out, '#', size);
        ck_assert_uint_eq(abl_h1_request_write(&samples[i].request, out), size);
        ck_assert_msg(memcmp(out, samples[i].text, size) == 0, "%s%.*s", samples[i].text, (int)size, out);
        free(out);
    }
}
END_TEST

static void check_refused(const abl_h1_request_t *request, const char *word)
{
    const char *why = NULL;

    ck_assert_msg(abl_h1_request_size(request, &why) == 0, "a refusal with \"%s\" expected", word);
    ck_assert_msg(why && strstr(why, word), "%s: %s", word, why);
}

static void check_field_refused(const char *name, const char *value, const char *word)
{
    abl_h1_pair_t fields[] = {{"A", "b"}, {name, value}};
    abl_h1_request_t request = plain;

    request.fields = fields;
    request.nfields = 2;
    check_refused(&request, word);
}

START_TEST(refuses_bad_fields)
{
    check_field_refused("", "b", "field name");
    check_field_refused("A B", "c", "field name");
    check_field_refused("A:", "b", "field name");
    check_field_refused("A", "b\r\nC: d", "field value");
    check_field_refused("A", "b\n", "field value");
    check_field_refused("Host", "x", "among the fields");
    check_field_refused("hOST", "x", "among the fields");
    check_field_refused("Content-Length", "1", "among the fields");
    check_field_refused("content-length", "1", "among the fields");
    check_field_refused("Transfer-encoding", "chunked", "among the fields");
}
END_TEST

START_TEST(takes_names_that_only_look_like_ours)
{
    static const char *const names[] = {"Hose", "Hosts", "Content-Lengths", "Content-Lengtg",
                                        "Transfer-Encodinh"};

    for (size_t i = 0; i < COUNT(names); i++) {
        abl_h1_pair_t field = {names[i], "1"};
        abl_h1_request_t request = plain;
        const char *why;
        request.fields = &field;
        request.nfields = 1;
        ck_assert_uint_gt(abl_h1_request_size(&request, &why), 0);
    }
}
END_TEST

START_TEST(refuses_bad_lines)
{
    check_refused(&(abl_h1_request_t){.method = "", .prefix = "", .target = "/", .host = "h"}, "method");
    check_refused(&(abl_h1_request_t){.method = "GET", .prefix = "", .target = "", .host = "h"}, "target");
    check_refused(&(abl_h1_request_t){.method = "GET", .prefix = "/p", .target = "", .host = "h"}, "target");
    check_refused(&(abl_h1_request_t){.method = "GET", .prefix = "/p", .target = "x", .host = "h"}, "target");
    check_refused(&(abl_h1_request_t){.method = "GET", .prefix = "", .target = "**", .host = "h"}, "target");
    check_refused(&(abl_h1_request_t){.method = "GET", .prefix = "", .target = "http://x/", .host = "h"},
                  "target");
    check_refused(&(abl_h1_request_t){.method = "GET", .prefix = "p", .target = "/", .host = "h"}, "prefix");
}
END_TEST

/* Each of the 255 bytes that can be in a string, in the part of a request that `part` points to. */
static void check_each_byte(const abl_h1_request_t *request, char *part, const char *allowed_also, int above,
                            bool high)
{
    for (int c = 1; c < 256; c++) {
        const char *why;
        bool good = strchr(allowed_also, c) || (c > above && c < 0x7f) || (high && c > 0x7f);
        *part = (char)c;
        ck_assert_msg((abl_h1_request_size(request, &why) > 0) == good, "byte %d", c);
        ck_assert((why == NULL) == good);
    }
}

START_TEST(knows_every_byte)
{
    static const char tchars[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char text[] = "/ab";
    abl_h1_pair_t field = {"A", "b"};
    abl_h1_request_t request = plain;

    request.fields = &field;
    request.nfields = 1;
    request.target = text;
    check_each_byte(&request, text + 2, "", ' ', true);
    request.target = "/x";
    request.prefix = strcpy(text, "/ab");
    check_each_byte(&request, text + 1, "", ' ', true);
    request.prefix = "";
    request.host = strcpy(text, "/ab");
    check_each_byte(&request, text, "", ' ', true);
    request.host = "h";
    request.upgrade = strcpy(text, "/ab");
    check_each_byte(&request, text + 1, "\t", ' ' - 1, true);
    request.upgrade = NULL;
    field.value = strcpy(text, "/ab");
    check_each_byte(&request, text + 2, "\t", ' ' - 1, true);
    field.value = "b";
    field.name = strcpy(text, "aab");
    check_each_byte(&request, text + 1, tchars, 0x7f, false);
    field.name = "A";
    request.method = strcpy(text, "aab");
    check_each_byte(&request, text + 1, tchars, 0x7f, false);
}
END_TEST

UNIT_MAIN("h1_request", writes, refuses_bad_fields, takes_names_that_only_look_like_ours, refuses_bad_lines,
          knows_every_byte)
