/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace ids.
 */
#include "httpd/trace.h"

#include "apr_escape.h"
#include "apr_general.h"
#include "apr_strings.h"

#define TRACE_ID 16 /* bytes; in the field they are written in hexadecimal */
#define PARENT_ID 8
#define FIELD_LEN (2 + 1 + 2 * TRACE_ID + 1 + 2 * PARENT_ID + 1 + 2)

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") >= len;
}

/* Later versions may say more behind what is known of version 00. */
static bool has_end(const char *field)
{
    size_t len = strlen(field);

    return len == FIELD_LEN || (len > FIELD_LEN && field[FIELD_LEN] == '-' && strncmp(field, "00", 2) != 0);
}

/* version-trace-parent-flags, with ids that are not nothing. */
static bool is_valid(const char *field)
{
    return strlen(field) >= FIELD_LEN && has_end(field) && is_hex(field, 2) && strncmp(field, "ff", 2) != 0 &&
           field[2] == '-' && is_hex(field + 3, 32) && field[35] == '-' && is_hex(field + 36, 16) &&
           field[52] == '-' && is_hex(field + 53, 2) && strspn(field + 3, "0") < 32 &&
           strspn(field + 36, "0") < 16;
}

void abl_trace_begin(request_rec *r)
{
    const char *field = apr_table_get(r->headers_in, "traceparent");
    unsigned char ids[TRACE_ID + PARENT_ID];

    if (abl_dir_conf(r)->trace != 1 || (field != NULL && is_valid(field)) ||
        apr_generate_random_bytes(ids, sizeof(ids)) != APR_SUCCESS) {
        return;
    }
    ids[0] |= 1; /* neither is nothing */
    ids[TRACE_ID] |= 1;
    apr_table_setn(r->headers_in, "traceparent",
                   apr_pstrcat(r->pool, "00-", apr_pescape_hex(r->pool, ids, TRACE_ID, 0), "-",
                               apr_pescape_hex(r->pool, ids + TRACE_ID, PARENT_ID, 0), "-01", NULL));
    apr_table_unset(r->headers_in, "tracestate"); /* of a trace that nobody knows */
}
