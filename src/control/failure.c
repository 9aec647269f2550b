/* SPDX-License-Identifier: Apache-2.0
 *
 * Noting, counting and saying failures.
 */
#include "control/failure.h"

#include "base/clock.h"
#include "control/say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Before an address that is not free is tried again: at first whoever is there may just be going. */
#define BLOCKED_FIRST (250 * ABL_MS)
#define BLOCKED_MOST (10 * ABL_SECOND)

void abl_failure_note(abl_supervised_t *app, int slot, const char *why)
{
    abl_board_failure_t *failure = &app->row->last_failure;
    const abl_output_t *output = app->held[slot].output;
    unsigned i;

    memset(failure, 0, sizeof(*failure));
    failure->at = abl_clock_now();
    failure->pid = abl_board_slot_of(app, slot)->pid;
    failure->slot = slot;
    (void)snprintf(failure->why, sizeof(failure->why), "%s", why);
    for (i = 0; output != NULL && i < ABL_LAST_LINES && abl_output_last(output, i) != NULL; i++) {
        (void)snprintf(failure->lines[i], sizeof(failure->lines[i]), "%s", abl_output_last(output, i));
    }
    app->row->failures++;
}

void abl_failure_count(abl_supervised_t *app, int64_t ready_at)
{
    abl_board_app_t *row = app->row;
    bool failed = row->fleet.failed;
    bool rolling = abl_fleet_is_rolling(&row->fleet);

    abl_fleet_failed(&row->fleet, &row->conf, ready_at, abl_clock_now());
    if (row->fleet.failed && !failed) {
        abl_say(
            ABL_SAY_ERROR, 0,
            "ABL0033: balancer %s: application %s has failed: %d of its instances have not become ready, or "
            "ended at once, in %d s; it is tried again every %d s",
            row->balancer, row->name, row->conf.failures, (int)(row->conf.within / ABL_SECOND),
            (int)(row->conf.retry / ABL_SECOND));
    }
    if (rolling && !abl_fleet_is_rolling(&row->fleet)) {
        abl_say(
            ABL_SAY_ERROR, 0,
            "ABL0034: balancer %s: application %s: the rolling restart stops, because a new instance does "
            "not work; the old ones stay",
            row->balancer, row->name);
    }
}

void abl_failure_block(abl_supervised_t *app, int slot, int error)
{
    abl_board_slot_t *s = abl_board_slot_of(app, slot);

    int64_t pause = BLOCKED_FIRST << (s->blocked < 6 ? s->blocked++ : 6);

    pause = pause < BLOCKED_MOST ? pause : BLOCKED_MOST;
    app->row->fleet.slots[slot].blocked_until = abl_clock_now() + pause;
    s->blocked_by = error;
    if (app->held[slot].blocked_said) {
        return;
    }
    app->held[slot].blocked_said = true;
    if (error == EADDRINUSE) {
        abl_say(ABL_SAY_WARNING, 0,
                "ABL0031: balancer %s: application %s: %s is in use by somebody else; no instance is "
                "started there until it is free",
                app->row->balancer, app->row->name, s->address);
    } else {
        abl_say(
            ABL_SAY_ERROR, error,
            "ABL0052: balancer %s: application %s: there can be no socket at %s; it is tried again, in the "
            "end every %d s",
            app->row->balancer, app->row->name, s->address, (int)(BLOCKED_MOST / ABL_SECOND));
    }
}
