/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instance writes, however it is cut into pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/output.h"
#include "unit.h"

static abl_output_t output;

/* All lines, each with a '\n'. */
static char lines[1 << 16];
static size_t nlines;

static void note(void *ctx, const char *line, size_t len)
{
    ck_assert_ptr_eq(ctx, &output);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_le(len, ABL_LINE_MAX);
    ck_assert_uint_lt(nlines + len + 1, sizeof(lines));
    memcpy(lines + nlines, line, len);
    nlines += len;
    lines[nlines++] = '\n';
}

static void feed(const char *bytes, size_t len, size_t way)
{
    memset(&output, 0, sizeof(output));
    nlines = 0;
    for (size_t at = 0, end; at < len; at = end) {
        end = unit_piece_end(way, len, at);
        char *piece = unit_copy(bytes + at, end - at);
        abl_output_add(&output, piece, end - at, note, &output);
        free(piece);
    }
    abl_output_end(&output, note, &output);
    ck_assert_uint_eq(output.len, 0);
}

static void expect(const char *bytes, size_t len, const char *expected)
{
    for (size_t way = 0; way <= len; way++) {
        feed(bytes, len, way);
        lines[nlines] = '\0';
        ck_assert_str_eq(lines, expected);
    }
}

START_TEST(lines_and_their_ends)
{
    expect(BYTES("one\ntwo\r\nthree"), "one\ntwo\nthree\n");
    expect(BYTES("\n\r\n\n  \n\r\n"), "  \n");
    expect(BYTES("10%\r20%\r\r\nend\r"), "10%?20%?\nend\n");
    expect(BYTES("a\n"), "a\n");
    expect(BYTES(""), "");
}
END_TEST

START_TEST(what_could_do_harm)
{
    expect(BYTES("a\tb\0c\n"), "a b?c\n");
    expect(BYTES("\033[31mred\033[0m\a\b\177\n"), "?[31mred?[0m???\n");
    expect(BYTES("\xC2\x9B"
                 "31m \xC2\x80\xC2\x9F\xC2\xA0\n"),
           "?31m ??\xC2\xA0\n");
    expect(BYTES("\xE2\x80\xA8 \xE2\x80\xAE \xE2\x81\xA6 \xE2\x80\xA7\n"), "? ? ? \xE2\x80\xA7\n");
}
END_TEST

START_TEST(utf8)
{
    expect(BYTES("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80 \xEF\xBF\xBF \xF4\x8F\xBF\xBF\n"),
           "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80 \xEF\xBF\xBF \xF4\x8F\xBF\xBF\n");
    expect(BYTES("\xFC \xC3 \x80\xBF \xFF\xFE\n"), "? ? ?? ??\n");              /* Latin-1, and nothing */
    expect(BYTES("\xC0\x80 \xE0\x80\xAF \xF0\x80\x80\x80\n"), "?? ??? ????\n"); /* longer than need be */
    expect(BYTES("\xED\xA0\x80 \xED\xBF\xBF \xED\x9F\xBF\n"), "??? ??? \xED\x9F\xBF\n"); /* surrogates */
    expect(BYTES("\xF4\x90\x80\x80 \xF5\x80\x80\x80\n"), "???? ????\n");
    expect(BYTES("\xE2\x82\n\xAC\xE2\n"), "??\n??\n"); /* a line's end is one */
    expect(BYTES("\xE2\x82"), "??\n");
    expect(BYTES("\xE2\x82\xC3\xBC\n"), "??\xC3\xBC\n");
}
END_TEST

/* `len` bytes 'x', then these; the result begins with so many, then goes on so. */
static void expect_after(size_t len, const char *bytes, size_t more, size_t first, const char *rest)
{
    static char text[2 * ABL_LINE_MAX];

    memset(text, 'x', len);
    memcpy(text + len, bytes, more);
    for (size_t way = 0; way <= len + more; way += way == 0 || way >= len - 3 ? 1 : len - 3 - way) {
        feed(text, len + more, way);
        lines[nlines] = '\0';
        ck_assert_uint_eq(strspn(lines, "x"), first);
        ck_assert_str_eq(lines + first, rest);
    }
}

START_TEST(long_lines)
{
    const size_t most = ABL_LINE_MAX;

    expect_after(most, BYTES("\nb\n"), most, "\nb\n");
    expect_after(most, BYTES("\r\nb\n"), most, "\nb\n");
    expect_after(most - 1, BYTES("\r\nb\n"), most - 1, "\nb\n");
    expect_after(most, BYTES("b\n"), most, "\nb\n");
    expect_after(most, BYTES("\xC3\xBC"), most, "\n\xC3\xBC\n");
    expect_after(most - 1, BYTES("\xC3\xBC"), most - 1, "\n\xC3\xBC\n");
    expect_after(most - 2, BYTES("\xC3\xBC\n"), most - 2, "\xC3\xBC\n");
    expect_after(most - 2, BYTES("\xE2\x82\xAC\xE2\x82\xAC"), most - 2, "\n\xE2\x82\xAC\xE2\x82\xAC\n");
    expect_after(most - 3, BYTES("\xF0\x9F\x98\x80!"), most - 3, "\n\xF0\x9F\x98\x80!\n");
    expect_after(most - 1, BYTES("\xF0\x9F\x98\x80!"), most - 1, "\n\xF0\x9F\x98\x80!\n");
    expect_after(most - 2, BYTES("\xE2\x82\n"), most - 2, "??\n");
    expect_after(most - 3, BYTES("\x80\x80\x80\x80"), most - 3, "???\n?\n");
}
END_TEST

START_TEST(no_line_at_all)
{
    static char text[10 * ABL_LINE_MAX + 5];

    memset(text, '\x80', sizeof(text));
    feed(text, sizeof(text), 0);
    ck_assert_uint_eq(output.nlines, 11);
    ck_assert_uint_eq(nlines, sizeof(text) + 11);
    memset(text, '\0', sizeof(text));
    feed(text, sizeof(text), sizeof(text));
    ck_assert_uint_eq(output.nlines, 11);
    ck_assert_uint_eq(nlines, sizeof(text) + 11);
    ck_assert_uint_eq(strspn(lines, "?\n"), nlines);
}
END_TEST

/* Anything, in whatever pieces: the same lines, valid and within their limits. */
START_TEST(any_bytes_in_any_pieces)
{
    static const char choice[] = "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80\x80\xFF\n\r\t\033 abc\xC2\x9B\xED\xA0";
    static char text[3 * ABL_LINE_MAX], whole[sizeof(lines)];
    uint32_t seed = 12345;

    for (int round = 0; round < 60; round++) {
        size_t len = round % 3 == 0 ? sizeof(text) : 60, whole_len;
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = round % 3 == 1 ? (char)(seed >> 24) : choice[(seed >> 16) % (sizeof(choice) - 1)];
            if (round % 3 == 0 && text[i] == '\n' && seed >> 30 != 0) {
                text[i] = 'n'; /* long lines, too */
            }
        }
        feed(text, len, 0);
        whole_len = nlines;
        memcpy(whole, lines, nlines);
        for (size_t way = 1; way <= len; way += len > 100 ? 61 : 1) {
            feed(text, len, way);
            ck_assert_uint_eq(nlines, whole_len);
            ck_assert_mem_eq(lines, whole, nlines);
        }
        feed(text, len, len);
        ck_assert_uint_eq(nlines, whole_len);
        ck_assert_mem_eq(lines, whole, nlines);
        feed(whole, whole_len, 0); /* what is harmless stays as it is */
        ck_assert_uint_eq(nlines, whole_len);
        ck_assert_mem_eq(lines, whole, nlines);
    }
}
END_TEST

START_TEST(the_last_lines)
{
    char text[64], expected[ABL_LAST_LINE_MAX + 1];

    memset(&output, 0, sizeof(output));
    ck_assert_ptr_null(abl_output_last(&output, 0));
    for (unsigned n = 1; n <= 3 * ABL_LAST_LINES + 7; n++) {
        unsigned kept = n < ABL_LAST_LINES ? n : ABL_LAST_LINES;
        abl_output_add(&output, text, (size_t)snprintf(text, sizeof(text), "line %u\n\n", n), note, &output);
        for (unsigned i = 0; i < kept; i++) {
            (void)snprintf(expected, sizeof(expected), "line %u", n - kept + 1 + i);
            ck_assert_str_eq(abl_output_last(&output, i), expected);
        }
        ck_assert_ptr_null(abl_output_last(&output, kept));
    }
    ck_assert_ptr_null(abl_output_last(&output, UINT32_MAX));
    abl_output_add(&output, BYTES("begun"), note, &output);
    abl_output_clear(&output);
    ck_assert_ptr_null(abl_output_last(&output, 0));
    abl_output_add(&output, BYTES("anew\n"), note, &output);
    ck_assert_str_eq(abl_output_last(&output, 0), "anew");
}
END_TEST

START_TEST(the_last_lines_are_cut)
{
    char text[ABL_LAST_LINE_MAX + 10];

    for (size_t len = ABL_LAST_LINE_MAX - 4; len <= ABL_LAST_LINE_MAX + 1; len++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + len, "\xF0\x9F\x98\x80", 4);
        feed(text, len + 4, 0);
        ck_assert_uint_eq(nlines, len + 5);
        ck_assert_uint_eq(strlen(abl_output_last(&output, 0)), len + 4 <= ABL_LAST_LINE_MAX ? len + 4
                                                               : len < ABL_LAST_LINE_MAX    ? len
                                                                                         : ABL_LAST_LINE_MAX);
    }
}
END_TEST

START_TEST(reading)
{
    static char text[10000];
    int fds[2];

    memset(&output, 0, sizeof(output));
    nlines = 0;
    ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
    ck_assert(abl_output_read(&output, fds[0], 1000, note, &output)); /* nothing is there */
    ck_assert_int_eq(write(fds[1], "one\ntw", 6), 6);
    ck_assert(abl_output_read(&output, fds[0], 1000, note, &output));
    ck_assert_uint_eq(nlines, 4);
    ck_assert_int_eq(write(fds[1], "o\nthree", 7), 7);
    ck_assert(abl_output_read(&output, fds[0], 1, note, &output)); /* no more than this */
    ck_assert_uint_eq(nlines, 4);
    ck_assert(abl_output_read(&output, fds[0], 0, note, &output));
    ck_assert(abl_output_read(&output, fds[0], 1, note, &output));
    ck_assert_uint_eq(nlines, 8);
    memset(text, '\n', sizeof(text));
    ck_assert_int_eq(write(fds[1], text, sizeof(text)), sizeof(text));
    close(fds[1]);
    ck_assert(abl_output_read(&output, fds[0], 5000, note, &output));
    ck_assert(!abl_output_read(&output, fds[0], 10000, note, &output));
    ck_assert_uint_eq(nlines, 14);
    ck_assert_mem_eq(lines, "one\ntwo\nthree\n", 14);
    close(fds[0]);
    ck_assert(!abl_output_read(&output, -1, 1000, note, &output));
}
END_TEST

UNIT_MAIN("output", lines_and_their_ends, what_could_do_harm, utf8, long_lines, no_line_at_all,
          any_bytes_in_any_pieces, the_last_lines, the_last_lines_are_cut, reading)
