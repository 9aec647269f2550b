/* SPDX-License-Identifier: Apache-2.0
 *
 * A line is kept as it came until it is whole, and made harmless then: a sequence of UTF-8 may come in
 * pieces.
 */
#include "control/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- UTF-8 ------------------------------------------------------------------------------------------ */

/* How long a sequence is that begins so; 0: none does. */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2) { /* the second to fourth byte of one, or longer than need be */
        return 0;
    }
    if (first < 0xE0) {
        return 2;
    }
    if (first < 0xF0) {
        return 3;
    }
    return first < 0xF5 ? 4 : 0;
}

static bool goes_on(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The character that is there, *len its bytes; -1: none, *len is 1. */
static int32_t decode(const char *bytes, size_t most, size_t *len)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const int32_t bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t n = sequence_length((unsigned char)*bytes);
    int32_t c = (unsigned char)*bytes & bits[n];
    size_t i;

    *len = 1;
    if (n == 0 || n > most) {
        return -1;
    }
    for (i = 1; i < n; i++) {
        if (!goes_on(bytes[i])) {
            return -1;
        }
        c = c << 6 | ((unsigned char)bytes[i] & 0x3F);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return -1;
    }
    *len = n;
    return c;
}

/* Control characters, what begins a line or changes its direction. */
static bool is_printable(int32_t c)
{
    return c >= ' ' && !(c >= 0x7F && c <= 0x9F) && !(c >= 0x2028 && c <= 0x202E) &&
           !(c >= 0x2066 && c <= 0x2069);
}

/* In its place: it does not become longer. Returns how long it is then. */
static size_t make_harmless(char *line, size_t len)
{
    size_t from = 0, to = 0, n;

    while (from < len) {
        int32_t c = decode(line + from, len - from, &n);
        if (c == '\t') {
            line[to++] = ' ';
        } else if (!is_printable(c)) {
            line[to++] = '?';
        } else {
            memmove(line + to, line + from, n);
            to += n;
        }
        from += n;
    }
    return to;
}

/* How many bytes there are before a sequence that may go on after the last one. */
static size_t before_half_sequence(const char *line, size_t len)
{
    size_t back;

    for (back = 1; back <= 3 && back <= len; back++) {
        char c = line[len - back];
        if (!goes_on(c)) {
            return sequence_length((unsigned char)c) > back ? len - back : len;
        }
    }
    return len;
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static void keep(abl_output_t *output, const char *line, size_t len)
{
    char *last = output->last[output->nlines++ % ABL_LAST_LINES];

    if (len > ABL_LAST_LINE_MAX) {
        len = ABL_LAST_LINE_MAX;
        while (len > 0 && goes_on(line[len])) {
            len--;
        }
    }
    memcpy(last, line, len);
    last[len] = '\0';
}

/* The first `len` bytes are a line. */
static void emit(abl_output_t *output, size_t len, abl_output_line_fn_t *line, void *ctx)
{
    len = make_harmless(output->line, len);
    if (len > 0) {
        keep(output, output->line, len);
        line(ctx, output->line, len);
    }
}

static void emit_whole(abl_output_t *output, abl_output_line_fn_t *line, void *ctx)
{
    size_t len = output->len;

    if (len > 0 && output->line[len - 1] == '\r') {
        len--;
    }
    output->len = 0;
    emit(output, len, line, ctx);
}

/* There is no room for one more byte, and the line has not ended. */
static void emit_cut(abl_output_t *output, abl_output_line_fn_t *line, void *ctx)
{
    size_t len = before_half_sequence(output->line, output->len);
    char half[4];
    size_t nhalf = output->len - len; /* 3 at most */

    memcpy(half, output->line + len, nhalf);
    emit(output, len, line, ctx);
    memcpy(output->line, half, nhalf);
    output->len = nhalf;
}

void abl_output_add(abl_output_t *output, const char *bytes, size_t len, abl_output_line_fn_t *line,
                    void *ctx)
{
    const char *end = bytes + len;

    while (bytes < end) {
        const char *lf = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t n = (size_t)((lf != NULL ? lf : end) - bytes);
        size_t room = ABL_LINE_MAX - output->len;
        if (n > 0 && room == 0) {
            emit_cut(output, line, ctx);
            continue;
        }
        n = n < room ? n : room;
        memcpy(output->line + output->len, bytes, n);
        output->len += n;
        bytes += n;
        if (bytes == lf) {
            emit_whole(output, line, ctx);
            bytes++;
        }
    }
}

void abl_output_end(abl_output_t *output, abl_output_line_fn_t *line, void *ctx)
{
    emit_whole(output, line, ctx);
}

bool abl_output_read(abl_output_t *output, int fd, size_t most, abl_output_line_fn_t *line, void *ctx)
{
    char bytes[4096];

    while (most > 0) {
        ssize_t n = read(fd, bytes, most < sizeof(bytes) ? most : sizeof(bytes));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        }
        abl_output_add(output, bytes, (size_t)n, line, ctx);
        most -= (size_t)n;
    }
    return true;
}

/* ---- the last ones ---------------------------------------------------------------------------------- */

const char *abl_output_last(const abl_output_t *output, unsigned i)
{
    uint64_t first = output->nlines < ABL_LAST_LINES ? 0 : output->nlines - ABL_LAST_LINES;

    if (i >= ABL_LAST_LINES || i >= output->nlines) {
        return NULL;
    }
    return output->last[(first + i) % ABL_LAST_LINES];
}

void abl_output_clear(abl_output_t *output)
{
    output->len = 0;
    output->nlines = 0;
}
