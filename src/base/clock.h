/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock that deadlines are measured with: it never jumps when somebody sets the date.
 */
#ifndef ABL_BASE_CLOCK_H
#define ABL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define ABL_MS INT64_C(1000)
#define ABL_SECOND INT64_C(1000000)

/* Microseconds since some moment in the past, the same one for all processes of this boot. Any thread. */
static inline int64_t abl_clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * ABL_SECOND + ts.tv_nsec / 1000;
}

#endif
