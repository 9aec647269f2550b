/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong with an application's instances: noted for the status, counted against failures=, and said.
 */
#ifndef ABL_CONTROL_FAILURE_H
#define ABL_CONTROL_FAILURE_H

#include "control/supervised.h"

/* The instance in this slot has failed: this, with what it said last, is what the status shows from now on.
 */
void abl_failure_note(abl_supervised_t *app, int slot, const char *why);

/* It counts: the next start waits longer, a rolling restart stops, and with failures= of them the application
 * has failed. `ready_at`: when the instance had become ready (abl_clock_now()), 0: it had not. One that had
 * worked for a while does not count. */
void abl_failure_count(abl_supervised_t *app, int64_t ready_at);

/* Nothing can be started at this slot's address for a while, because of `error`: EADDRINUSE, somebody else
 * listens there; or why there can be no socket. */
void abl_failure_block(abl_supervised_t *app, int slot, int error);

#endif
