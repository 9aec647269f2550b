/* SPDX-License-Identifier: Apache-2.0
 *
 * What the control process tells the administrator. Where it goes, the top layer says.
 */
#ifndef ABL_CONTROL_SAY_H
#define ABL_CONTROL_SAY_H

typedef enum abl_say_t {
    ABL_SAY_ERROR,
    ABL_SAY_WARNING,
    ABL_SAY_NOTICE,
    ABL_SAY_INFO,
    ABL_SAY_OUTPUT /* a line of an instance's */
} abl_say_t;

#define ABL_SAY_MAX 4096 /* bytes of a message; what is longer is cut */

typedef void abl_say_fn_t(abl_say_t level, int error, const char *text);

/* Once, before anything is said. */
void abl_say_to(abl_say_fn_t *to);

/* One line, that begins with an id. `error`: an errno, or 0. */
void abl_say(abl_say_t level, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
