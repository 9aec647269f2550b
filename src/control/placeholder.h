/* SPDX-License-Identifier: Apache-2.0
 *
 * %{port} and %{socket} in an application's command and environment: where they are, and what stands there in
 * the end.
 */
#ifndef ABL_CONTROL_PLACEHOLDER_H
#define ABL_CONTROL_PLACEHOLDER_H

#include "control/app.h"

#include <apr_pools.h>

typedef enum abl_placeholder_kind_t {
    ABL_PLACEHOLDER_NONE,   /* there is no more */
    ABL_PLACEHOLDER_PORT,   /* %{port} */
    ABL_PLACEHOLDER_SOCKET, /* %{socket} */
    ABL_PLACEHOLDER_SIGN,   /* %%, which becomes one % */
    ABL_PLACEHOLDER_UNKNOWN /* %{anything else}; or %{ up to a space, a % or the end, if there is no } before
                             */
} abl_placeholder_kind_t;

typedef struct abl_placeholder_t {
    abl_placeholder_kind_t kind;
    const char *at; /* in the text, where it begins; NULL: ABL_PLACEHOLDER_NONE */
    size_t len;     /* bytes; the next one is looked for after these */
} abl_placeholder_t;

/* The first one in `text`. A % before any other letter stands for itself, and is none. Any thread. */
abl_placeholder_t abl_placeholder_find(const char *text);

/* `text`, one word of the command or one setting of the environment, as it is for the instance in this slot.
 * Only what fits is filled in: where there is a port %{socket} stays, where there is a socket %{port} does,
 * as does what is unknown. Allocated from `pool`. */
char *abl_placeholder_fill(apr_pool_t *pool, const abl_app_conf_t *app, int slot, const char *text);

#endif
