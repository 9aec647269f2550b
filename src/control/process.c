/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and ending an instance's process.
 */
#include "control/process.h"

#include "base/clock.h"
#include "control/failure.h"
#include "control/pipe.h"
#include "control/place.h"
#include "control/proc.h"
#include "control/relay.h"
#include "control/say.h"
#include "control/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK_MAX 256

/* With the row's number: an application whose addresses have changed is there twice, until the instances of
 * the former one have ended, and what is killed then are theirs. */
static const char *mark_of(const abl_supervised_t *app, int slot, char mark[MARK_MAX])
{
    (void)snprintf(mark, MARK_MAX, "%s%d/%s/%s/%d", abl_board_mark(app->board), app->index,
                   app->row->balancer, app->row->name, slot);
    return mark;
}

/* ---- the beginning ---------------------------------------------------------------------------------- */

bool abl_process_may_start(abl_supervised_t *app, int slot)
{
    if (app->conf->place == ABL_PLACE_FD || abl_place_is_free(app->conf, slot)) {
        return true; /* or it is found out when the socket is made */
    }
    abl_failure_block(app, slot, errno);
    return false;
}

static bool not_started(abl_supervised_t *app, int slot, const char *why, int error)
{
    abl_failure_note(app, slot, why);
    abl_board_slot_of(app, slot)->pid = 0;
    abl_say(ABL_SAY_ERROR, error, "ABL0032: balancer %s: application %s: an instance cannot be started: %s",
            app->row->balancer, app->row->name, why);
    return false;
}

typedef struct slot_ref_t {
    abl_supervised_t *app;
    int slot;
} slot_ref_t;

/* There is a process: from now on others could end it. */
static void note_pid(void *ctx, pid_t pid)
{
    const slot_ref_t *ref = ctx;
    abl_board_slot_t *s = abl_board_slot_of(ref->app, ref->slot);

    s->began = abl_proc_began(pid);
    s->pid = pid;
    abl_record_add(ref->app->record, pid, s->began);
}

/* It is the program. */
static void note_started(abl_supervised_t *app, int slot, int output)
{
    abl_board_slot_t *s = abl_board_slot_of(app, slot);

    s->starts++;
    s->served = 0;
    s->too_small = false;
    s->spawned_at = abl_clock_now();
    abl_recycle_begin(&s->recycle, &app->conf->recycle, (uint32_t)random(), app->row->start_took);
    app->row->starts++;
    app->held[slot].ours = true;
    app->held[slot].look_at = 0;
    abl_relay_begin(app, slot, output);
}

/* `spawn` but for its output. -1: `why` and *rv tell. */
static pid_t spawn_with_output(abl_spawn_t *spawn, int *output, char why[ABL_SPAWN_WHY_MAX], apr_status_t *rv)
{
    int fds[2];
    pid_t pid;
    int error = abl_pipe_make(fds);

    if (error != 0) {
        *rv = error;
        (void)snprintf(why, ABL_SPAWN_WHY_MAX, "there is no pipe for its output");
        return -1;
    }
    spawn->output = fds[1];
    pid = abl_spawn(spawn, why, rv);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
    }
    *output = fds[0];
    return pid;
}

bool abl_process_start(abl_supervised_t *app, int slot)
{
    char why[ABL_SPAWN_WHY_MAX] = "";
    char mark[MARK_MAX];
    slot_ref_t ref = {app, slot};
    abl_spawn_t spawn = {.app = app->conf,
                         .slot = slot,
                         .mark = mark_of(app, slot, mark),
                         .listener = -1,
                         .begun = note_pid,
                         .ctx = &ref};
    apr_status_t rv = APR_SUCCESS;
    int output = -1;
    pid_t pid;

    abl_board_slot_of(app, slot)->pid = 0;
    if (app->conf->place == ABL_PLACE_FD) {
        spawn.listener = abl_place_listen(app->conf, slot);
        if (spawn.listener < 0) {
            return not_started(app, slot, "its address cannot be listened at", errno);
        }
    }
    pid = spawn_with_output(&spawn, &output, why, &rv);
    if (spawn.listener >= 0) {
        close(spawn.listener);
    }
    if (pid < 0) {
        return not_started(app, slot, why, rv);
    }
    note_started(app, slot, output);
    return true;
}

bool abl_process_adopt(abl_supervised_t *app, int slot)
{
    const abl_board_slot_t *s = abl_board_slot_of(app, slot);
    int fd = s->pid != 0 ? (int)syscall(SYS_pidfd_open, s->pid, 0) : -1;
    int output;

    if (fd < 0 || abl_proc_began(s->pid) != s->began) { /* in this order: now the number is held */
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    abl_record_add(app->record, s->pid, s->began); /* the predecessor may have been killed before it could */
    app->held[slot].pidfd_plus_one = fd + 1;
    app->watch->pidfd(app->watch->ctx, fd, app->index, slot);
    output = abl_pipe_reopen(s->pid);
    if (output >= 0) {
        abl_relay_begin(app, slot, output);
    }
    return true;
}

/* ---- the end ---------------------------------------------------------------------------------------- */

void abl_process_signal(const abl_supervised_t *app, int slot, int signal, bool group)
{
    const abl_board_slot_t *s = abl_board_slot_of(app, slot);

    if (s->pid > 1 && (app->held[slot].ours || abl_proc_began(s->pid) == s->began)) {
        (void)(group ? abl_proc_signal_group(s->pid, signal) : kill(s->pid, signal));
    }
}

/* When nobody has looked for a while, a process of this number may be somebody else, with a group of his own.
 */
void abl_process_sweep(abl_supervised_t *app, int slot)
{
    const abl_board_slot_t *s = abl_board_slot_of(app, slot);
    uint64_t began = abl_proc_began(s->pid);
    char mark[MARK_MAX];

    if (s->pid > 1 && (began == 0 || began == s->began)) {
        (void)abl_proc_signal_group(s->pid, SIGKILL);
    }
    (void)abl_proc_signal_marked(mark_of(app, slot, mark), false, SIGKILL);
}

void abl_process_forget(abl_supervised_t *app, int slot)
{
    abl_held_t *held = &app->held[slot];

    abl_probe_end(&held->probe);
    if (held->pidfd_plus_one != 0) {
        close(held->pidfd_plus_one - 1);
        held->pidfd_plus_one = 0;
    }
    held->ours = false;
    held->suspected_at = 0;
    abl_board_slot_of(app, slot)->pid = 0;
    abl_board_slot_of(app, slot)->recycle = (abl_recycle_t){0};
}
