/* SPDX-License-Identifier: Apache-2.0
 *
 * Written JSON: commas, escapes, bytes that are no text. That what comes out is JSON for others is seen by
 * the tests with a server, which read it with a real parser.
 */
#include <stdio.h>

#include "base/json.h"
#include "unit.h"

typedef struct sink_t {
    char text[1024];
    size_t len;
} sink_t;

static void write_sink(void *to, const char *bytes, size_t len)
{
    sink_t *sink = to;

    ck_assert_uint_lt(sink->len + len, sizeof(sink->text));
    memcpy(sink->text + sink->len, bytes, len);
    sink->len += len;
    sink->text[sink->len] = '\0';
}

#define JSON(name)                                                                                           \
    sink_t sink = {.len = 0};                                                                                \
    abl_json_t name = {.write = write_sink, .to = &sink}

START_TEST(nesting_and_commas)
{
    JSON(json);

    abl_json_open(&json, '{');
    abl_json_key(&json, "a");
    abl_json_open(&json, '[');
    abl_json_close(&json, ']');
    abl_json_key(&json, "b");
    abl_json_open(&json, '[');
    abl_json_number(&json, -1);
    abl_json_open(&json, '{');
    abl_json_close(&json, '}');
    abl_json_bool(&json, true);
    abl_json_bool(&json, false);
    abl_json_null(&json);
    abl_json_close(&json, ']');
    abl_json_key(&json, "c");
    abl_json_text(&json, NULL);
    abl_json_close(&json, '}');
    ck_assert_str_eq(sink.text, "{\"a\":[],\"b\":[-1,{},true,false,null],\"c\":null}");
}
END_TEST

static const char *written(const char *text)
{
    static sink_t sink;
    abl_json_t json = {.write = write_sink, .to = &sink};
    char *copy = unit_copy(text, strlen(text) + 1);

    sink.len = 0;
    abl_json_text(&json, copy);
    free(copy);
    return sink.text;
}

START_TEST(hostile_text)
{
    ck_assert_str_eq(written(""), "\"\"");
    ck_assert_str_eq(written("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    ck_assert_str_eq(written("\x01\n\t\x7f"), "\"\\u0001\\u000a\\u0009\\u007f\"");
    ck_assert_str_eq(written("</script>&"), "\"\\u003c/script\\u003e\\u0026\"");
}
END_TEST

START_TEST(only_utf8_goes_through)
{
    static const char *const good[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xab", "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80", "\xc0", "\xff", "\xc3", "\xe2", "\xf0"};
    char expected[16];

    for (size_t i = 0; i < COUNT(good); i++) {
        snprintf(expected, sizeof(expected), "\"%s\"", good[i]);
        ck_assert_str_eq(written(good[i]), expected);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_str_eq(written(bad[i]), "\"\xef\xbf\xbd\"");
    }
    /* too long a form, a surrogate, beyond the last character, cut short: each byte counts for itself */
    ck_assert_str_eq(written("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    ck_assert_str_eq(written("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    ck_assert_str_eq(written("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    ck_assert_str_eq(written("\xe2\x82x"), "\"\xef\xbf\xbd\xef\xbf\xbdx\"");
}
END_TEST

START_TEST(numbers)
{
    JSON(json);

    abl_json_open(&json, '[');
    abl_json_hundredths(&json, 100);
    abl_json_hundredths(&json, 150);
    abl_json_hundredths(&json, 5);
    abl_json_millis(&json, 1234567);
    abl_json_millis(&json, 10000);
    abl_json_millis(&json, -5);
    abl_json_number(&json, INT64_MIN);
    abl_json_close(&json, ']');
    ck_assert_str_eq(sink.text, "[1,1.5,0.05,1234.567,10,0,-9223372036854775808]");
}
END_TEST

UNIT_MAIN("json", nesting_and_commas, hostile_text, only_utf8_goes_through, numbers)
