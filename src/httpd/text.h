/* SPDX-License-Identifier: Apache-2.0
 *
 * A text that grows, in a pool, for JSON that is not sent at once.
 */
#ifndef ABL_HTTPD_TEXT_H
#define ABL_HTTPD_TEXT_H

#include "base/json.h"

#include "apr_pools.h"

/* All zero but for the pool: empty. Memory is used again after a clear. */
typedef struct abl_text_t {
    apr_pool_t *pool;
    char *bytes;
    size_t len, room;
} abl_text_t;

void abl_text_add(abl_text_t *text, const char *bytes, size_t len);

static inline void abl_text_clear(abl_text_t *text)
{
    text->len = 0;
}

/* JSON that is written behind it. */
abl_json_t abl_text_json(abl_text_t *text);

#endif
