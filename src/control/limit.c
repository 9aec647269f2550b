/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of limits.
 */
#include "control/limit.h"

#include "control/app.h"

#include <string.h>
#include <sys/resource.h>

static const abl_limit_t limits[] = {
    {"nofile", RLIMIT_NOFILE, false}, {"core", RLIMIT_CORE, true},    {"as", RLIMIT_AS, true},
    {"data", RLIMIT_DATA, true},      {"stack", RLIMIT_STACK, true},  {"fsize", RLIMIT_FSIZE, true},
    {"cpu", RLIMIT_CPU, false},       {"nproc", RLIMIT_NPROC, false}, {"memlock", RLIMIT_MEMLOCK, true}};

#define COUNT (sizeof(limits) / sizeof(limits[0]))

_Static_assert(COUNT <= ABL_APP_LIMITS_MAX, "an application may have each of them, once");

const abl_limit_t *abl_limit_at(size_t i)
{
    return i < COUNT ? &limits[i] : NULL;
}

const abl_limit_t *abl_limit_named(const char *name)
{
    size_t i = 0;

    while (i < COUNT && strcmp(limits[i].name, name) != 0) {
        i++;
    }
    return abl_limit_at(i);
}

const char *abl_limit_name(int resource)
{
    size_t i = 0;

    while (i < COUNT && limits[i].resource != resource) {
        i++;
    }
    return i < COUNT ? limits[i].name : "?";
}
