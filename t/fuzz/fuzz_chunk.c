/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked coding: whole and in pieces there must be one verdict and the same data, and what is encoded
 * must come back.
 *
 * Input: one byte of flags, the sizes of the pieces, then a chunked body or (odd flags) data to encode.
 */
#include "fuzz.h"
#include "wire/h1_chunk.h"

typedef struct decoded_t {
    abl_wire_rc_t rc;
    size_t used;
    char *data;
    size_t data_len;
} decoded_t;

/* Decodes one piece until it is taken or there is a verdict. */
static void decode_piece(abl_h1_chunk_t *chunk, const char *bytes, size_t len, decoded_t *decoded)
{
    char *copy = fuzz_copy(bytes, len);
    size_t at = 0;
    size_t used, data_len;
    const char *data;

    do {
        decoded->rc = abl_h1_chunk_decode(chunk, copy + at, len - at, &used, &data, &data_len);
        CHECK(used <= len - at && data_len <= used);
        CHECK(data_len == 0 || (decoded->rc == ABL_WIRE_MORE && data >= copy + at));
        CHECK(data_len == 0 || data + data_len <= copy + at + used);
        CHECK(data_len > 0 || decoded->rc != ABL_WIRE_MORE || at + used == len);
        if (data_len > 0) {
            memcpy(decoded->data + decoded->data_len, data, data_len);
            decoded->data_len += data_len;
        }
        at += used;
    } while (decoded->rc == ABL_WIRE_MORE && at < len);
    decoded->used += at;
    free(copy);
}

/* `cuts` NULL: whole. The data are never longer than the bytes. */
static decoded_t decode(const char *bytes, size_t len, fuzz_cuts_t *cuts)
{
    decoded_t decoded = {.rc = ABL_WIRE_MORE, .data = fuzz_copy(bytes, len)};
    abl_h1_chunk_t chunk;

    abl_h1_chunk_init(&chunk);
    for (size_t at = 0; at < len && decoded.rc == ABL_WIRE_MORE; at = decoded.used) {
        size_t end = cuts ? fuzz_next_end(cuts, at, len) : len;
        decode_piece(&chunk, bytes + at, end - at, &decoded);
        CHECK(decoded.rc != ABL_WIRE_MORE || decoded.used == end);
    }
    CHECK((decoded.rc == ABL_WIRE_BAD) == (chunk.why != NULL));
    return decoded;
}

static void check_decode(const char *bytes, size_t len, fuzz_cuts_t cuts)
{
    decoded_t whole = decode(bytes, len, NULL);
    decoded_t pieces = decode(bytes, len, &cuts);

    CHECK(whole.rc == pieces.rc && whole.used == pieces.used && whole.data_len == pieces.data_len);
    CHECK(memcmp(whole.data, pieces.data, whole.data_len) == 0);
    free(whole.data);
    free(pieces.data);
}

/* Encodes in chunks as the cuts say. Returns the length; the longest is one byte of data per chunk. */
static size_t encode(const char *bytes, size_t len, fuzz_cuts_t cuts, char *out)
{
    size_t written = 0;

    for (size_t at = 0; at < len;) {
        size_t end = fuzz_next_end(&cuts, at, len);
        size_t prefix = abl_h1_chunk_prefix(end - at, out + written);
        CHECK(prefix >= 3 && prefix <= ABL_H1_CHUNK_PREFIX_MAX);
        written += prefix;
        memcpy(out + written, bytes + at, end - at);
        memcpy(out + written + (end - at), "\r\n", 2);
        written += end - at + 2;
        at = end;
    }
    memcpy(out + written, "0\r\n", 3);
    return written + 3;
}

static void check_round_trip(const char *bytes, size_t len, fuzz_cuts_t cuts, uint8_t flags)
{
    char *out = malloc(len * (ABL_H1_CHUNK_PREFIX_MAX + 3) + 3);

    CHECK(out);
    size_t out_len = encode(bytes, len, cuts, out);
    cuts.size[FUZZ_CUTS - 1] = flags; /* other pieces than those that were encoded */
    decoded_t decoded = decode(out, out_len, &cuts);
    CHECK(decoded.rc == ABL_WIRE_DONE && decoded.used == out_len && decoded.data_len == len);
    CHECK(memcmp(decoded.data, bytes, len) == 0);
    free(decoded.data);
    free(out);
}

/* The size line of any size must be read as that size. */
static void check_prefix(const char *bytes, size_t len)
{
    uint64_t size = 0;
    char line[ABL_H1_CHUNK_PREFIX_MAX];
    abl_h1_chunk_t chunk;
    size_t used, data_len;
    const char *data;

    memcpy(&size, bytes, len < sizeof(size) ? len : sizeof(size));
    size = size > 0 ? size : 1;
    size_t line_len = abl_h1_chunk_prefix(size, line);
    abl_h1_chunk_init(&chunk);
    abl_wire_rc_t rc = abl_h1_chunk_decode(&chunk, line, line_len, &used, &data, &data_len);
    if (size > ABL_H1_CHUNK_SIZE_MAX) {
        CHECK(rc == ABL_WIRE_BAD);
    } else {
        CHECK(rc == ABL_WIRE_MORE && used == line_len && data_len == 0 && chunk.left == size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    fuzz_t fuzz = {in, len};
    uint8_t flags = fuzz_byte(&fuzz);
    fuzz_cuts_t cuts = fuzz_take_cuts(&fuzz);
    char *bytes = fuzz_copy(fuzz.in, fuzz.len);

    if (flags & 1) {
        check_round_trip(bytes, fuzz.len, cuts, flags);
        check_prefix(bytes, fuzz.len);
    } else {
        check_decode(bytes, fuzz.len, cuts);
    }
    free(bytes);
    return 0;
}
