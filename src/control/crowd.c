/* SPDX-License-Identifier: Apache-2.0
 *
 * How many instances, and which one next.
 */
#include "control/crowd.h"

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

static counts_t count(const abl_crowd_t *crowd)
{
    counts_t n = {0, 0, 0, 0};
    int i;

    for (i = 0; i < crowd->n; i++) {
        const abl_slot_t *slot = &crowd->slots[i];
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

int abl_crowd_count(const abl_crowd_t *crowd, abl_instance_state_t state)
{
    int i, n = 0;

    for (i = 0; i < crowd->n; i++) {
        n += crowd->slots[i].instance.state == state;
    }
    return n;
}

static int wanted(const abl_crowd_t *crowd, const abl_crowd_conf_t *conf)
{
    int target = crowd->target > conf->least ? crowd->target : conf->least;

    return target < conf->most ? target : conf->most;
}

/* ---- starting --------------------------------------------------------------------------------------- */

/* The free slot that has been free for longest: whatever an instance leaves behind at its address has had
 * the most time to go. -1: there is none; *again: when there may be. */
static int free_slot(const abl_crowd_t *crowd, int64_t now, int64_t *again)
{
    int best = -1;
    int i;

    for (i = 0; i < crowd->n; i++) {
        const abl_slot_t *slot = &crowd->slots[i];
        if (slot->instance.state != ABL_INSTANCE_NONE) {
            continue;
        }
        if (slot->blocked_until > now) {
            *again = slot->blocked_until < *again ? slot->blocked_until : *again;
        } else if (best < 0 || slot->instance.since < crowd->slots[best].instance.since) {
            best = i;
        }
    }
    return best;
}

/* Is one to be started? While all that are wanted serve, a replacement counts towards `surge`, and so does
 * what is still leaving. */
static bool wants_start(const counts_t *n, const abl_crowd_conf_t *conf, int want)
{
    int serving = n->fresh + n->worn + n->starting;

    if (n->starting >= conf->starts || n->fresh + n->starting >= want) {
        return false;
    }
    return serving < want || serving + n->leaving < want + conf->surge;
}

/* ---- retiring --------------------------------------------------------------------------------------- */

/* The worn one that has served for longest; else, of those that may stay, the youngest. */
static int to_retire(const abl_crowd_t *crowd, bool worn)
{
    int best = -1;
    int i;

    for (i = 0; i < crowd->n; i++) {
        const abl_slot_t *slot = &crowd->slots[i];
        if (slot->instance.state != ABL_INSTANCE_READY || (slot->worn != ABL_LEAVE_NOT) != worn) {
            continue;
        }
        if (best < 0 || (slot->instance.since < crowd->slots[best].instance.since) == worn) {
            best = i;
        }
    }
    return best;
}

/* Without surge the old one has to go first, one at a time. */
static bool wants_retire(const counts_t *n, const abl_crowd_conf_t *conf, int want)
{
    if (n->fresh + n->worn > want) {
        return true;
    }
    return n->worn > 0 && conf->surge == 0 && n->fresh + n->worn == want && n->leaving == 0;
}

abl_decision_t abl_crowd_decide(const abl_crowd_t *crowd, const abl_crowd_conf_t *conf, int64_t now)
{
    abl_decision_t decision = {ABL_MOVE_NONE, -1, ABL_LEAVE_NOT, INT64_MAX};
    counts_t n = count(crowd);
    int want = wanted(crowd, conf);

    if (crowd->stops) {
        return decision;
    }
    if (wants_retire(&n, conf, want)) {
        decision.slot = to_retire(crowd, n.worn > 0);
        decision.why = n.worn > 0 ? crowd->slots[decision.slot].worn : ABL_LEAVE_SPARE;
        decision.move = ABL_MOVE_RETIRE;
        return decision;
    }
    if (!wants_start(&n, conf, want)) {
        return decision;
    }
    if (now < crowd->not_before) {
        decision.again = crowd->not_before;
        return decision;
    }
    decision.slot = free_slot(crowd, now, &decision.again);
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
static bool too_many(const abl_crowd_t *crowd, const abl_crowd_conf_t *conf, int64_t now)
{
    unsigned failures = (unsigned)conf->failures;

    return failures > 0 && crowd->nfailed >= failures &&
           crowd->failed_at[(crowd->nfailed - failures) % ABL_FAILURES_MAX] > now - conf->within;
}

/* The new ones do not work: the old ones stay. */
static void stop_rolling(abl_crowd_t *crowd)
{
    int i;

    for (i = 0; i < crowd->n; i++) {
        if (crowd->slots[i].worn == ABL_LEAVE_ROLL) {
            crowd->slots[i].worn = ABL_LEAVE_NOT;
        }
    }
}

void abl_crowd_charge(abl_crowd_t *crowd, const abl_crowd_conf_t *conf, int64_t ready_at, int64_t now)
{
    if (ready_at != 0 && now - ready_at >= GOOD_AFTER) {
        return; /* it did work: replaced at once, and no sign that the next one will not */
    }
    crowd->in_a_row++;
    crowd->failed_at[crowd->nfailed++ % ABL_FAILURES_MAX] = now;
    crowd->failed = crowd->failed || too_many(crowd, conf, now);
    crowd->not_before = now + (crowd->failed ? conf->retry : pause_after(crowd->in_a_row));
    stop_rolling(crowd);
}

void abl_crowd_praise(abl_crowd_t *crowd, const abl_instance_t *instance, int64_t now)
{
    if (instance->state == ABL_INSTANCE_READY && now - instance->ready_at >= GOOD_AFTER &&
        crowd->in_a_row > 0 &&
        crowd->failed_at[(crowd->nfailed - 1) % ABL_FAILURES_MAX] <= instance->ready_at) {
        crowd->in_a_row = 0;
        crowd->nfailed = 0;
        crowd->failed = false;
        crowd->not_before = 0;
    }
}

/* ---- how many --------------------------------------------------------------------------------------- */

void abl_crowd_measure(abl_crowd_t *crowd, const abl_crowd_conf_t *conf, int busy, int64_t head_age,
                       int64_t now)
{
    counts_t n = count(crowd);

    crowd->target = wanted(crowd, conf);
    if (busy >= crowd->target || head_age > 0 || crowd->full_at == 0) {
        crowd->full_at = now;
    }
    if (head_age >= conf->grow && crowd->target < conf->most && n.fresh + n.worn >= crowd->target &&
        n.starting == 0) {
        crowd->target++;
        crowd->full_at = now;
    } else if (now - crowd->full_at >= conf->idle && crowd->target > conf->least) {
        crowd->target--;
        crowd->full_at = now;
    }
}

/* ---- rolling ---------------------------------------------------------------------------------------- */

void abl_crowd_roll(abl_crowd_t *crowd)
{
    int i;

    crowd->not_before = 0; /* somebody has just changed something: it may work now */
    for (i = 0; i < crowd->n; i++) {
        abl_instance_state_t state = crowd->slots[i].instance.state;
        if (state == ABL_INSTANCE_READY || state == ABL_INSTANCE_STARTING) {
            crowd->slots[i].worn = ABL_LEAVE_ROLL;
        }
    }
}

bool abl_crowd_is_rolling(const abl_crowd_t *crowd)
{
    int i = 0;

    while (i < crowd->n &&
           (crowd->slots[i].worn != ABL_LEAVE_ROLL || crowd->slots[i].instance.state == ABL_INSTANCE_NONE)) {
        i++;
    }
    return i < crowd->n;
}
