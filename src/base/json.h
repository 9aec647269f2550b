/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON (RFC 8259) piece by piece: commas and quotes are taken care of, what stands where is the
 * caller's.
 *
 *     abl_json_open(&json, '{');
 *     abl_json_key(&json, "name");  abl_json_text(&json, "a \"b\"");
 *     abl_json_close(&json, '}');                                    {"name":"a \"b\""}
 */
#ifndef ABL_BASE_JSON_H
#define ABL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct abl_json_t {
    void (*write)(void *to, const char *bytes, size_t len);
    void *to;
    bool comma; /* something stands before in the same object or array */
} abl_json_t;

/* '{' or '[', and '}' or ']'. */
void abl_json_open(abl_json_t *json, char bracket);
void abl_json_close(abl_json_t *json, char bracket);

void abl_json_key(abl_json_t *json, const char *name);

/* Bytes that are not UTF-8 come out as U+FFFD, '<' and '>' escaped, so that the text may stand in HTML. NULL
 * is null. */
void abl_json_text(abl_json_t *json, const char *text);

void abl_json_number(abl_json_t *json, int64_t number);

/* Hundredths as 1.5 or 2. */
void abl_json_hundredths(abl_json_t *json, uint32_t hundredths);

/* Microseconds as milliseconds, 1.234. */
void abl_json_millis(abl_json_t *json, int64_t micros);

/* Microseconds as seconds, 1.234. */
void abl_json_seconds(abl_json_t *json, int64_t micros);

void abl_json_bool(abl_json_t *json, bool value);
void abl_json_null(abl_json_t *json);

/* A value that was written somewhere else. */
void abl_json_raw(abl_json_t *json, const char *bytes, size_t len);

/* A key and its value. */
void abl_json_put_text(abl_json_t *json, const char *name, const char *text);
void abl_json_put_number(abl_json_t *json, const char *name, uint64_t number);
void abl_json_put_bool(abl_json_t *json, const char *name, bool value);
void abl_json_put_millis(abl_json_t *json, const char *name, int64_t micros);
void abl_json_put_null(abl_json_t *json, const char *name);

/* A key, and its object or array opened. */
void abl_json_begin(abl_json_t *json, const char *name, char bracket);

#endif
