/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking after the instances of one application.
 */
#include "control/supervise.h"

#include "base/clock.h"
#include "control/failure.h"
#include "control/look.h"
#include "control/process.h"
#include "control/relay.h"
#include "control/say.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_EVERY ABL_SECOND
#define MEASURE_EVERY (100 * ABL_MS)

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- actions ---------------------------------------------------------------------------------------- */

/* What the state machine wants because of an event. False: a process could not be made. */
static bool act(abl_supervised_t *app, int slot, unsigned actions, int64_t ready_at)
{
    abl_gate_t gate = abl_gate_of(app, slot);

    if (actions & ABL_DO_SHUT) {
        abl_gate_shut(&gate);
    }
    if (actions & ABL_DO_OPEN) {
        app->held[slot].blocked_said = false;
        abl_board_slot_of(app, slot)->blocked = 0;
        app->row->start_took = abl_clock_now() - abl_board_slot_of(app, slot)->spawned_at;
        abl_look_open(app, slot);
    }
    if (actions & ABL_DO_QUIT) {
        abl_process_signal(app, slot, SIGQUIT, false);
    }
    if (actions & ABL_DO_TERM) {
        abl_process_signal(app, slot, SIGTERM, false);
    }
    if (actions & ABL_DO_KILL) {
        abl_process_signal(app, slot, SIGKILL, true);
    }
    if (actions & ABL_DO_SWEEP) {
        abl_process_sweep(app, slot);
    }
    if (actions & ABL_DO_COUNT) {
        abl_failure_count(app, ready_at);
    }
    if (actions & ABL_DO_SPAWN) {
        app->row->fleet.slots[slot].worn = ABL_LEAVE_NOT;
        return abl_process_start(app, slot);
    }
    return true;
}

static void tell(abl_supervised_t *app, int slot, abl_instance_event_t event, abl_leave_t why)
{
    abl_instance_t *instance = abl_instance_of(app, slot);
    const abl_instance_times_t *times = &app->row->conf.times;
    int64_t ready_at = instance->ready_at;

    if (!act(app, slot, abl_instance_step(instance, times, event, why, abl_clock_now()), ready_at)) {
        (void)act(app, slot,
                  abl_instance_step(instance, times, ABL_EVENT_NOT_BEGUN, ABL_LEAVE_NOT, abl_clock_now()), 0);
    }
}

/* ---- the end of a process --------------------------------------------------------------------------- */

static const char *say_status(int status, char *text, size_t room)
{
    if (status < 0) {
        (void)snprintf(text, room, "how is not known, because its first parent had been killed");
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(text, room, "signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                       WCOREDUMP(status) ? ", core dumped" : "");
    } else {
        (void)snprintf(text, room, "exit status %d", WEXITSTATUS(status));
    }
    return text;
}

static void note_end(abl_supervised_t *app, int slot, const char *why)
{
    abl_board_end_t *end = &app->row->ended[app->row->nended++ % ABL_ENDED_KEPT];

    end->at = abl_clock_now();
    end->slot = slot;
    end->pid = abl_board_slot_of(app, slot)->pid;
    (void)snprintf(end->why, sizeof(end->why), "%s", why);
}

static void say_end(abl_supervised_t *app, int slot, int status)
{
    abl_leave_t leave = abl_instance_of(app, slot)->leave;
    bool failed = leave == ABL_LEAVE_NOT || leave == ABL_LEAVE_SLOW || leave == ABL_LEAVE_STUCK;
    char how[128], why[256];

    (void)say_status(status, how, sizeof(how));
    if (leave == ABL_LEAVE_NOT) {
        (void)snprintf(why, sizeof(why), "%s", how);
    } else {
        (void)snprintf(why, sizeof(why), "%s; %s", abl_leave_name(leave), how);
    }
    note_end(app, slot, why);
    if (failed) {
        abl_failure_note(app, slot, why);
    }
    abl_say(failed ? ABL_SAY_ERROR : ABL_SAY_INFO, 0,
            "ABL0035: balancer %s: application %s: instance %d (pid %ld) has %s: %s", app->row->balancer,
            app->row->name, slot + 1, (long)abl_board_slot_of(app, slot)->pid,
            leave == ABL_LEAVE_NOT ? "ended unasked" : "been ended", why);
}

static void ended(abl_supervised_t *app, int slot, int status)
{
    abl_relay_end(app, slot);
    say_end(app, slot, status);
    tell(app, slot, ABL_EVENT_EXIT, ABL_LEAVE_NOT);
    abl_process_forget(app, slot);
}

bool abl_supervise_exit(abl_supervised_t *app, pid_t pid, int status)
{
    int i;

    for (i = 0; i < app->row->fleet.n; i++) {
        if (app->held[i].ours && abl_board_slot_of(app, i)->pid == pid) {
            ended(app, i, status);
            return true;
        }
    }
    return false;
}

void abl_supervise_pidfd(abl_supervised_t *app, int slot)
{
    if (app->held[slot].pidfd_plus_one != 0) {
        ended(app, slot, -1);
    }
}

/* ---- taking over ------------------------------------------------------------------------------------ */

/* The predecessor may have been killed between a step of the state machine and what it asks for: what can be
 * done twice is done again. */
static void take_over(abl_supervised_t *app, int slot)
{
    abl_instance_state_t state = abl_instance_of(app, slot)->state;
    abl_gate_t gate = abl_gate_of(app, slot);

    if (state != ABL_INSTANCE_READY) {
        abl_gate_shut(&gate);
    }
    if (state == ABL_INSTANCE_NONE) {
        if (abl_board_slot_of(app, slot)->pid != 0) {
            abl_process_sweep(app, slot);
            abl_process_forget(app, slot);
        }
    } else if (!abl_process_adopt(app, slot)) {
        ended(app, slot, -1);
    }
}

void abl_supervise_take_over(abl_supervised_t *app)
{
    int i;

    app->row->fleet.stops = false; /* httpd goes on, or there would be no successor */
    for (i = 0; i < app->row->fleet.n; i++) {
        take_over(app, i);
    }
}

/* ---- what is due ------------------------------------------------------------------------------------ */

static int64_t work_on(abl_supervised_t *app, int slot, int64_t now)
{
    abl_held_t *held = &app->held[slot];
    const abl_instance_t *instance = abl_instance_of(app, slot);

    if (instance->state == ABL_INSTANCE_NONE) {
        return INT64_MAX;
    }
    if (now >= instance->deadline) {
        tell(app, slot, ABL_EVENT_TIME, ABL_LEAVE_NOT);
        held->look_at = 0;
    }
    if (now >= held->look_at) {
        abl_finding_t finding = abl_look_at(app, slot, now);
        held->look_at = finding.again;
        if (finding.event != ABL_EVENT_NONE) {
            tell(app, slot, finding.event, finding.why);
        }
    }
    return earlier(instance->deadline, held->look_at);
}

static bool is_elastic(const abl_supervised_t *app)
{
    return app->row->conf.least != app->row->conf.most;
}

/* How many instances are needed? */
static void measure(abl_supervised_t *app, int64_t now)
{
    abl_gate_t any = abl_gate_of(app, 0);
    uint32_t concurrency = app->conf->concurrency;
    uint64_t busy = 0;
    int i, needed;

    for (i = 0; i < app->row->fleet.n; i++) {
        abl_gate_t gate = abl_gate_of(app, i);
        abl_gate_view_t view;
        if (abl_instance_of(app, i)->state == ABL_INSTANCE_READY && abl_gate_look(&gate, &view)) {
            busy += view.busy;
        }
    }
    needed = concurrency != 0 ? (int)((busy + concurrency - 1) / concurrency) : busy > 0;
    abl_fleet_measure(&app->row->fleet, &app->row->conf, needed, abl_gate_head_age(&any), now);
    app->measure_at = now + MEASURE_EVERY;
}

/* Whatever is no file has no time of change that would mean a restart: a folder's changes with what is in it.
 */
static int64_t changed_at(abl_supervised_t *app)
{
    const char *file = app->conf->restart_file;
    struct stat st;

    if (stat(file, &st) != 0) {
        app->file_said = false;
        return 0;
    }
    if (S_ISREG(st.st_mode)) {
        app->file_said = false;
        return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    if (!app->file_said) {
        app->file_said = true;
        abl_say(
            ABL_SAY_WARNING, 0,
            "ABL0053: balancer %s: application %s: restart-file=%s is %s, not a file: touching it restarts "
            "nothing",
            app->row->balancer, app->row->name, file, S_ISDIR(st.st_mode) ? "a folder" : "something else");
    }
    return 0;
}

static void look_at_restart_file(abl_supervised_t *app, int64_t now)
{
    int64_t changed = changed_at(app);

    if (app->row->restart_mtime != 0 && changed > app->row->restart_mtime) {
        abl_supervise_roll(app, "restart-file=");
    }
    app->row->restart_mtime = changed != 0 ? changed : 1; /* 1: there is none, and one that comes is new */
    app->file_at = now + FILE_EVERY;
}

/* Starts and retires as many as have to be. Returns when it has to be asked again. */
static int64_t decide(abl_supervised_t *app)
{
    for (;;) {
        int64_t now = abl_clock_now();
        abl_decision_t decision = abl_fleet_decide(&app->row->fleet, &app->row->conf, now);
        if (decision.move == ABL_MOVE_NONE) {
            return decision.again;
        }
        app->held[decision.slot].look_at = 0;
        if (decision.move == ABL_MOVE_RETIRE) {
            tell(app, decision.slot, ABL_EVENT_RETIRE, decision.why);
        } else if (abl_process_may_start(app, decision.slot)) {
            tell(app, decision.slot, ABL_EVENT_START, ABL_LEAVE_NOT);
        }
    }
}

int64_t abl_supervise_work(abl_supervised_t *app, int64_t now)
{
    bool goes_on = app->conf != NULL && !app->row->fleet.stops;
    int64_t again = INT64_MAX;
    int i;

    if (goes_on && now >= app->file_at) {
        look_at_restart_file(app, now);
    }
    if (goes_on && is_elastic(app) && now >= app->measure_at) {
        measure(app, now);
    }
    for (i = 0; i < app->row->fleet.n; i++) {
        again = earlier(again, work_on(app, i, now));
    }
    if (goes_on) {
        again = earlier(again, decide(app));
        again = earlier(again, app->file_at);
        again = is_elastic(app) ? earlier(again, app->measure_at) : again;
    }
    for (i = 0; i < app->row->fleet.n; i++) { /* what has just begun to start or to drain */
        if (abl_instance_of(app, i)->state != ABL_INSTANCE_NONE) {
            again = earlier(again, app->held[i].look_at);
        }
    }
    return again;
}

/* ---- orders ----------------------------------------------------------------------------------------- */

void abl_supervise_roll(abl_supervised_t *app, const char *why)
{
    abl_say(ABL_SAY_NOTICE, 0, "ABL0038: balancer %s: application %s: rolling restart (%s)",
            app->row->balancer, app->row->name, why);
    abl_fleet_roll(&app->row->fleet);
}

static void replace(abl_supervised_t *app, int slot)
{
    abl_instance_state_t state = abl_instance_of(app, slot)->state;

    abl_say(ABL_SAY_NOTICE, 0, "ABL0081: balancer %s: application %s: instance %d is replaced by hand",
            app->row->balancer, app->row->name, slot + 1);
    if (state == ABL_INSTANCE_READY) {
        app->row->fleet.slots[slot].worn = ABL_LEAVE_WISH; /* it serves until its replacement does */
    } else if (state == ABL_INSTANCE_STARTING) {
        tell(app, slot, ABL_EVENT_RETIRE, ABL_LEAVE_WISH);
    }
}

void abl_supervise_wishes(abl_supervised_t *app)
{
    uint64_t slots = atomic_exchange(&app->row->wants_restart, 0);
    int i;

    if (atomic_exchange(&app->row->wants_roll, false)) {
        abl_supervise_roll(app, "by hand");
    }
    for (i = 0; i < app->row->fleet.n; i++) {
        if (slots >> i & 1) {
            replace(app, i);
        }
    }
}

void abl_supervise_use(abl_supervised_t *app, int n)
{
    int i;

    for (i = 0; i < app->row->fleet.n; i++) {
        int64_t *blocked = &app->row->fleet.slots[i].blocked_until;
        if (i >= n) {
            *blocked = ABL_SLOT_UNUSED;
            tell(app, i, ABL_EVENT_RETIRE, ABL_LEAVE_REMOVED);
            app->held[i].look_at = 0;
        } else if (*blocked == ABL_SLOT_UNUSED) {
            *blocked = 0;
        }
    }
}

void abl_supervise_stop(abl_supervised_t *app, int64_t patience)
{
    abl_instance_times_t *times = &app->row->conf.times;
    int i;

    app->row->fleet.stops = true;
    times->stop = earlier(times->stop, patience);
    for (i = 0; i < app->row->fleet.n; i++) {
        abl_instance_t *instance = abl_instance_of(app, i);
        tell(app, i, ABL_EVENT_STOP, ABL_LEAVE_STOP);
        instance->deadline = earlier(instance->deadline, abl_clock_now() + patience);
    }
}

void abl_supervise_look(abl_supervised_t *app)
{
    int i;

    for (i = 0; i < app->row->fleet.n; i++) {
        app->held[i].look_at = 0;
    }
}

bool abl_supervise_is_alive(const abl_supervised_t *app)
{
    return abl_fleet_count(&app->row->fleet, ABL_INSTANCE_NONE) < app->row->fleet.n;
}

void abl_supervise_end(abl_supervised_t *app)
{
    int i;

    for (i = 0; i < ABL_SLOTS_OF_APP_MAX; i++) {
        abl_relay_end(app, i);
        free(app->held[i].output);
        app->held[i].output = NULL;
    }
    abl_log_close(&app->log);
}
