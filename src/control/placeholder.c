/* SPDX-License-Identifier: Apache-2.0
 *
 * Placeholders.
 */
#include "control/placeholder.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#define PORT "%{port}"
#define SOCKET "%{socket}"

static abl_placeholder_t found(abl_placeholder_kind_t kind, const char *at, size_t len)
{
    return (abl_placeholder_t){kind, at, len};
}

abl_placeholder_t abl_placeholder_find(const char *text)
{
    const char *at;

    for (at = strchr(text, '%'); at != NULL; at = strchr(at + 1, '%')) {
        if (at[1] == '%') {
            return found(ABL_PLACEHOLDER_SIGN, at, 2);
        }
        if (strncmp(at, PORT, sizeof(PORT) - 1) == 0) {
            return found(ABL_PLACEHOLDER_PORT, at, sizeof(PORT) - 1);
        }
        if (strncmp(at, SOCKET, sizeof(SOCKET) - 1) == 0) {
            return found(ABL_PLACEHOLDER_SOCKET, at, sizeof(SOCKET) - 1);
        }
        if (at[1] == '{') {
            size_t len = 1 + strcspn(at + 1, "%} ");
            return found(ABL_PLACEHOLDER_UNKNOWN, at, len + (at[len] == '}'));
        }
    }
    return found(ABL_PLACEHOLDER_NONE, NULL, 0);
}

/* What stands in its place. */
static const char *value_of(apr_pool_t *pool, const abl_app_conf_t *app, int slot, abl_placeholder_t it)
{
    const char *socket = abl_app_socket(app, slot);

    if (it.kind == ABL_PLACEHOLDER_SIGN) {
        return "%";
    }
    if (it.kind == ABL_PLACEHOLDER_PORT && socket == NULL) {
        return apr_itoa(pool, app->ports[slot]);
    }
    if (it.kind == ABL_PLACEHOLDER_SOCKET && socket != NULL) {
        return socket;
    }
    return apr_pstrmemdup(pool, it.at, it.len);
}

char *abl_placeholder_fill(apr_pool_t *pool, const abl_app_conf_t *app, int slot, const char *text)
{
    apr_array_header_t *parts = apr_array_make(pool, 8, sizeof(const char *));
    abl_placeholder_t it;

    for (it = abl_placeholder_find(text); it.at != NULL; it = abl_placeholder_find(text)) {
        APR_ARRAY_PUSH(parts, const char *) = apr_pstrmemdup(pool, text, (apr_size_t)(it.at - text));
        APR_ARRAY_PUSH(parts, const char *) = value_of(pool, app, slot, it);
        text = it.at + it.len;
    }
    APR_ARRAY_PUSH(parts, const char *) = text;
    return apr_array_pstrcat(pool, parts, '\0');
}
