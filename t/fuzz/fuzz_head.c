/* SPDX-License-Identifier: Apache-2.0
 *
 * Response heads and trailer sections: whole and in pieces there must be one verdict, and what a parser hands
 * out must lie in the head and look like what it is called.
 *
 * Input: one byte of flags, the sizes of the pieces, the head.
 */
#include "fuzz.h"
#include "wire/h1_body.h"
#include "wire/h1_fields.h"
#include "wire/h1_head.h"

static abl_h1_head_t whole, pieces;

static void init(abl_h1_head_t *head, bool trailers)
{
    (trailers ? abl_h1_head_init_trailers : abl_h1_head_init)(head);
}

static abl_wire_rc_t parse_pieces(const char *bytes, size_t len, bool trailers, fuzz_cuts_t *cuts)
{
    abl_wire_rc_t rc = ABL_WIRE_MORE;

    init(&pieces, trailers);
    for (size_t at = 0; at < len && rc == ABL_WIRE_MORE;) {
        at = fuzz_next_end(cuts, at, len);
        char *copy = fuzz_copy(bytes, at);
        rc = abl_h1_head_parse(&pieces, copy, at);
        free(copy);
    }
    return rc;
}

static void check_same(void)
{
    CHECK(whole.status == pieces.status && whole.minor == pieces.minor);
    CHECK(whole.reason == pieces.reason && whole.reason_len == pieces.reason_len);
    CHECK(whole.length == pieces.length && whole.nfields == pieces.nfields);
    CHECK(memcmp(whole.fields, pieces.fields, (size_t)whole.nfields * sizeof(whole.fields[0])) == 0);
}

static void check_field(const abl_h1_field_t *field, const char *bytes)
{
    const char *name = bytes + field->name;
    const char *value = bytes + field->value;

    CHECK(field->name_len > 0 && (size_t)field->name + field->name_len < field->value);
    CHECK((size_t)field->value + field->value_len + 4 <= whole.length);
    CHECK(!memchr(name, ':', field->name_len) && !memchr(name, ' ', field->name_len));
    CHECK(abl_h1_value_ok(name, field->name_len) && abl_h1_value_ok(value, field->value_len));
    if (field->value_len > 0) {
        CHECK(!strchr(" \t", value[0]) && !strchr(" \t", value[field->value_len - 1]));
    }
    CHECK(!abl_h1_field_is_forwarded(name, field->name_len) ||
          abl_h1_field_is_protected(name, field->name_len));
    abl_h1_field_is_hop(name, field->name_len);
    abl_h1_list_has(value, field->value_len, "close");
}

static void check_done(const char *bytes, size_t len, bool trailers)
{
    CHECK(whole.length >= 2 && whole.length <= len && whole.length <= ABL_H1_HEAD_MAX);
    CHECK(memcmp(bytes + whole.length - 2, "\r\n", 2) == 0);
    CHECK(whole.nfields >= 0 && whole.nfields <= ABL_H1_FIELDS_MAX);
    CHECK(trailers ? whole.status == 0 : whole.status >= 100 && whole.status <= 599);
    CHECK((size_t)whole.reason + whole.reason_len <= whole.length);
    CHECK(abl_h1_value_ok(bytes + whole.reason, whole.reason_len));
    for (int i = 0; i < whole.nfields; i++) {
        check_field(&whole.fields[i], bytes);
    }
}

static void check_body(const char *bytes, bool to_head)
{
    abl_h1_body_t body;

    if (abl_h1_body_decide(&whole, bytes, to_head, &body) == ABL_WIRE_BAD) {
        CHECK(body.why && !body.keep);
        return;
    }
    CHECK(!body.why);
    CHECK((body.kind == ABL_H1_BODY_LENGTH) == (body.length > 0));
    CHECK(body.kind != ABL_H1_BODY_CLOSE || !body.keep);
    CHECK(body.kind != ABL_H1_BODY_CHUNKED || whole.minor == 1);
    CHECK(!to_head || body.kind == ABL_H1_BODY_NONE);
    CHECK(whole.status != 101 || !body.keep);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    fuzz_t fuzz = {in, len};
    uint8_t flags = fuzz_byte(&fuzz);
    bool trailers = flags & 1;
    fuzz_cuts_t cuts = fuzz_take_cuts(&fuzz);
    char *bytes = fuzz_copy(fuzz.in, fuzz.len);

    init(&whole, trailers);
    abl_wire_rc_t rc = abl_h1_head_parse(&whole, bytes, fuzz.len);
    CHECK(parse_pieces(bytes, fuzz.len, trailers, &cuts) == rc);
    CHECK((rc == ABL_WIRE_BAD) == (whole.why != NULL) && (rc == ABL_WIRE_BAD) == (pieces.why != NULL));
    CHECK(abl_h1_head_parse(&whole, bytes, fuzz.len) == rc);
    if (rc == ABL_WIRE_DONE) {
        check_same();
        check_done(bytes, fuzz.len, trailers);
        check_body(bytes, flags & 2);
    }
    free(bytes);
    return 0;
}
