/* SPDX-License-Identifier: Apache-2.0
 *
 * Response heads and trailer sections: what is read from good ones, that bad ones are refused and why, the
 * limits, and that none of it depends on how the bytes arrive.
 */
#include <stdio.h>

#include "feed_head.h"

typedef struct good_t {
    const char *bytes;
    size_t len; /* more than `head_len` where something follows the head */
    size_t head_len;
    const char *dump; /* as dump() writes it */
} good_t;

typedef struct bad_t {
    const char *bytes;
    size_t len;
    const char *word; /* in `why` */
} bad_t;

#define GOOD(head, after, dump)                                                                              \
    {                                                                                                        \
        head after, sizeof(head after) - 1, sizeof(head) - 1, dump                                           \
    }
#define BAD(bytes, word)                                                                                     \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, word                                                                       \
    }
#define OK_LINE "HTTP/1.1 200 OK\r\n"

static const good_t good_heads[] = {
    GOOD("HTTP/1.1 200 OK\r\n\r\n", "", "1.1 200 'OK'"),
    GOOD("HTTP/1.0 404 Not Found\r\n\r\n", "", "1.0 404 'Not Found'"),
    GOOD("HTTP/1.1 204\r\n\r\n", "", "1.1 204 ''"),
    GOOD("HTTP/1.1 204 \r\n\r\n", "", "1.1 204 ''"),
    GOOD("HTTP/1.1 200  two\tblanks \r\n\r\n", "", "1.1 200 ' two\tblanks '"),
    GOOD("HTTP/1.1 599 \xe4\xff\r\n\r\n", "", "1.1 599 '\xe4\xff'"),
    GOOD("HTTP/1.1 100 Continue\r\n\r\n", OK_LINE "A: b\r\n\r\n", "1.1 100 'Continue'"),
    GOOD(OK_LINE "A: b\r\n\r\n", "body\r\n\r\n", "1.1 200 'OK'|A=b"),
    GOOD(OK_LINE "A:b\r\nA: c\r\n\r\n", "\n", "1.1 200 'OK'|A=b|A=c"),
    GOOD(OK_LINE "Empty:\r\nBlank: \t \r\nEnd: x\r\n\r\n", "", "1.1 200 'OK'|Empty=|Blank=|End=x"),
    GOOD(OK_LINE "V: \t a b:c\t, \xc3\xa4 \t\r\n\r\n", "\r", "1.1 200 'OK'|V=a b:c\t, \xc3\xa4"),
    GOOD(OK_LINE "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", "", "1.1 200 'OK'|!#$%&'*+-.^_`|~09azAZ=x"),
};

static const good_t good_trailers[] = {
    GOOD("\r\n", "", "none"),
    GOOD("\r\n", OK_LINE, "none"),
    GOOD("Digest: x\r\nB:\r\n\r\n", "HTTP/1.1", "none|Digest=x|B="),
};

static const bad_t bad_heads[] = {
    BAD("\r\n", "HTTP/1"),
    BAD("\r\n" OK_LINE "\r\n", "HTTP/1"),
    BAD(" HTTP/1.1 200 OK\r\n\r\n", "HTTP/1"),
    BAD("http/1.1 200 OK\r\n\r\n", "HTTP/1"),
    BAD("HTTP/2.0 200 OK\r\n\r\n", "HTTP/1"),
    BAD("HTTP/1.2 200 OK\r\n\r\n", "HTTP/1"),
    BAD("HTTP/1. 200 OK\r\n\r\n", "HTTP/1"),
    BAD("HTTP/1.10 200 OK\r\n\r\n", "HTTP/1"),
    BAD("HTTP/1.1\t200 OK\r\n\r\n", "HTTP/1"),
    BAD("HTTP/1.1\r\n\r\n", "HTTP/1"),
    BAD("HTTP\r\n\r\n", "HTTP/1"),
    BAD("A: b\r\n\r\n", "HTTP/1"),
    BAD("SSH-2.0-x", "HTTP/1"),
    BAD("\0", "HTTP/1"),
    BAD("HTTP/1.1 \r\n\r\n", "status"),
    BAD("HTTP/1.1 20\r\n\r\n", "status"),
    BAD("HTTP/1.1 20 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 2000 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1  200 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 2x0 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 +20 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 200OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 200\tOK\r\n\r\n", "status"),
    BAD("HTTP/1.1 099 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 600 OK\r\n\r\n", "status"),
    BAD("HTTP/1.1 200 O\0K\r\n\r\n", "reason"),
    BAD("HTTP/1.1 200 O\rK\r\n\r\n", "reason"),
    BAD("HTTP/1.1 200 OK\r\r\n\r\n", "reason"),
    BAD("HTTP/1.1 200 O\x7fK\r\n\r\n", "reason"),
    BAD("HTTP/1.1 200 OK\n\r\n", "carriage return"),
    BAD(OK_LINE "A: b\n\r\n", "carriage return"),
    BAD(OK_LINE "A: b\r\n\n", "carriage return"),
    BAD(OK_LINE "A: b\n\n", "carriage return"),
    BAD(OK_LINE "A: b\r\n c\r\n\r\n", "folded"),
    BAD(OK_LINE "A: b\r\n\tc\r\n\r\n", "folded"),
    BAD(OK_LINE " A: b\r\n\r\n", "folded"),
    BAD(OK_LINE "A : b\r\n\r\n", "white space"),
    BAD(OK_LINE "A\t: b\r\n\r\n", "white space"),
    BAD(OK_LINE "A B: c\r\n\r\n", "white space"),
    BAD(OK_LINE ": b\r\n\r\n", "empty field name"),
    BAD(OK_LINE "A\r\n\r\n", "colon"),
    BAD(OK_LINE "A=b\r\n\r\n", "may not be there"),
    BAD(OK_LINE "\"A\": b\r\n\r\n", "may not be there"),
    BAD(OK_LINE "A\0: b\r\n\r\n", "may not be there"),
    BAD(OK_LINE "A\r: b\r\n\r\n", "may not be there"),
    BAD(OK_LINE "\xc3\xa4: b\r\n\r\n", "may not be there"),
    BAD(OK_LINE "\r\r\n\r\n", "may not be there"),
    BAD(OK_LINE "A: b\0c\r\n\r\n", "value"),
    BAD(OK_LINE "A: b\rc\r\n\r\n", "value"),
    BAD(OK_LINE "A: b\r\r\n\r\n", "value"),
    BAD(OK_LINE "A:\r \r\n\r\n", "value"),
    BAD(OK_LINE "A: \x1b\r\n\r\n", "value"),
    BAD(OK_LINE "A: \x7f\r\n\r\n", "value"),
};

static const bad_t bad_trailers[] = {
    BAD("\n", "carriage return"),
    BAD(OK_LINE "\r\n", "may not be there"),
    BAD("A\r\n\r\n", "colon"),
    BAD(" A: b\r\n\r\n", "folded"),
    BAD("A: b\r\n c\r\n\r\n", "folded"),
    BAD("A : b\r\n\r\n", "white space"),
    BAD(": b\r\n\r\n", "empty field name"),
    BAD("A: b\0\r\n\r\n", "value"),
    BAD("A: b\n\r\n", "carriage return"),
};

static abl_h1_head_t head;

static const char *dump(const char *bytes)
{
    static char text[4096];
    int at = head.trailers ? snprintf(text, sizeof(text), "none")
                           : snprintf(text, sizeof(text), "1.%d %d '%.*s'", head.minor, head.status,
                                      (int)head.reason_len, bytes + head.reason);

    for (int i = 0; i < head.nfields; i++) {
        const abl_h1_field_t *f = &head.fields[i];
        at += snprintf(text + at, sizeof(text) - (size_t)at, "|%.*s=%.*s", (int)f->name_len, bytes + f->name,
                       (int)f->value_len, bytes + f->value);
    }
    return text;
}

static void check_good(const good_t *sample, bool trailers)
{
    for (size_t way = 0; way <= sample->len; way++) {
        abl_wire_rc_t rc = feed_head(&head, trailers, sample->bytes, sample->len, way);
        ck_assert_msg(rc == ABL_WIRE_DONE, "%s: way %zu: %d", sample->dump, way, rc);
        ck_assert_uint_eq(head.length, sample->head_len);
        ck_assert_str_eq(dump(sample->bytes), sample->dump);
        ck_assert_ptr_null(head.why);
    }
    for (size_t len = 0; len < sample->head_len; len++) {
        for (size_t way = 0; way <= len; way++) {
            ck_assert_int_eq(feed_head(&head, trailers, sample->bytes, len, way), ABL_WIRE_MORE);
        }
    }
}

static void check_bad(const bad_t *sample, bool trailers)
{
    for (size_t way = 0; way <= sample->len; way++) {
        abl_wire_rc_t rc = feed_head(&head, trailers, sample->bytes, sample->len, way);
        ck_assert_msg(rc == ABL_WIRE_BAD, "%s: way %zu: %d", sample->bytes, way, rc);
        ck_assert_ptr_nonnull(head.why);
        if (way == 0) {
            ck_assert_msg(strstr(head.why, sample->word), "%s: %s", sample->bytes, head.why);
        }
    }
}

START_TEST(reads_good_heads)
{
    for (size_t i = 0; i < COUNT(good_heads); i++) {
        check_good(&good_heads[i], false);
    }
}
END_TEST

START_TEST(reads_good_trailers)
{
    for (size_t i = 0; i < COUNT(good_trailers); i++) {
        check_good(&good_trailers[i], true);
        ck_assert_int_eq(head.status, 0);
    }
}
END_TEST

START_TEST(refuses_bad_heads)
{
    for (size_t i = 0; i < COUNT(bad_heads); i++) {
        check_bad(&bad_heads[i], false);
    }
}
END_TEST

START_TEST(refuses_bad_trailers)
{
    for (size_t i = 0; i < COUNT(bad_trailers); i++) {
        check_bad(&bad_trailers[i], true);
    }
}
END_TEST

START_TEST(takes_every_status_from_100_to_599)
{
    for (int status = 0; status < 1000; status++) {
        char bytes[32];
        size_t len = (size_t)snprintf(bytes, sizeof(bytes), "HTTP/1.1 %03d x\r\n\r\n", status);
        bool good = status >= 100 && status <= 599;
        ck_assert_int_eq(feed_head(&head, false, bytes, len, 0), good ? ABL_WIRE_DONE : ABL_WIRE_BAD);
        ck_assert(!good || head.status == status);
    }
}
END_TEST

/* Puts each of the 256 bytes in place of the '@' of `pattern` and compares the verdict. */
static void check_each_byte(const char *pattern, bool (*is_good)(int c))
{
    char bytes[64];
    size_t len = strlen(pattern);

    for (int c = 0; c < 256; c++) {
        memcpy(bytes, pattern, len + 1);
        *strchr(bytes, '@') = (char)c;
        for (size_t way = 0; way <= len; way++) {
            abl_wire_rc_t rc = feed_head(&head, false, bytes, len, way);
            ck_assert_msg(rc == (is_good(c) ? ABL_WIRE_DONE : ABL_WIRE_BAD), "%s: byte %d: %d", pattern, c,
                          rc);
        }
    }
}

static bool is_text(int c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool is_name(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ':' ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

START_TEST(knows_every_byte)
{
    check_each_byte(OK_LINE "A: b@c\r\n\r\n", is_text);
    check_each_byte(OK_LINE "A: @\r\n\r\n", is_text);
    check_each_byte("HTTP/1.1 200 O@K\r\n\r\n", is_text);
    check_each_byte(OK_LINE "A@B: c\r\n\r\n", is_name); /* a colon ends the name */
}
END_TEST

/* A head of `len` bytes in all, with one long field, or with many. */
static char *long_head(size_t len)
{
    static const char begin[] = OK_LINE "A: ";
    char *bytes = malloc(len);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', len);
    memcpy(bytes, begin, sizeof(begin) - 1);
    memcpy(bytes + len - 4, "\r\n\r\n", 4);
    return bytes;
}

/* As feed_head() without copying and with few cuts: 32 KiB, cut at every place, would take minutes. */
static void check_long(const char *bytes, size_t len, abl_wire_rc_t expected)
{
    for (size_t step = 1; step <= len; step = step < 8 ? step + 1 : step * 3) {
        abl_wire_rc_t rc = ABL_WIRE_MORE;
        size_t at = 0;
        abl_h1_head_init(&head);
        while (at < len && rc == ABL_WIRE_MORE) {
            at = at + step < len ? at + step : len;
            rc = abl_h1_head_parse(&head, bytes, at);
        }
        ck_assert_msg(rc == expected, "%zu bytes in steps of %zu: %d", len, step, rc);
    }
    for (size_t cut = len - 8; cut <= len; cut++) {
        abl_h1_head_init(&head);
        abl_h1_head_parse(&head, bytes, cut);
        ck_assert_int_eq(abl_h1_head_parse(&head, bytes, len), expected);
    }
}

START_TEST(limits_the_head)
{
    char *bytes = long_head(ABL_H1_HEAD_MAX);
    check_long(bytes, ABL_H1_HEAD_MAX, ABL_WIRE_DONE);
    ck_assert_uint_eq(head.length, ABL_H1_HEAD_MAX);
    check_long(bytes, ABL_H1_HEAD_MAX - 1, ABL_WIRE_MORE);
    free(bytes);

    bytes = long_head(ABL_H1_HEAD_MAX + 1);
    check_long(bytes, ABL_H1_HEAD_MAX + 1, ABL_WIRE_BAD);
    check_long(bytes, ABL_H1_HEAD_MAX, ABL_WIRE_BAD); /* full without its end: no need to wait */
    ck_assert_ptr_nonnull(strstr(head.why, "longer"));
    free(bytes);

    bytes = long_head(10 * ABL_H1_HEAD_MAX);
    abl_h1_head_init(&head);
    ck_assert_int_eq(abl_h1_head_parse(&head, bytes, 10 * ABL_H1_HEAD_MAX), ABL_WIRE_BAD);
    free(bytes);
}
END_TEST

static size_t write_fields(char *bytes, const char *begin, int nfields)
{
    size_t len = (size_t)sprintf(bytes, "%s", begin);

    for (int i = 0; i < nfields; i++) {
        len += (size_t)sprintf(bytes + len, "F%d: %d\r\n", i, i);
    }
    return len + (size_t)sprintf(bytes + len, "\r\n");
}

START_TEST(limits_the_fields)
{
    static char bytes[ABL_H1_HEAD_MAX];
    size_t len = write_fields(bytes, OK_LINE, ABL_H1_FIELDS_MAX);
    check_long(bytes, len, ABL_WIRE_DONE);
    ck_assert_int_eq(head.nfields, ABL_H1_FIELDS_MAX);
    ck_assert_int_eq(memcmp(bytes + head.fields[ABL_H1_FIELDS_MAX - 1].name, "F199", 4), 0);

    len = write_fields(bytes, OK_LINE, ABL_H1_FIELDS_MAX + 1);
    check_long(bytes, len, ABL_WIRE_BAD);
    ck_assert_ptr_nonnull(strstr(head.why, "too many"));

    len = write_fields(bytes, "", ABL_H1_FIELDS_MAX);
    ck_assert_int_eq(feed_head(&head, true, bytes, len, len / 2), ABL_WIRE_DONE);
    ck_assert_int_eq(head.nfields, ABL_H1_FIELDS_MAX);
    len = write_fields(bytes, "", ABL_H1_FIELDS_MAX + 1);
    ck_assert_int_eq(feed_head(&head, true, bytes, len, len / 2), ABL_WIRE_BAD);
}
END_TEST

START_TEST(keeps_its_verdict)
{
    static const char more[] = "HTTP/1.1 200 OK\r\nA b\r\n\r\n";
    static const char good[] = OK_LINE "\r\n" OK_LINE "\r\n";

    ck_assert_int_eq(feed_head(&head, false, more, 10, 0), ABL_WIRE_MORE);
    ck_assert_int_eq(abl_h1_head_parse(&head, more, 10), ABL_WIRE_MORE);
    ck_assert_int_eq(abl_h1_head_parse(&head, more, sizeof(more) - 1), ABL_WIRE_BAD);
    ck_assert_int_eq(abl_h1_head_parse(&head, good, sizeof(good) - 1), ABL_WIRE_BAD);
    ck_assert_int_eq(feed_head(&head, false, good, sizeof(good) - 1, 0), ABL_WIRE_DONE);
    ck_assert_int_eq(abl_h1_head_parse(&head, good, sizeof(good) - 1), ABL_WIRE_DONE);
    ck_assert_uint_eq(head.length, sizeof(OK_LINE) + 1);
}
END_TEST

START_TEST(starts_afresh_and_leaves_fields_alone)
{
    ck_assert_int_eq(feed_head(&head, false, BYTES("HTTP/1.1 200 OK\r\nA b\r\n\r\n"), 0), ABL_WIRE_BAD);
    memset(head.fields, 0x5a, sizeof(head.fields));
    abl_h1_head_init(&head);
    for (size_t i = 0; i < sizeof(head.fields); i++) {
        ck_assert_int_eq(((const unsigned char *)head.fields)[i], 0x5a);
    }
    ck_assert_int_eq(abl_h1_head_parse(&head, "", 0), ABL_WIRE_MORE);
    ck_assert_int_eq(abl_h1_head_parse(&head, BYTES("HTTP/1.0 201\r\n\r\n")), ABL_WIRE_DONE);
    ck_assert_int_eq(head.status, 201);
    ck_assert_int_eq(head.nfields, 0);
}
END_TEST

/* Garbage must not be waited for: nobody promises that it ever holds a line feed. */
START_TEST(refuses_other_protocols_at_once)
{
    static const char begin[] = "HTTP/1.1 ";

    for (size_t len = 1; len < sizeof(begin); len++) {
        char bytes[sizeof(begin)];
        memcpy(bytes, begin, len);
        ck_assert_int_eq(feed_head(&head, false, bytes, len, 0), ABL_WIRE_MORE);
        bytes[len - 1] = 'x';
        ck_assert_int_eq(feed_head(&head, false, bytes, len, 0), ABL_WIRE_BAD);
    }
}
END_TEST

UNIT_MAIN("h1_head", reads_good_heads, reads_good_trailers, refuses_bad_heads, refuses_bad_trailers,
          takes_every_status_from_100_to_599, knows_every_byte, limits_the_head, limits_the_fields,
          keeps_its_verdict, starts_afresh_and_leaves_fields_alone, refuses_other_protocols_at_once)
