/* SPDX-License-Identifier: Apache-2.0
 *
 * The round of checks.
 */
#include "control/checkup.h"

#include "base/clock.h"
#include "base/hash.h"
#include "control/say.h"
#include "ledger/checks.h"
#include "ledger/chronicle.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN (10 * ABL_MS)
#define PAUSE_MAX (200 * ABL_MS)  /* who is back is used after this, at the latest */
#define PAUSE_ILL ABL_SECOND      /* between two checks of who is not well, at most */
#define PAUSE_BUSY (100 * ABL_MS) /* until a place is tried for again */
#define UNDER_WAY_MAX 256         /* checks at once; the others are late by a moment */

struct abl_checkup_entry_t {
    uint64_t who; /* hash of the member; another one may get the row */
    const abl_target_t *target;
    char name[ABL_ADDRESS_MAX + 80]; /* for messages */
    abl_check_t *check;              /* NULL: not made yet */
    bool away, ill;                  /* as of the last look */
    bool running;                    /* a check is under way */
    bool complained;                 /* that no check can be made, or that it is not there yet */
    uint32_t leased;                 /* the row whose lease it holds; 0: none */
    int64_t at;                      /* the next one begins */
    int64_t until;                   /* the one under way must have ended */
    int64_t pause;                   /* between two while it is away */
};

bool abl_checkup_begin(abl_checkup_t *checkup)
{
    checkup->remnants = (abl_remnants_t){.segment = checkup->segment, .child = checkup->child};
    checkup->entries = calloc(ABL_LEDGER_MEMBERS + 1, sizeof(abl_checkup_entry_t *));
    return checkup->entries != NULL;
}

/* ---- when ------------------------------------------------------------------------------------------- */

/* From 0 to `span`. */
static int64_t by_chance(int64_t span)
{
    return span > 0 ? (int64_t)((double)span * (double)random() / (double)RAND_MAX) : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t jittered(const abl_check_conf_t *conf)
{
    int64_t span = conf->interval / 100 * conf->jitter;

    return conf->interval - span + by_chance(2 * span);
}

static void plan_next(abl_checkup_entry_t *e, int64_t now)
{
    const abl_check_conf_t *conf = e->target->check;

    if (e->away) {
        e->pause = least(e->pause * 2, PAUSE_MAX);
        e->at = now + e->pause;
    } else if (e->ill) {
        e->at = now + least(conf->interval, PAUSE_ILL);
    } else {
        e->at = now + jittered(conf);
    }
}

/* ---- what follows ----------------------------------------------------------------------------------- */

static abl_gate_t gate_of(const abl_checkup_t *checkup, const abl_checkup_entry_t *e)
{
    return (abl_gate_t){checkup->segment, checkup->child, e->target->balancer, e->target->address};
}

static void passed(const abl_checkup_t *checkup, abl_checkup_entry_t *e)
{
    const abl_gate_t gate = gate_of(checkup, e);
    bool was_away = e->away;
    abl_checks_change_t change;

    e->complained = false;
    e->away = false;
    change = abl_checks_pass(&gate, e->target->check->rise);
    e->ill = change == ABL_CHECKS_OUT;
    if (change == ABL_CHECKS_IN && !was_away) { /* else the patrol says so */
        abl_say(ABL_SAY_NOTICE, 0, "ABL0078: balancer %s: %s gets requests: its checks pass",
                e->target->balancer, e->name);
    }
}

static void failed(const abl_checkup_t *checkup, abl_checkup_entry_t *e)
{
    const abl_gate_t gate = gate_of(checkup, e);
    unsigned fall = e->target->check->fall;
    int error;
    const char *why = abl_check_why(e->check, &error);

    e->ill = true;
    abl_chronicle_note(&gate, why, error);
    if (abl_checks_fail(&gate, fall) == ABL_CHECKS_OUT) {
        abl_say(ABL_SAY_WARNING, error,
                "ABL0077: balancer %s: %s is left out: its check has failed %u times in a row: %s",
                e->target->balancer, e->name, fall, why);
    } else if (!e->complained) {
        e->complained = true;
        abl_say(ABL_SAY_INFO, error, "ABL0079: balancer %s: the check of %s has failed: %s",
                e->target->balancer, e->name, why);
    }
}

/* Where checks cannot be made, requests show how it is. */
static void untried(abl_checkup_entry_t *e)
{
    int error;
    const char *why = abl_check_why(e->check, &error);

    if (!e->complained) {
        e->complained = true;
        abl_say(ABL_SAY_ERROR, error, "ABL0080: balancer %s: %s cannot be checked: %s", e->target->balancer,
                e->name, why);
    }
}

/* Whoever answers one request at a time is still at work for a check that nobody waits for any more. */
static void stop(abl_checkup_t *checkup, abl_checkup_entry_t *e)
{
    abl_conn_t *conn = NULL;

    if (e->check != NULL && e->leased != 0) {
        conn = abl_check_leave(e->check);
    } else if (e->check != NULL) {
        abl_check_end(e->check);
    }
    if (conn != NULL) {
        abl_remnants_add(&checkup->remnants, &conn, e->leased);
    } else if (e->leased != 0) {
        abl_checks_give(checkup->segment, checkup->child, e->leased);
    }
    e->leased = 0;
    e->running = false;
}

static void judge(abl_checkup_t *checkup, abl_checkup_entry_t *e, abl_check_verdict_t verdict, uint32_t row)
{
    const abl_gate_t gate = gate_of(checkup, e);
    int error;

    switch (verdict) {
    case ABL_CHECK_PASSED:
        passed(checkup, e);
        break;
    case ABL_CHECK_NOBODY:
        (void)abl_check_why(e->check, &error);
        abl_health_gone(&gate, error);
        abl_remnants_drop(&checkup->remnants, row);
        failed(checkup, e);
        break;
    case ABL_CHECK_UNTRIED:
        untried(e);
        break;
    default:
        failed(checkup, e);
    }
}

static void conclude(abl_checkup_t *checkup, uint32_t row, abl_check_verdict_t verdict, int64_t now)
{
    abl_checkup_entry_t *e = checkup->entries[row];

    stop(checkup, e);
    judge(checkup, e, verdict, row);
    plan_next(e, now);
}

/* Its answer may be there, when this process has been late itself. */
static void take_too_long(abl_checkup_t *checkup, uint32_t row, int64_t now)
{
    abl_check_verdict_t verdict = abl_check_go(checkup->entries[row]->check, now);

    conclude(checkup, row, verdict == ABL_CHECK_PENDING ? ABL_CHECK_FAILED : verdict, now);
}

/* ---- a check ---------------------------------------------------------------------------------------- */

/* Each time: the next address may have got the number of the descriptor before. */
static void watch(const abl_checkup_t *checkup, const abl_checkup_entry_t *e, uint32_t row)
{
    int fd = abl_check_fd(e->check);

    if (fd >= 0) {
        checkup->watch(checkup->ctx, fd, row);
    }
}

typedef enum place_t { PLACE_TAKEN, PLACE_NEEDLESS, PLACE_BUSY, PLACE_STUCK } place_t;

static place_t get_place(const abl_checkup_t *checkup, abl_checkup_entry_t *e, uint32_t row)
{
    const abl_gate_t gate = gate_of(checkup, e);

    if (!e->target->limited || e->target->check->uri == NULL) {
        return PLACE_NEEDLESS;
    }
    e->leased = abl_checks_take(&gate);
    if (e->leased != 0) {
        return PLACE_TAKEN;
    }
    if (abl_remnants_has(&checkup->remnants, row)) {
        return PLACE_STUCK; /* it has not answered the last one */
    }
    return e->away ? PLACE_NEEDLESS : PLACE_BUSY; /* nobody else asks who is away */
}

static void go(abl_checkup_t *checkup, uint32_t row, abl_check_verdict_t verdict, int64_t now)
{
    if (verdict == ABL_CHECK_PENDING) {
        watch(checkup, checkup->entries[row], row);
    } else {
        conclude(checkup, row, verdict, now);
    }
}

static void begin(abl_checkup_t *checkup, uint32_t row, int64_t now)
{
    abl_checkup_entry_t *e = checkup->entries[row];
    const abl_target_t *where;
    abl_target_at_t at;
    place_t place = PLACE_BUSY;

    if (e->check == NULL) {
        e->check = abl_check_make(e->target);
    }
    where = abl_target_where(checkup->segment, row, e->target, &at);
    if (e->check != NULL && where != NULL) {
        place = get_place(checkup, e, row);
    }
    if (place == PLACE_STUCK) {
        failed(checkup, e);
        plan_next(e, now);
        return;
    }
    if (place == PLACE_BUSY) {
        e->at = now + PAUSE_BUSY;
        return;
    }
    e->running = true;
    e->until = now + e->target->check->timeout;
    go(checkup, row, abl_check_begin(e->check, where, now), now);
}

void abl_checkup_ready(abl_checkup_t *checkup, uint32_t row, int64_t now)
{
    const abl_checkup_entry_t *e = row <= ABL_LEDGER_MEMBERS ? checkup->entries[row] : NULL;

    abl_remnants_ready(&checkup->remnants, row, now);
    if (e != NULL && e->running) { /* else an event of a descriptor that is closed by now */
        go(checkup, row, abl_check_go(e->check, now), now);
    }
}

/* ---- the rows --------------------------------------------------------------------------------------- */

void abl_checkup_forget(abl_checkup_t *checkup, uint32_t row)
{
    abl_checkup_entry_t *e = checkup->entries[row];

    if (e != NULL) {
        stop(checkup, e);
        if (e->check != NULL) {
            abl_check_free(e->check);
        }
        free(e);
        checkup->entries[row] = NULL;
    }
}

void abl_checkup_reset(abl_checkup_t *checkup)
{
    uint32_t row;

    for (row = 1; row <= checkup->used; row++) {
        abl_checkup_forget(checkup, row);
    }
    checkup->used = 0;
}

static abl_checkup_entry_t *make_entry(abl_checkup_t *checkup, uint32_t row, uint64_t who,
                                       const abl_target_t *target, bool hurry, int64_t now)
{
    abl_checkup_entry_t *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        return NULL;
    }
    e->who = who;
    e->target = target;
    e->pause = PAUSE_MIN / 2;
    e->at = hurry ? now : now + by_chance(least(target->check->interval, ABL_SECOND));
    checkup->entries[row] = e;
    checkup->used = row > checkup->used ? row : checkup->used;
    return e;
}

void abl_checkup_look(abl_checkup_t *checkup, uint32_t row, const abl_health_view_t *view,
                      const abl_target_t *target, int64_t now)
{
    uint64_t who = abl_hash_text(view->address) ^ (abl_hash_text(view->balancer) << 1) ^ view->id;
    abl_checkup_entry_t *e = checkup->entries[row];

    if (e != NULL && (e->who != who || e->target != target || target->check == NULL || view->disabled)) {
        abl_checkup_forget(checkup, row);
        e = NULL;
    }
    if (target == NULL || target->check == NULL || view->disabled) {
        return;
    }
    if (e == NULL) {
        e = make_entry(checkup, row, who, target, view->unproven || view->unfit || view->away, now);
        if (e == NULL) {
            return; /* no memory: the next look tries again */
        }
        e->away = view->away;
    }
    if (view->away && !e->away) {
        abl_remnants_drop(&checkup->remnants, row); /* somebody has been refused: it has ended */
        e->pause = PAUSE_MIN / 2;
        e->at = now;
    }
    memcpy(e->name, view->name, sizeof(e->name));
    e->away = view->away;
    e->ill = view->unfit || view->unproven || view->failing;
}

/* With `tcp` the patrol does the same, for all members that are away. */
static bool is_due(const abl_checkup_entry_t *e, int64_t now)
{
    return e->at <= now && !(e->away && e->target->check->uri == NULL);
}

int64_t abl_checkup_work(abl_checkup_t *checkup, int64_t now)
{
    int64_t next = INT64_MAX;
    int under_way = 0;
    uint32_t row;

    for (row = 1; row <= checkup->used; row++) {
        abl_checkup_entry_t *e = checkup->entries[row];
        if (e == NULL) {
            continue;
        }
        if (e->running && e->until <= now) {
            take_too_long(checkup, row, now);
        } else if (!e->running && is_due(e, now) && under_way < UNDER_WAY_MAX) {
            begin(checkup, row, now);
        }
        under_way += e->running;
        if (e->running || !e->away || e->target->check->uri != NULL) {
            int64_t due = e->running ? e->until : e->at > now ? e->at : now + PAUSE_MIN;
            next = least(due, next);
        }
    }
    return least(next, abl_remnants_work(&checkup->remnants, now));
}
