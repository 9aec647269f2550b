/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages.
 */
#include "control/say.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static abl_say_fn_t *sink;

void abl_say_to(abl_say_fn_t *to)
{
    sink = to;
}

void abl_say(abl_say_t level, int error, const char *format, ...)
{
    char text[ABL_SAY_MAX];
    va_list args;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above has begun it */
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (sink != NULL) {
        sink(level, error, text);
    }
}
