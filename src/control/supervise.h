/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking after the instances of one application: what the state machines want is done here, and what happens
 * to the processes is told to them. All of it in the control process's one thread; nothing in here waits, but
 * for a new process to be its program (spawn.h: half a second).
 */
#ifndef ABL_CONTROL_SUPERVISE_H
#define ABL_CONTROL_SUPERVISE_H

#include "control/supervised.h"

/* Takes over what a killed predecessor has left running. */
void abl_supervise_take_over(abl_supervised_t *app);

/* Does what is due. Returns when it wants to be called again at the latest. */
int64_t abl_supervise_work(abl_supervised_t *app, int64_t now);

/* The process with this pid has ended, `status` as waitpid() says. True: it was one of this application's. */
bool abl_supervise_exit(abl_supervised_t *app, pid_t pid, int status);

/* This slot's instance, which a predecessor had started, has ended. */
void abl_supervise_pidfd(abl_supervised_t *app, int slot);

/* Does what somebody has asked for on the board: wants_roll, wants_restart. */
void abl_supervise_wishes(abl_supervised_t *app);

/* Everything new is made like the configuration of now; what runs is replaced, one by one. */
void abl_supervise_roll(abl_supervised_t *app, const char *why);

/* From now on only the first `n` slots are used: who is in another one leaves it. */
void abl_supervise_use(abl_supervised_t *app, int n);

/* httpd ends: all its instances do, within `patience` µs. */
void abl_supervise_stop(abl_supervised_t *app, int64_t patience);

/* What it is looked at for has changed: all its instances are due. */
void abl_supervise_look(abl_supervised_t *app);

/* Is any process left? */
bool abl_supervise_is_alive(const abl_supervised_t *app);

/* Nothing of it is needed any more: closes and frees what is held. */
void abl_supervise_end(abl_supervised_t *app);

#endif
