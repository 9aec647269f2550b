/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that grow.
 */
#include "httpd/text.h"

#include <string.h>

void abl_text_add(abl_text_t *text, const char *bytes, size_t len)
{
    if (text->len + len > text->room) {
        size_t room = 2 * (text->len + len) + 1024;
        char *more = apr_palloc(text->pool, room);
        if (text->len > 0) {
            memcpy(more, text->bytes, text->len);
        }
        text->bytes = more;
        text->room = room;
    }
    if (len > 0) {
        memcpy(text->bytes + text->len, bytes, len);
        text->len += len;
    }
}

static void write_into(void *to, const char *bytes, size_t len)
{
    abl_text_add(to, bytes, len);
}

abl_json_t abl_text_json(abl_text_t *text)
{
    return (abl_json_t){.write = write_into, .to = text};
}
