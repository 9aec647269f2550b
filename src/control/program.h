/* SPDX-License-Identifier: Apache-2.0
 *
 * Which file an application's command means: as a shell looks for it, along the PATH of the application.
 * configtest and the process that executes it must agree on that.
 */
#ifndef ABL_CONTROL_PROGRAM_H
#define ABL_CONTROL_PROGRAM_H

#include "control/app.h"

#include <apr_pools.h>
#include <stdbool.h>

/* The PATH of an application that has no env:PATH=. */
#define ABL_PROGRAM_PATH "/usr/local/bin:/usr/bin:/bin"

typedef struct abl_program_t {
    const char *name; /* the command's first word, filled in for its slot */
    const char *path; /* the PATH along which it is looked for; NULL: its name has a '/', it is not */
    const char *const *places; /* where it may be, in this order; relative ones are below the application's
                                  folder (dir=); ends with NULL */
} abl_program_t;

/* The program of the instance in this slot. Looks at nothing on the disk. Allocated from `pool`. */
abl_program_t abl_program_of(apr_pool_t *pool, const abl_app_conf_t *app, int slot);

/* Is there, at one of its places, a file that this process's user may execute? `pool`: for a moment's use.
 * Any process; while an application is not of the same user, it may be there for one and not for the other.
 */
bool abl_program_is_there(apr_pool_t *pool, const abl_app_conf_t *app, const abl_program_t *program);

#endif
