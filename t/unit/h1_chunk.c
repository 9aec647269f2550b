/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked coding: what is decoded, what is refused and why, the limits, and that none of it depends on
 * how the bytes arrive.
 */
#include <stdio.h>

#include "unit.h"
#include "wire/h1_chunk.h"

typedef struct good_t {
    const char *bytes;
    size_t len;      /* more than `body_len` where a trailer section follows */
    size_t body_len; /* with the last chunk's size line */
    const char *data;
    size_t data_len;
} good_t;

typedef struct bad_t {
    const char *bytes;
    size_t len;
    size_t data_len;  /* of data that come before what is wrong */
    const char *word; /* in `why` */
} bad_t;

/* What a decoder made of a sample. */
typedef struct result_t {
    abl_wire_rc_t rc;
    size_t used;
    size_t data_len;
    char data[4096];
    const char *why;
} result_t;

#define GOOD(body, after, data)                                                                              \
    {                                                                                                        \
        body after, sizeof(body after) - 1, sizeof(body) - 1, data, sizeof(data) - 1                         \
    }
#define BAD(bytes, data_len, word)                                                                           \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, data_len, word                                                             \
    }

static const good_t good[] = {
    GOOD("0\r\n", "", ""),
    GOOD("0\r\n", "\r\n", ""),
    GOOD("0000000000000000\r\n", "A: b\r\n\r\n", ""),
    GOOD("0;last\r\n", "\r\n", ""),
    GOOD("5\r\nhello\r\n0\r\n", "\r\nHTTP/1.1 200 OK\r\n", "hello"),
    GOOD("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n", "", "abcdef"),
    GOOD("0000000000000003\r\nabc\r\n0\r\n", "", "abc"),
    GOOD("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n", "", "01234567890123456789a"),
    GOOD("2;a;b=c;d=\"e f\"\r\nhi\r\n0\r\n", "", "hi"),
    GOOD("2;\r\nhi\r\n0\r\n", "", "hi"),
    GOOD("2 \t;\ta = b \xff\r\nhi\r\n0\r\n", "", "hi"),
    GOOD("4\r\n\r\n0\n\r\n0\r\n", "", "\r\n0\n"),
    GOOD("3\r\n\0\xff\r\r\n0\r\n", "0\r\n", "\0\xff\r"),
};

static const bad_t bad[] = {
    BAD("\r\n", 0, "digits"),
    BAD("\n", 0, "digits"),
    BAD(";a\r\n", 0, "digits"),
    BAD(" 1\r\na\r\n", 0, "digits"),
    BAD("g\r\n", 0, "digits"),
    BAD("-1\r\n", 0, "digits"),
    BAD("+1\r\n", 0, "digits"),
    BAD("0x1\r\n", 0, "may not be there"),
    BAD("1g\r\n", 0, "may not be there"),
    BAD("1_0\r\n", 0, "may not be there"),
    BAD("1\n", 0, "may not be there"),
    BAD("1\0\r\n", 0, "may not be there"),
    BAD("1,\r\n", 0, "may not be there"),
    BAD("1\r\r\n", 0, "carriage return"),
    BAD("1\ra", 0, "carriage return"),
    BAD("0\r\r", 0, "carriage return"),
    BAD("1 \r\na\r\n", 0, "white space"),
    BAD("1\t\r\na\r\n", 0, "white space"),
    BAD("1 2\r\na\r\n", 0, "white space"),
    BAD("1 \n", 0, "white space"),
    BAD("1;a\n", 0, "extension"),
    BAD("1;a\0\r\n", 0, "extension"),
    BAD("1;\x7f\r\n", 0, "extension"),
    BAD("1;a\rb\r\n", 0, "carriage return"),
    BAD("00000000000000001\r\na\r\n", 0, "too large"),
    BAD("8000000000000000\r\n", 0, "too large"),
    BAD("ffffffffffffffff\r\n", 0, "too large"),
    BAD("10000000000000000\r\n", 0, "too large"),
    BAD("1\r\nab\r\n", 1, "longer than its size"),
    BAD("1\r\na\n", 1, "longer than its size"),
    BAD("1\r\na\ra", 1, "longer than its size"),
    BAD("1\r\na0\r\n", 1, "longer than its size"),
    BAD("1\r\na\r\n\r\n", 1, "digits"),
    BAD("1\r\na\r\n2\r\nbcd", 3, "longer than its size"),
    BAD("3\r\nab\r\nc", 3, "longer than its size"),
};

static void take(result_t *result, const char *data, size_t data_len)
{
    ck_assert_uint_le(result->data_len + data_len, sizeof(result->data));
    memcpy(result->data + result->data_len, data, data_len);
    result->data_len += data_len;
}

/* Decodes one piece until it is taken or there is a verdict. Returns how much was taken. */
static size_t decode_piece(abl_h1_chunk_t *chunk, const char *piece, size_t len, result_t *result)
{
    char *copy = unit_copy(piece, len);
    size_t at = 0;
    size_t used, data_len;
    const char *data;

    do {
        result->rc = abl_h1_chunk_decode(chunk, copy + at, len - at, &used, &data, &data_len);
        ck_assert_uint_le(used, len - at);
        ck_assert(data_len == 0 || (data >= copy + at && data + data_len <= copy + at + used));
        ck_assert(data_len == 0 || result->rc == ABL_WIRE_MORE);
        ck_assert(data_len > 0 || result->rc != ABL_WIRE_MORE || at + used == len);
        if (data_len > 0) {
            take(result, data, data_len);
        }
        at += used;
    } while (result->rc == ABL_WIRE_MORE && at < len);
    free(copy);
    return at;
}

static void decode(const char *bytes, size_t len, size_t way, result_t *result)
{
    abl_h1_chunk_t chunk;

    abl_h1_chunk_init(&chunk);
    *result = (result_t){.rc = ABL_WIRE_MORE};
    while (result->used < len && result->rc == ABL_WIRE_MORE) {
        size_t end = unit_piece_end(way, len, result->used);
        result->used += decode_piece(&chunk, bytes + result->used, end - result->used, result);
    }
    result->why = chunk.why;
}

static result_t result;

START_TEST(decodes_good_bodies)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        for (size_t way = 0; way <= good[i].len; way++) {
            decode(good[i].bytes, good[i].len, way, &result);
            ck_assert_msg(result.rc == ABL_WIRE_DONE, "%s: way %zu: %d", good[i].bytes, way, result.rc);
            ck_assert_uint_eq(result.used, good[i].body_len);
            ck_assert_uint_eq(result.data_len, good[i].data_len);
            ck_assert_mem_eq(result.data, good[i].data, good[i].data_len);
            ck_assert_ptr_null(result.why);
        }
    }
}
END_TEST

START_TEST(waits_for_the_rest)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        for (size_t len = 0; len < good[i].body_len; len++) {
            decode(good[i].bytes, len, len, &result);
            ck_assert_int_eq(result.rc, ABL_WIRE_MORE);
            ck_assert_uint_eq(result.used, len);
        }
    }
}
END_TEST

START_TEST(refuses_bad_bodies)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t used = 0;
        for (size_t way = 0; way <= bad[i].len; way++) {
            decode(bad[i].bytes, bad[i].len, way, &result);
            ck_assert_msg(result.rc == ABL_WIRE_BAD, "%s: way %zu: %d", bad[i].bytes, way, result.rc);
            ck_assert_msg(strstr(result.why, bad[i].word), "%s: %s", bad[i].bytes, result.why);
            ck_assert_uint_eq(result.data_len, bad[i].data_len);
            used = way == 0 ? result.used : used;
            ck_assert_uint_eq(result.used, used);
        }
    }
}
END_TEST

START_TEST(knows_every_byte_of_a_size_line)
{
    for (int c = 0; c < 256; c++) {
        char bytes[] = "1@;@\r\n";
        bool hex = c != 0 && strchr("0123456789abcdefABCDEF", c);
        bool follows = c == ' ' || c == '\t' || c == ';';
        bool text = c == '\t' || (c >= ' ' && c != 0x7f);
        bytes[1] = (char)c;
        bytes[3] = 'x';
        decode(BYTES(bytes), (size_t)c % sizeof(bytes), &result);
        ck_assert_msg(result.rc == (hex || follows ? ABL_WIRE_MORE : ABL_WIRE_BAD), "byte %d", c);
        bytes[1] = '1';
        bytes[3] = (char)c;
        decode(BYTES(bytes), (size_t)c % sizeof(bytes), &result);
        ck_assert_msg(result.rc == (text ? ABL_WIRE_MORE : ABL_WIRE_BAD), "byte %d of an extension", c);
    }
}
END_TEST

static uint64_t size_of(const char *line)
{
    abl_h1_chunk_t chunk;
    size_t used, data_len;
    const char *data;

    abl_h1_chunk_init(&chunk);
    ck_assert_int_eq(abl_h1_chunk_decode(&chunk, line, strlen(line), &used, &data, &data_len), ABL_WIRE_MORE);
    ck_assert_uint_eq(used, strlen(line));
    return chunk.left;
}

START_TEST(reads_sizes)
{
    ck_assert_uint_eq(size_of("123456789abcdef\r\n"), 0x123456789abcdef);
    ck_assert_uint_eq(size_of("123456789ABCDEF\r\n"), 0x123456789abcdef);
    ck_assert_uint_eq(size_of("7fffffffffffffff\r\n"), ABL_H1_CHUNK_SIZE_MAX);
    ck_assert_uint_eq(size_of("7FFFFFFFFFFFFFFF;x\r\n"), INT64_MAX);
    ck_assert_uint_eq(size_of("000000000000000f\r\n"), 15);
}
END_TEST

/* A size line of `len` bytes before its CRLF, filled up with `fill`, ended by `last`. */
static size_t write_line(char *bytes, size_t len, char fill, char last)
{
    memset(bytes, fill, len);
    memcpy(bytes, fill == ';' ? "1;" : "1 ", 2);
    bytes[len - 1] = last;
    memcpy(bytes + len, "\r\na\r\n0\r\n", 8);
    return len + 8;
}

START_TEST(limits_the_size_line)
{
    static const char fills[] = {';', ' ', '\t'};
    char bytes[ABL_H1_CHUNK_LINE_MAX + 16];

    for (size_t i = 0; i < COUNT(fills); i++) {
        size_t len = write_line(bytes, ABL_H1_CHUNK_LINE_MAX, fills[i], ';');
        for (size_t way = 0; way <= len; way++) {
            decode(bytes, len, way, &result);
            ck_assert_int_eq(result.rc, ABL_WIRE_DONE);
            ck_assert_uint_eq(result.data_len, 1);
        }
        len = write_line(bytes, ABL_H1_CHUNK_LINE_MAX + 1, fills[i], ';');
        for (size_t way = 0; way <= len; way++) {
            decode(bytes, len, way, &result);
            ck_assert_int_eq(result.rc, ABL_WIRE_BAD);
            ck_assert_ptr_nonnull(strstr(result.why, "too long"));
        }
    }
}
END_TEST

/* The limit is one line's: many lines below it add up to more. */
START_TEST(counts_each_line_by_itself)
{
    char line[ABL_H1_CHUNK_LINE_MAX + 16];
    static char bytes[8 * sizeof(line)];
    size_t len = 0;

    for (int i = 0; i < 6; i++) {
        write_line(line, 200, ';', 'x');
        memcpy(bytes + len, line, 205);
        len += 205;
    }
    memcpy(bytes + len, "0\r\n", 3);
    decode(bytes, len + 3, 0, &result);
    ck_assert_int_eq(result.rc, ABL_WIRE_DONE);
    ck_assert_uint_eq(result.data_len, 6);
}
END_TEST

START_TEST(keeps_its_verdict)
{
    abl_h1_chunk_t chunk;
    size_t used, data_len;
    const char *data;

    abl_h1_chunk_init(&chunk);
    ck_assert_int_eq(abl_h1_chunk_decode(&chunk, NULL, 0, &used, &data, &data_len), ABL_WIRE_MORE);
    ck_assert_uint_eq(used, 0);
    ck_assert_int_eq(abl_h1_chunk_decode(&chunk, "0\r\n", 3, &used, &data, &data_len), ABL_WIRE_DONE);
    ck_assert_int_eq(abl_h1_chunk_decode(&chunk, "1\r\n", 3, &used, &data, &data_len), ABL_WIRE_DONE);
    ck_assert_uint_eq(used, 0);
    ck_assert_uint_eq(data_len, 0);

    abl_h1_chunk_init(&chunk);
    ck_assert_int_eq(abl_h1_chunk_decode(&chunk, "x", 1, &used, &data, &data_len), ABL_WIRE_BAD);
    ck_assert_int_eq(abl_h1_chunk_decode(&chunk, "0\r\n", 3, &used, &data, &data_len), ABL_WIRE_BAD);
    ck_assert_uint_eq(used, 0);
    ck_assert_uint_eq(data_len, 0);
}
END_TEST

static void check_prefix(uint64_t size)
{
    char expected[32];
    char *out = unit_copy("##################", ABL_H1_CHUNK_PREFIX_MAX);
    int len = snprintf(expected, sizeof(expected), "%llx\r\n", (unsigned long long)size);

    ck_assert_uint_eq(abl_h1_chunk_prefix(size, out), (size_t)len);
    ck_assert_mem_eq(out, expected, (size_t)len);
    ck_assert(len == ABL_H1_CHUNK_PREFIX_MAX || out[len] == '#');
    free(out);
}

START_TEST(writes_size_lines)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t size = UINT64_C(1) << bit;
        check_prefix(size);
        check_prefix(size + size - 1);
        check_prefix(size | 10);
    }
    check_prefix(0x123456789abcdef0);
    ck_assert_uint_eq(ABL_H1_CHUNK_PREFIX_MAX, 18);
}
END_TEST

UNIT_MAIN("h1_chunk", decodes_good_bodies, waits_for_the_rest, refuses_bad_bodies,
          knows_every_byte_of_a_size_line, reads_sizes, limits_the_size_line, counts_each_line_by_itself,
          keeps_its_verdict, writes_size_lines)
