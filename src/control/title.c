/* SPDX-License-Identifier: Apache-2.0
 *
 * The process's title: written over its arguments, which is where ps looks.
 */
#include "control/title.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Where the arguments lie that ps shows: fields 48 and 49 of proc(5)'s stat. */
static bool find_arguments(char **begin, size_t *room)
{
    char stat[2048];
    const char *at;
    unsigned long first, last;
    char *end;
    FILE *file = fopen("/proc/self/stat", "r");
    size_t n = file != NULL ? fread(stat, 1, sizeof(stat) - 1, file) : 0;
    int field;

    if (file != NULL) {
        fclose(file);
    }
    stat[n] = '\0';
    at = strrchr(stat, ')'); /* the end of field 2 */
    for (field = 2; at != NULL && field < 48; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return false;
    }
    first = strtoul(at, &end, 10);
    last = strtoul(end, NULL, 10);
    if (first == 0 || last <= first) {
        return false;
    }
    *begin = (char *)(uintptr_t)first;
    *room = last - first;
    return true;
}

void abl_title_set(const char *title, const char *name)
{
    char *begin;
    size_t room, len = strlen(title);

    if (find_arguments(&begin, &room) && room > len) {
        memset(begin, 0, room);
        memcpy(begin, title, len);
    }
    (void)prctl(PR_SET_NAME, name);
}
