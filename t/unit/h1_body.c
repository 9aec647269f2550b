/* SPDX-License-Identifier: Apache-2.0
 *
 * How heads decide about the body and the connection.
 */
#include <stdio.h>

#include "feed_head.h"
#include "wire/h1_body.h"

typedef struct sample_t {
    const char *start; /* version and status */
    const char *fields;
    abl_h1_body_kind_t kind; /* of the answer to anything but HEAD */
    uint64_t length;
    bool keep; /* after anything but HEAD, after which no connection is kept */
} sample_t;

typedef struct bad_t {
    const char *fields;
    const char *word; /* in `why` */
} bad_t;

#define NONE ABL_H1_BODY_NONE
#define LENGTH ABL_H1_BODY_LENGTH
#define CHUNKED ABL_H1_BODY_CHUNKED
#define CLOSE ABL_H1_BODY_CLOSE

static const sample_t samples[] = {
    {"HTTP/1.1 200", "Content-Length: 12\r\n", LENGTH, 12, true},
    {"HTTP/1.1 200", "content-LENGTH:1\r\n", LENGTH, 1, true},
    {"HTTP/1.1 200", "Content-Length: 0\r\n", NONE, 0, true},
    {"HTTP/1.1 200", "Content-Length: 000000000000000000\r\n", NONE, 0, true},
    {"HTTP/1.1 200", "Content-Length: 000000000000000007\r\n", LENGTH, 7, true},
    {"HTTP/1.1 200", "Content-Length: 999999999999999999\r\n", LENGTH, 999999999999999999, true},
    {"HTTP/1.1 500", "A: b\r\nTransfer-Encoding: chunked\r\n", CHUNKED, 0, true},
    {"HTTP/1.1 200", "TRANSFER-ENCODING: \tCHUnked \r\n", CHUNKED, 0, true},
    {"HTTP/1.1 200", "", CLOSE, 0, false},
    {"HTTP/1.1 200", "Connection: keep-alive\r\n", CLOSE, 0, false},
    {"HTTP/1.1 200", "Content-Length: 5\r\nConnection: close\r\n", LENGTH, 5, false},
    {"HTTP/1.1 200", "Connection: a, Close\r\nContent-Length: 5\r\n", LENGTH, 5, false},
    {"HTTP/1.1 200", "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 5\r\n", LENGTH, 5,
     false},
    {"HTTP/1.1 200", "Connection: a\r\nConnection: close\r\nContent-Length: 5\r\n", LENGTH, 5, false},
    {"HTTP/1.1 200", "Connection: closed\r\nContent-Length: 5\r\n", LENGTH, 5, true},
    {"HTTP/1.1 200", "Connection: close\r\nTransfer-Encoding: chunked\r\n", CHUNKED, 0, false},
    {"HTTP/1.1 200", "Xonnection: close\r\nXontent-Length: 9\r\nXransfer-Encoding: x\r\n", CLOSE, 0, false},
    {"HTTP/1.0 200", "Content-Length: 5\r\n", LENGTH, 5, false},
    {"HTTP/1.0 200", "Content-Length: 5\r\nConnection: Keep-Alive\r\n", LENGTH, 5, true},
    {"HTTP/1.0 200", "Content-Length: 5\r\nConnection: keep-alive, close\r\n", LENGTH, 5, false},
    {"HTTP/1.0 200", "Connection: keep-alive\r\n", CLOSE, 0, false},
    {"HTTP/1.0 200", "Connection: keep-alive\r\nConnection: x\r\nContent-Length: 5\r\n", LENGTH, 5, true},
    {"HTTP/1.0 200", "Content-Length: 0\r\nConnection: keep-alive\r\n", NONE, 0, true},
    {"HTTP/1.1 304", "Content-Length: 12\r\n", NONE, 0, false},
    {"HTTP/1.1 304", "Transfer-Encoding: chunked\r\n", NONE, 0, false},
    {"HTTP/1.1 304", "", NONE, 0, true},
    {"HTTP/1.1 304", "Connection: close\r\n", NONE, 0, false},
    {"HTTP/1.1 204", "", NONE, 0, true},
    {"HTTP/1.1 204", "Content-Length: 0\r\n", NONE, 0, true},
    {"HTTP/1.1 204", "Content-Length: 1\r\n", NONE, 0, false},
    {"HTTP/1.1 204", "Transfer-Encoding: chunked\r\n", NONE, 0, false},
    {"HTTP/1.1 100", "", NONE, 0, true},
    {"HTTP/1.1 103", "Link: x\r\n", NONE, 0, true},
    {"HTTP/1.1 103", "Content-Length: 3\r\n", NONE, 0, false},
    {"HTTP/1.1 103", "Content-Length: 0\r\n", NONE, 0, true},
    {"HTTP/1.1 199", "Transfer-Encoding: chunked\r\n", NONE, 0, false},
    {"HTTP/1.1 101", "Connection: upgrade\r\nUpgrade: x\r\n", NONE, 0, false},
    {"HTTP/1.1 205", "Content-Length: 2\r\n", LENGTH, 2, true},
};

static const bad_t bad[] = {
    {"Content-Length: 5\r\nContent-Length: 5\r\n", "more than one Content-Length"},
    {"Content-Length: 0\r\nA: b\r\ncontent-length: 0\r\n", "more than one Content-Length"},
    {"Content-Length: 5\r\nContent-Length: 6\r\n", "more than one Content-Length"},
    {"Content-Length: 5, 5\r\n", "digits"},
    {"Content-Length: 5,\r\n", "digits"},
    {"Content-Length:\r\n", "digits"},
    {"Content-Length: -1\r\n", "digits"},
    {"Content-Length: +1\r\n", "digits"},
    {"Content-Length: 1 2\r\n", "digits"},
    {"Content-Length: 0x1\r\n", "digits"},
    {"Content-Length: 1a\r\n", "digits"},
    {"Content-Length: \"1\"\r\n", "digits"},
    {"Content-Length: 1.0\r\n", "digits"},
    {"Content-Length: /\r\n", "digits"},
    {"Content-Length: :\r\n", "digits"},
    {"Content-Length: \xb2\r\n", "digits"},
    {"Content-Length: 1000000000000000000\r\n", "digits"},
    {"Content-Length: 0000000000000000001\r\n", "digits"},
    {"Content-Length: 18446744073709551616\r\n", "digits"},
    {"Transfer-Encoding: gzip, chunked\r\n", "other than chunked"},
    {"Transfer-Encoding: chunked, chunked\r\n", "other than chunked"},
    {"Transfer-Encoding: chunked,\r\n", "other than chunked"},
    {"Transfer-Encoding: chunked;a=b\r\n", "other than chunked"},
    {"Transfer-Encoding: \"chunked\"\r\n", "other than chunked"},
    {"Transfer-Encoding: identity\r\n", "other than chunked"},
    {"Transfer-Encoding: xchunked\r\n", "other than chunked"},
    {"Transfer-Encoding: chunkex\r\n", "other than chunked"},
    {"Transfer-Encoding: \xe3hunked\r\n", "other than chunked"},
    {"Transfer-Encoding:\r\n", "other than chunked"},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "more than one Transfer-Encoding"},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "more than one Transfer-Encoding"},
    {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "both"},
    {"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "both"},
};

static abl_h1_head_t head;
static abl_h1_body_t body;

/* Reads the head in one way and decides from a copy of exactly its bytes. */
static abl_wire_rc_t decide(const char *text, size_t way, bool to_head)
{
    size_t len = strlen(text);

    ck_assert_int_eq(feed_head(&head, false, text, len, way), ABL_WIRE_DONE);
    char *copy = unit_copy(text, len);
    memset(&body, 0x5a, sizeof(body));
    abl_wire_rc_t rc = abl_h1_body_decide(&head, copy, to_head, &body);
    free(copy);
    return rc;
}

START_TEST(decides)
{
    for (size_t i = 0; i < COUNT(samples); i++) {
        const sample_t *s = &samples[i];
        char text[256];
        int len = snprintf(text, sizeof(text), "%s x\r\n%s\r\n", s->start, s->fields);
        for (size_t way = 0; way <= (size_t)len; way++) {
            ck_assert_msg(decide(text, way, false) == ABL_WIRE_DONE, "%s", text);
            ck_assert_msg(body.kind == s->kind && body.keep == s->keep, "%s%d %d", text, body.kind,
                          body.keep);
            ck_assert(body.kind != LENGTH || body.length == s->length);
            ck_assert_ptr_null(body.why);
            ck_assert_int_eq(decide(text, way, true), ABL_WIRE_DONE);
            ck_assert_msg(body.kind == NONE && !body.keep, "HEAD: %s", text);
        }
    }
}
END_TEST

/* An ambiguous head is one whatever its status is and whatever was asked. */
START_TEST(refuses)
{
    static const int statuses[] = {100, 101, 200, 204, 304, 599};

    for (size_t i = 0; i < COUNT(bad); i++) {
        for (size_t j = 0; j < COUNT(statuses) * 2; j++) {
            char text[256];
            snprintf(text, sizeof(text), "HTTP/1.1 %d\r\n%s\r\n", statuses[j / 2], bad[i].fields);
            ck_assert_msg(decide(text, j, j % 2) == ABL_WIRE_BAD, "%s", text);
            ck_assert_msg(body.why && strstr(body.why, bad[i].word), "%s%s", text, body.why);
            ck_assert(!body.keep);
        }
    }
}
END_TEST

START_TEST(refuses_codings_in_1_0)
{
    ck_assert_int_eq(decide("HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false), ABL_WIRE_BAD);
    ck_assert_ptr_nonnull(strstr(body.why, "HTTP/1.0"));
    ck_assert_int_eq(decide("HTTP/1.0 304\r\nTransfer-Encoding: chunked\r\n\r\n", 0, true), ABL_WIRE_BAD);
    ck_assert_int_eq(decide("HTTP/1.0 200\r\nTE: chunked\r\n\r\n", 0, false), ABL_WIRE_DONE);
}
END_TEST

START_TEST(knows_bodiless_statuses)
{
    for (int status = 100; status < 600; status++) {
        char text[64];
        bool bodiless = status < 200 || status == 204 || status == 304;
        snprintf(text, sizeof(text), "HTTP/1.1 %d\r\n\r\n", status);
        ck_assert_int_eq(decide(text, 0, false), ABL_WIRE_DONE);
        ck_assert_msg(body.kind == (bodiless ? NONE : CLOSE), "%d", status);
        ck_assert_msg(body.keep == (bodiless && status != 101), "%d", status);
    }
}
END_TEST

UNIT_MAIN("h1_body", decides, refuses, refuses_codings_in_1_0, knows_bodiless_statuses)
