/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instance says: from the pipe that it writes to, line by line, to log= or to the error log. Nothing
 * in here waits: who writes without end loses lines, and holds nobody up.
 */
#ifndef ABL_CONTROL_RELAY_H
#define ABL_CONTROL_RELAY_H

#include "control/supervised.h"

/* From now on what comes at `fd`, which does not block and is this file's from here, is read. */
void abl_relay_begin(abl_supervised_t *app, int slot, int fd);

/* Reads some of what is there; call it when there is something. */
void abl_relay_read(abl_supervised_t *app, int slot);

/* Reads the last words, if there are any, and closes. */
void abl_relay_end(abl_supervised_t *app, int slot);

#endif
