/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking for a program.
 */
#include "control/program.h"

#include "control/placeholder.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PATH as the instance will have it: the last one that is set counts. */
static const char *path_of(apr_pool_t *pool, const abl_app_conf_t *app, int slot)
{
    const char *const *setting;
    const char *path = NULL;

    for (setting = app->env; setting != NULL && *setting != NULL; setting++) {
        path = strncmp(*setting, "PATH=", 5) == 0 ? *setting + 5 : path;
    }
    return path != NULL ? abl_placeholder_fill(pool, app, slot, path) : ABL_PROGRAM_PATH;
}

/* An empty part of the PATH is the folder where the process is. */
static void add_places(apr_array_header_t *places, const char *path, const char *name)
{
    for (;;) {
        size_t len = strcspn(path, ":");
        const char *folder = len > 0 ? apr_pstrmemdup(places->pool, path, len) : ".";
        APR_ARRAY_PUSH(places, const char *) = apr_pstrcat(places->pool, folder, "/", name, NULL);
        if (path[len] == '\0') {
            return;
        }
        path += len + 1;
    }
}

abl_program_t abl_program_of(apr_pool_t *pool, const abl_app_conf_t *app, int slot)
{
    apr_array_header_t *places = apr_array_make(pool, 8, sizeof(const char *));
    abl_program_t program = {.name = abl_placeholder_fill(pool, app, slot, app->argv[0])};

    if (strchr(program.name, '/') != NULL || *program.name == '\0') {
        APR_ARRAY_PUSH(places, const char *) = program.name;
    } else {
        program.path = path_of(pool, app, slot);
        add_places(places, program.path, program.name);
    }
    APR_ARRAY_PUSH(places, const char *) = NULL;
    program.places = (const char *const *)places->elts;
    return program;
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool abl_program_is_there(apr_pool_t *pool, const abl_app_conf_t *app, const abl_program_t *program)
{
    const char *const *place = program->places;

    while (*place != NULL &&
           !is_program(**place == '/' ? *place : apr_pstrcat(pool, app->dir, "/", *place, NULL))) {
        place++;
    }
    return *place != NULL;
}
