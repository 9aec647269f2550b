/* SPDX-License-Identifier: Apache-2.0
 *
 * The process of an instance: made, taken over from a predecessor, signalled, and swept away with all it has
 * begun.
 */
#ifndef ABL_CONTROL_PROCESS_H
#define ABL_CONTROL_PROCESS_H

#include "control/supervised.h"

/* May an instance be started at this slot's address? False: somebody or something else is there, which has
 * been said, and the slot is blocked for a while. */
bool abl_process_may_start(abl_supervised_t *app, int slot);

/* Makes one in this slot, like the configuration of now, and waits until it is the program (spawn.h). False:
 * it could not be made, which has been said. */
bool abl_process_start(abl_supervised_t *app, int slot);

/* Takes over the running one that the board tells of. False: it is not there any more. */
bool abl_process_adopt(abl_supervised_t *app, int slot);

/* Sends a signal, to its whole group and what has come of it if `group`. Not to somebody else who has its pid
 * by now. */
void abl_process_signal(const abl_supervised_t *app, int slot, int signal, bool group);

/* It has ended: kills what it has left of its group and of its mark. */
void abl_process_sweep(abl_supervised_t *app, int slot);

/* Nothing of it is held any more, and its slot is free. */
void abl_process_forget(abl_supervised_t *app, int slot);

#endif
