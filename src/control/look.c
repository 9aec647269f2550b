/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at what runs.
 */
#include "control/look.h"

#include "base/clock.h"
#include "control/failure.h"
#include "control/proc.h"
#include "control/say.h"
#include "control/place.h"

#include <errno.h>
#include <stdio.h>

#define PROBE_EVERY (10 * ABL_MS)  /* while it starts */
#define DRAIN_EVERY (10 * ABL_MS)  /* while it drains */
#define RATION_EVERY (20 * ABL_MS) /* while it works by ration */
#define READY_EVERY (100 * ABL_MS)
#define DEAF_AFTER ABL_SECOND /* of refused connections */

static abl_finding_t later(int64_t again)
{
    return (abl_finding_t){ABL_EVENT_NONE, ABL_LEAVE_NOT, again};
}

static abl_finding_t found(abl_instance_event_t event, abl_leave_t why)
{
    return (abl_finding_t){event, why, 0};
}

/* ---- is it there? ----------------------------------------------------------------------------- */

static abl_probe_verdict_t ask(abl_supervised_t *app, int slot, int64_t now)
{
    abl_probe_t *probe = &app->held[slot].probe;
    abl_probe_verdict_t verdict =
        abl_probe_look(probe, app->conf, slot, abl_board_slot_of(app, slot)->pid, now);

    if (verdict == ABL_PROBE_READY) {
        abl_probe_end(probe);
    } else if (verdict == ABL_PROBE_STRANGER) {
        abl_failure_block(app, slot, EADDRINUSE);
    }
    return verdict;
}

static abl_finding_t look_at_starting(abl_supervised_t *app, int slot, int64_t now)
{
    const abl_board_slot_t *s = abl_board_slot_of(app, slot);

    if (app->conf == NULL) {
        return found(ABL_EVENT_STOP, ABL_LEAVE_REMOVED);
    }
    switch (ask(app, slot, now)) {
    case ABL_PROBE_READY:
        if (!abl_place_hand_over(app->conf, slot)) {
            return later(now + PROBE_EVERY);
        }
        abl_say(ABL_SAY_INFO, 0,
                "ABL0036: balancer %s: application %s: instance %d (pid %ld) is ready after %d ms",
                app->row->balancer, app->row->name, slot + 1, (long)s->pid,
                (int)((now - s->spawned_at) / ABL_MS));
        return found(ABL_EVENT_READY, ABL_LEAVE_NOT);
    case ABL_PROBE_STRANGER:
        return found(ABL_EVENT_STOP, ABL_LEAVE_STRANGER);
    default:
        return later(now + PROBE_EVERY);
    }
}

/* It runs, and has not accepted connections for a while: another one is wanted in its place. It goes when
 * that is ready, or has a new start if it listens again before. */
static void note_deaf(abl_supervised_t *app, int slot, int64_t now)
{
    abl_held_t *held = &app->held[slot];
    abl_leave_t *worn = &app->row->fleet.slots[slot].worn;

    held->suspected_at = held->suspected_at != 0 ? held->suspected_at : now;
    if (now - held->suspected_at < DEAF_AFTER || *worn != ABL_LEAVE_NOT) {
        return;
    }
    *worn = ABL_LEAVE_DEAF;
    abl_say(
        ABL_SAY_ERROR, 0,
        "ABL0057: balancer %s: application %s: instance %d (pid %ld) does not accept connections any more; "
        "it is replaced",
        app->row->balancer, app->row->name, slot + 1, (long)abl_board_slot_of(app, slot)->pid);
}

/* A child has found nobody at its address. */
static abl_finding_t look_at_suspect(abl_supervised_t *app, int slot, int64_t now)
{
    abl_gate_t gate = abl_gate_of(app, slot);

    note_deaf(app, slot, now);
    switch (ask(app, slot, now)) {
    case ABL_PROBE_READY:
        app->held[slot].suspected_at = 0;
        abl_gate_clear(&gate);
        return later(now + READY_EVERY);
    case ABL_PROBE_STRANGER:
        return found(ABL_EVENT_STOP, ABL_LEAVE_STRANGER);
    default:
        return later(now + PROBE_EVERY);
    }
}

/* ---- is it worn? ------------------------------------------------------------------------------------ */

static void measure_memory(abl_board_slot_t *s, uint64_t done, int64_t now)
{
    uint64_t memory = abl_proc_memory(s->pid);

    if (memory != 0) {
        abl_recycle_measure(&s->recycle, memory, done, now);
    }
}

/* What it has before its first request is known before it gets one. */
void abl_look_open(abl_supervised_t *app, int slot)
{
    abl_board_slot_t *s = abl_board_slot_of(app, slot);
    abl_gate_t gate = abl_gate_of(app, slot);

    if (app->conf->recycle.memory != 0) {
        measure_memory(s, 0, abl_clock_now());
    }
    (void)abl_gate_open(&gate, abl_recycle_most(&s->recycle, &app->conf->recycle));
}

/* Replacing it at once would go on like that for ever. */
static void count_as_too_small(abl_supervised_t *app, int slot)
{
    abl_board_slot_t *s = abl_board_slot_of(app, slot);
    char why[128];

    s->too_small = true;
    (void)snprintf(why, sizeof(why), "memory= is too small: it had %d MB after %d requests",
                   (int)(s->recycle.memory >> 20), (int)s->served);
    abl_failure_note(app, slot, why);
    abl_say(ABL_SAY_WARNING, 0, "ABL0050: balancer %s: application %s: instance %d (pid %ld): %s",
            app->row->balancer, app->row->name, slot + 1, (long)s->pid, why);
    abl_failure_count(app, 0);
}

/* Measures it when that is due, and lets it have as many requests as follow from that. Returns why it has to
 * go now; ABL_LEAVE_NOT: not yet. */
static abl_leave_t recycle(abl_supervised_t *app, int slot, const abl_gate_view_t *view, int64_t now)
{
    abl_board_slot_t *s = abl_board_slot_of(app, slot);
    const abl_recycle_conf_t *conf = &app->conf->recycle;
    abl_leave_t *worn = &app->row->fleet.slots[slot].worn;
    abl_gate_t gate = abl_gate_of(app, slot);
    uint64_t done = view->requests - view->busy; /* what the others cost is still to come */
    abl_leave_t why;

    s->served = view->requests;
    if (now >= abl_recycle_due(&s->recycle, conf, done, now)) {
        measure_memory(s, done, now);
    }
    why = abl_recycle_judge(&s->recycle, conf, s->served, abl_instance_of(app, slot)->ready_at, now);
    *worn = *worn != ABL_LEAVE_NOT ? *worn : why;
    if (!s->too_small && why == ABL_LEAVE_MEMORY && abl_recycle_is_too_small(&s->recycle, conf, s->served)) {
        count_as_too_small(app, slot);
    }
    abl_gate_ration(&gate, abl_recycle_most(&s->recycle, conf));
    return abl_recycle_is_out(&s->recycle, conf, s->served) ? why : ABL_LEAVE_NOT;
}

/* ---- one that serves -------------------------------------------------------------------------------- */

static abl_finding_t stuck(const abl_supervised_t *app, int slot)
{
    abl_say(ABL_SAY_ERROR, 0,
            "ABL0037: balancer %s: application %s: instance %d (pid %ld) has had a request for longer than "
            "stuck=; it is ended",
            app->row->balancer, app->row->name, slot + 1, (long)abl_board_slot_of(app, slot)->pid);
    return found(ABL_EVENT_STUCK, ABL_LEAVE_STUCK);
}

/* It is not in the configuration any more: children that end may still have requests for it, and nobody else.
 */
static abl_finding_t look_at_gone(const abl_supervised_t *app, int64_t now)
{
    int64_t until = app->row->gone_at + app->row->conf.times.drain;

    if (now >= until) {
        return found(ABL_EVENT_RETIRE, ABL_LEAVE_REMOVED);
    }
    return later(until < now + READY_EVERY ? until : now + READY_EVERY);
}

static abl_finding_t look_at_ready(abl_supervised_t *app, int slot, int64_t now)
{
    abl_gate_t gate = abl_gate_of(app, slot);
    abl_gate_view_t view;
    abl_leave_t why;
    bool works;

    abl_fleet_worked(&app->row->fleet, abl_instance_of(app, slot), now);
    if (!abl_gate_look(&gate, &view)) { /* no room for it in the ledger, or nobody is left who knew it */
        return app->conf == NULL ? found(ABL_EVENT_RETIRE, ABL_LEAVE_REMOVED) : later(now + READY_EVERY);
    }
    if (app->conf == NULL) {
        return look_at_gone(app, now);
    }
    if (view.accused) {
        return stuck(app, slot);
    }
    if (view.suspected) {
        return look_at_suspect(app, slot, now);
    }
    if (!view.is_open) { /* the configuration has begun to look after this address: it has to be told */
        abl_look_open(app, slot);
        return later(now);
    }
    works = view.requests != abl_board_slot_of(app, slot)->served;
    why = recycle(app, slot, &view, now);
    if (why != ABL_LEAVE_NOT) {
        return found(ABL_EVENT_RETIRE, why);
    }
    return later(now + (works && app->conf->recycle.memory != 0 ? RATION_EVERY : READY_EVERY));
}

static abl_finding_t look_at_draining(const abl_supervised_t *app, int slot, int64_t now)
{
    abl_gate_t gate = abl_gate_of(app, slot);
    abl_gate_view_t view = {0};

    (void)abl_gate_look(&gate, &view);
    if (view.busy == 0) {
        return found(ABL_EVENT_IDLE, ABL_LEAVE_NOT);
    }
    return view.accused ? stuck(app, slot) : later(now + DRAIN_EVERY);
}

abl_finding_t abl_look_at(abl_supervised_t *app, int slot, int64_t now)
{
    switch (abl_instance_of(app, slot)->state) {
    case ABL_INSTANCE_STARTING:
        return look_at_starting(app, slot, now);
    case ABL_INSTANCE_READY:
        return look_at_ready(app, slot, now);
    case ABL_INSTANCE_DRAINING:
        return look_at_draining(app, slot, now);
    default:
        return later(INT64_MAX);
    }
}
