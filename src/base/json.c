/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON, written.
 */
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(abl_json_t *json, const char *text)
{
    json->write(json->to, text, strlen(text));
}

/* Before a value or a key. */
static void begin(abl_json_t *json)
{
    if (json->comma) {
        put(json, ",");
    }
    json->comma = true;
}

void abl_json_open(abl_json_t *json, char bracket)
{
    begin(json);
    json->write(json->to, &bracket, 1);
    json->comma = false;
}

void abl_json_close(abl_json_t *json, char bracket)
{
    json->write(json->to, &bracket, 1);
    json->comma = true;
}

/* ---- text ------------------------------------------------------------------------------------------- */

/* Length of the well-formed UTF-8 sequence (RFC 3629 section 4) at `s`; 0: it is not one. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last; /* of the first byte */
        unsigned char low, high;   /* of the second */
        unsigned char length;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                 {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    size_t i, n;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last) {
            continue;
        }
        if (s[1] < forms[i].low || s[1] > forms[i].high) {
            return 0;
        }
        for (n = 2; n < forms[i].length && (s[n] & 0xc0) == 0x80; n++) {
        }
        return n == forms[i].length ? n : 0;
    }
    return 0;
}

static size_t put_character(abl_json_t *json, const unsigned char *s)
{
    char escaped[8];
    size_t n;

    if (*s == '"' || *s == '\\') {
        escaped[0] = '\\';
        escaped[1] = (char)*s;
        json->write(json->to, escaped, 2);
        return 1;
    }
    if (*s < 0x20 || *s == 0x7f || *s == '<' || *s == '>' || *s == '&') {
        snprintf(escaped, sizeof(escaped), "\\u%04x", *s);
        put(json, escaped);
        return 1;
    }
    n = *s < 0x80 ? 1 : utf8_length(s);
    if (n == 0) {
        put(json, "\xef\xbf\xbd");
        return 1;
    }
    json->write(json->to, (const char *)s, n);
    return n;
}

static void put_string(abl_json_t *json, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    put(json, "\"");
    while (*s != '\0') {
        s += put_character(json, s);
    }
    put(json, "\"");
}

void abl_json_key(abl_json_t *json, const char *name)
{
    begin(json);
    put_string(json, name);
    put(json, ":");
    json->comma = false;
}

void abl_json_text(abl_json_t *json, const char *text)
{
    if (text == NULL) {
        abl_json_null(json);
        return;
    }
    begin(json);
    put_string(json, text);
}

/* ---- other values ----------------------------------------------------------------------------------- */

void abl_json_number(abl_json_t *json, int64_t number)
{
    char digits[32];

    begin(json);
    snprintf(digits, sizeof(digits), "%" PRId64, number);
    put(json, digits);
}

static void put_fraction(abl_json_t *json, int64_t number, int64_t unit, int places)
{
    char digits[48];
    char *end;

    begin(json);
    snprintf(digits, sizeof(digits), "%" PRId64 ".%0*" PRId64, number / unit, places, number % unit);
    for (end = digits + strlen(digits); end[-1] == '0'; end--) {
    }
    end[end[-1] == '.' ? -1 : 0] = '\0';
    put(json, digits);
}

void abl_json_hundredths(abl_json_t *json, uint32_t hundredths)
{
    put_fraction(json, hundredths, 100, 2);
}

void abl_json_millis(abl_json_t *json, int64_t micros)
{
    put_fraction(json, micros > 0 ? micros : 0, 1000, 3);
}

void abl_json_seconds(abl_json_t *json, int64_t micros)
{
    put_fraction(json, (micros > 0 ? micros : 0) / 1000, 1000, 3);
}

void abl_json_bool(abl_json_t *json, bool value)
{
    begin(json);
    put(json, value ? "true" : "false");
}

void abl_json_null(abl_json_t *json)
{
    begin(json);
    put(json, "null");
}

void abl_json_raw(abl_json_t *json, const char *bytes, size_t len)
{
    begin(json);
    json->write(json->to, bytes, len);
}

/* ---- pairs ------------------------------------------------------------------------------------------ */

void abl_json_put_text(abl_json_t *json, const char *name, const char *text)
{
    abl_json_key(json, name);
    abl_json_text(json, text);
}

void abl_json_put_number(abl_json_t *json, const char *name, uint64_t number)
{
    abl_json_key(json, name);
    abl_json_number(json, number <= INT64_MAX ? (int64_t)number : INT64_MAX);
}

void abl_json_put_bool(abl_json_t *json, const char *name, bool value)
{
    abl_json_key(json, name);
    abl_json_bool(json, value);
}

void abl_json_put_millis(abl_json_t *json, const char *name, int64_t micros)
{
    abl_json_key(json, name);
    abl_json_millis(json, micros);
}

void abl_json_put_null(abl_json_t *json, const char *name)
{
    abl_json_key(json, name);
    abl_json_null(json);
}

void abl_json_begin(abl_json_t *json, const char *name, char bracket)
{
    abl_json_key(json, name);
    abl_json_open(json, bracket);
}
