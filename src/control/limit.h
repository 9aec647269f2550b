/* SPDX-License-Identifier: Apache-2.0
 *
 * The limits that an application may have, and what limit:NAME= calls them.
 */
#ifndef ABL_CONTROL_LIMIT_H
#define ABL_CONTROL_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct abl_limit_t {
    const char *name;
    int resource; /* RLIMIT_… */
    bool is_size; /* in bytes; else a number */
} abl_limit_t;

/* The i-th of them, from 0 on; NULL: there are no more. */
const abl_limit_t *abl_limit_at(size_t i);

/* The one of this name; NULL: there is none. */
const abl_limit_t *abl_limit_named(const char *name);

/* What the limit of this resource (RLIMIT_…) is called; "?": it has no name here. */
const char *abl_limit_name(int resource);

#endif
