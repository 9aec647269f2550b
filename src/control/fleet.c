/* SPDX-License-Identifier: Apache-2.0
 *
 * How many instances, and which one next.
 */
#include "control/fleet.h"

#include "base/clock.h"

#define GOOD_AFTER ABL_SECOND      /* ready for so long: the application works */
#define PAUSE_FIRST (100 * ABL_MS) /* after the second failure in a row; doubled with each */
#define PAUSE_MOST (30 * ABL_SECOND)

typedef struct counts_t {
    int fresh; /* ready, and may stay */
    int worn;  /* ready, and should be replaced */
    int starting;
    int leaving;
} counts_t;

static counts_t count(const abl_fleet_t *fleet)
{
    counts_t n = {0, 0, 0, 0};
    int i;

    for (i = 0; i < fleet->n; i++) {
        const abl_slot_t *slot = &fleet->slots[i];
        switch (slot->instance.state) {
        case ABL_INSTANCE_NONE:
            break;
        case ABL_INSTANCE_STARTING:
            n.starting++;
            break;
        case ABL_INSTANCE_READY:
            n.fresh += slot->worn == ABL_LEAVE_NOT;
            n.worn += slot->worn != ABL_LEAVE_NOT;
            break;
        default:
            n.leaving++;
        }
    }
    return n;
}

int abl_fleet_count(const abl_fleet_t *fleet, abl_instance_state_t state)
{
    int i, n = 0;

    for (i = 0; i < fleet->n; i++) {
        n += fleet->slots[i].instance.state == state;
    }
    return n;
}

int abl_fleet_wanted(const abl_fleet_t *fleet, const abl_fleet_conf_t *conf)
{
    int target = fleet->target > conf->least ? fleet->target : conf->least;

    return target < conf->most ? target : conf->most;
}

/* ---- starting --------------------------------------------------------------------------------------- */

/* The free slot that has been free for longest: whatever an instance leaves behind at its address has had
 * the most time to go. -1: there is none; *again: when there may be. */
static int free_slot(const abl_fleet_t *fleet, int64_t now, int64_t *again)
{
    int best = -1;
    int i;

    for (i = 0; i < fleet->n; i++) {
        const abl_slot_t *slot = &fleet->slots[i];
        if (slot->instance.state != ABL_INSTANCE_NONE) {
            continue;
        }
        if (slot->blocked_until > now) {
            *again = slot->blocked_until < *again ? slot->blocked_until : *again;
        } else if (best < 0 || slot->instance.since < fleet->slots[best].instance.since) {
            best = i;
        }
    }
    return best;
}

/* Is one to be started? While all that are wanted serve, a replacement counts towards `surge`, and so does
 * what is still leaving; where fewer serve, nobody waits for those to be gone, unless there is no surge at
 * all: then there are never more processes than wanted. */
static bool wants_start(const counts_t *n, const abl_fleet_conf_t *conf, int want)
{
    int serving = n->fresh + n->worn + n->starting;

    if (n->starting >= conf->starts || n->fresh + n->starting >= want) {
        return false;
    }
    return (serving < want && conf->surge > 0) || serving + n->leaving < want + conf->surge;
}

/* ---- retiring --------------------------------------------------------------------------------------- */

/* The worn one that has served for longest; else, of those that may stay, the youngest. */
static int to_retire(const abl_fleet_t *fleet, bool worn)
{
    int best = -1;
    int i;

    for (i = 0; i < fleet->n; i++) {
        const abl_slot_t *slot = &fleet->slots[i];
        if (slot->instance.state != ABL_INSTANCE_READY || (slot->worn != ABL_LEAVE_NOT) != worn) {
            continue;
        }
        if (best < 0 || (slot->instance.since < fleet->slots[best].instance.since) == worn) {
            best = i;
        }
    }
    return best;
}

/* Without surge the old one has to go first, one at a time. */
static bool wants_retire(const counts_t *n, const abl_fleet_conf_t *conf, int want)
{
    if (n->fresh + n->worn > want) {
        return true;
    }
    return n->worn > 0 && conf->surge == 0 && n->fresh + n->worn == want && n->leaving == 0;
}

abl_decision_t abl_fleet_decide(const abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int64_t now)
{
    abl_decision_t decision = {ABL_MOVE_NONE, -1, ABL_LEAVE_NOT, INT64_MAX};
    counts_t n = count(fleet);
    int want = abl_fleet_wanted(fleet, conf);

    if (fleet->stops) {
        return decision;
    }
    if (wants_retire(&n, conf, want)) {
        decision.slot = to_retire(fleet, n.worn > 0);
        decision.why = n.worn > 0 ? fleet->slots[decision.slot].worn : ABL_LEAVE_SPARE;
        decision.move = ABL_MOVE_RETIRE;
        return decision;
    }
    if (!wants_start(&n, conf, want)) {
        return decision;
    }
    if (now < fleet->not_before) {
        decision.again = fleet->not_before;
        return decision;
    }
    decision.slot = free_slot(fleet, now, &decision.again);
    decision.move = decision.slot >= 0 ? ABL_MOVE_START : ABL_MOVE_NONE;
    return decision;
}

/* ---- failures --------------------------------------------------------------------------------------- */

static int64_t pause_after(int failures)
{
    int64_t pause = PAUSE_FIRST;

    if (failures <= 1) {
        return 0; /* at once */
    }
    while (--failures > 1 && pause < PAUSE_MOST) {
        pause *= 2;
    }
    return pause < PAUSE_MOST ? pause : PAUSE_MOST;
}

/* That many, so lately? The oldest of the last `failures` tells. */
static bool too_many(const abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int64_t now)
{
    unsigned failures = (unsigned)conf->failures;

    return failures > 0 && fleet->nfailed >= failures &&
           fleet->failed_at[(fleet->nfailed - failures) % ABL_FAILURES_MAX] > now - conf->within;
}

/* The new ones do not work: the old ones stay. */
static void stop_rolling(abl_fleet_t *fleet)
{
    int i;

    for (i = 0; i < fleet->n; i++) {
        if (fleet->slots[i].worn == ABL_LEAVE_ROLL) {
            fleet->slots[i].worn = ABL_LEAVE_NOT;
        }
    }
}

void abl_fleet_failed(abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int64_t ready_at, int64_t now)
{
    if (ready_at != 0 && now - ready_at >= GOOD_AFTER) {
        return; /* it did work: replaced at once, and no sign that the next one will not */
    }
    fleet->in_a_row++;
    fleet->failed_at[fleet->nfailed++ % ABL_FAILURES_MAX] = now;
    fleet->failed = fleet->failed || too_many(fleet, conf, now);
    fleet->not_before = now + (fleet->failed ? conf->retry : pause_after(fleet->in_a_row));
    stop_rolling(fleet);
}

void abl_fleet_worked(abl_fleet_t *fleet, const abl_instance_t *instance, int64_t now)
{
    if (instance->state == ABL_INSTANCE_READY && now - instance->ready_at >= GOOD_AFTER &&
        fleet->in_a_row > 0 &&
        fleet->failed_at[(fleet->nfailed - 1) % ABL_FAILURES_MAX] <= instance->ready_at) {
        fleet->in_a_row = 0;
        fleet->nfailed = 0;
        fleet->failed = false;
        fleet->not_before = 0;
    }
}

/* ---- how many --------------------------------------------------------------------------------------- */

void abl_fleet_measure(abl_fleet_t *fleet, const abl_fleet_conf_t *conf, int busy, int64_t head_age,
                       int64_t now)
{
    counts_t n = count(fleet);

    fleet->target = abl_fleet_wanted(fleet, conf);
    if (busy >= fleet->target || head_age > 0 || fleet->full_at == 0) {
        fleet->full_at = now;
    }
    if (head_age >= conf->grow && fleet->target < conf->most && n.fresh + n.worn >= fleet->target &&
        n.starting == 0) {
        fleet->target++;
        fleet->full_at = now;
    } else if (now - fleet->full_at >= conf->idle && fleet->target > conf->least) {
        fleet->target--;
        fleet->full_at = now;
    }
}

/* ---- rolling ---------------------------------------------------------------------------------------- */

void abl_fleet_roll(abl_fleet_t *fleet)
{
    int i;

    fleet->not_before = 0; /* somebody has just changed something: it may work now */
    for (i = 0; i < fleet->n; i++) {
        abl_instance_state_t state = fleet->slots[i].instance.state;
        if (state == ABL_INSTANCE_READY || state == ABL_INSTANCE_STARTING) {
            fleet->slots[i].worn = ABL_LEAVE_ROLL;
        }
    }
}

bool abl_fleet_is_rolling(const abl_fleet_t *fleet)
{
    int i = 0;

    while (i < fleet->n &&
           (fleet->slots[i].worn != ABL_LEAVE_ROLL || fleet->slots[i].instance.state == ABL_INSTANCE_NONE)) {
        i++;
    }
    return i < fleet->n;
}
