/* SPDX-License-Identifier: Apache-2.0
 *
 * Failures, counted; and what follows from them.
 *
 * A failure may be the request's fault: one that no member can answer would take out one member after the
 * other. So a failure counts when the same target has gone well for the same client at another member
 * meanwhile, or else only the first time for its target and for its client; and not at all when the target
 * has failed at another member, too. Where nothing else goes to a member than what fails, ALL_IN_A_ROW times
 * as many failures do it without such a proof.
 */
#include "ledger/health.h"

#include "base/clock.h"
#include "ledger/ailment.h"
#include "ledger/rebuild.h"
#include "ledger/site_row.h"

#include <string.h>

#define ALL_IN_A_ROW 8
#define UNANSWERED_COUNTS 2 /* as two failures */
#define RATE_AT_LEAST 20    /* requests, before a rate means something */
#define DURATIONS_MAX 10    /* a member that fails again and again is ejected for up to so many times for= */
#define DOUBT_LASTS (30 * ABL_SECOND)

/* ---- doubts: the request or the member? ------------------------------------------------------------- */

static abl_doubt_t *find_doubt(abl_balancer_row_t *b, uint64_t what, int64_t now)
{
    int i;

    for (i = 0; i < ABL_DOUBTS; i++) {
        if (b->doubts[i].what == what && now - b->doubts[i].at < DOUBT_LASTS) {
            return &b->doubts[i];
        }
    }
    return NULL;
}

static void count_doubts(abl_balancer_row_t *b, int64_t now)
{
    uint32_t n = 0;
    int i;

    for (i = 0; i < ABL_DOUBTS; i++) {
        n += b->doubts[i].what != 0 && now - b->doubts[i].at < DOUBT_LASTS;
    }
    atomic_store(&b->ndoubts, n);
}

/* A failure counts so much: no answer at all is worse than one that says 500. */
static uint8_t weight_of(const abl_outcome_t *outcome)
{
    return outcome->unanswered ? UNANSWERED_COUNTS : 1;
}

/* In the place of the oldest. */
static void begin_doubt(abl_balancer_row_t *b, const abl_outcome_t *outcome, uint32_t row, bool has_counted,
                        int64_t now)
{
    abl_doubt_t *oldest = &b->doubts[0];
    int i;

    for (i = 1; i < ABL_DOUBTS; i++) {
        oldest = b->doubts[i].at < oldest->at ? &b->doubts[i] : oldest;
    }
    *oldest = (abl_doubt_t){.what = outcome->what,
                            .client = outcome->client,
                            .row = row,
                            .pending = has_counted ? 0 : weight_of(outcome),
                            .at = now};
    count_doubts(b, now);
}

/* What has just gone well at this member may have failed at another one, whose fault it was then: returns
 * that one, and what counts against it. 0: none. */
static uint32_t find_culprit(abl_balancer_row_t *b, const abl_outcome_t *outcome, uint32_t row, int64_t now,
                             abl_doubt_t *proven)
{
    abl_doubt_t *doubt = find_doubt(b, outcome->what, now);

    if (doubt == NULL) {
        count_doubts(b, now);
        return 0;
    }
    if (doubt->row == row || doubt->client != outcome->client) {
        return 0; /* what goes well for others may not for this one, wherever he goes */
    }
    *proven = *doubt;
    doubt->elsewhere = 1;
    doubt->pending = 0;
    return proven->pending > 0 ? proven->row : 0;
}

static bool is_new_client(abl_ailment_t *a, uint64_t client)
{
    int i;

    for (i = 0; i < a->nclients && a->clients[i] != client; i++) {
    }
    if (i < a->nclients || a->nclients == ABL_RUN_CLIENTS) {
        return false;
    }
    a->clients[a->nclients++] = client;
    return true;
}

typedef enum weight_t { COUNTS, COUNTS_AS_ONE_OF_MANY, COUNTS_NOT } weight_t;

static weight_t weigh(abl_balancer_row_t *b, abl_ailment_t *a, uint32_t row, const abl_outcome_t *outcome,
                      int64_t now)
{
    abl_doubt_t *doubt = outcome->what != 0 ? find_doubt(b, outcome->what, now) : NULL;

    if (outcome->what == 0) {
        return COUNTS;
    }
    if (doubt == NULL) {
        bool is_new = is_new_client(a, outcome->client);
        begin_doubt(b, outcome, row, is_new, now);
        return is_new ? COUNTS : COUNTS_AS_ONE_OF_MANY;
    }
    doubt->at = now;
    if (doubt->elsewhere) {
        return outcome->client == doubt->client || is_new_client(a, outcome->client) ? COUNTS
                                                                                     : COUNTS_AS_ONE_OF_MANY;
    }
    doubt->everywhere |= doubt->row != row;
    doubt->pending = doubt->everywhere ? 0 : doubt->pending;
    return doubt->everywhere ? COUNTS_NOT : COUNTS_AS_ONE_OF_MANY;
}

/* ---- rates ------------------------------------------------------------------------------------------ */

/* Two halves of over=: so a rate is of at least a half of it, and at most all. */
static void count_in_window(abl_ailment_t *a, int64_t over, bool bad, int64_t now)
{
    if (now - a->now.since >= over / 2) {
        a->before = now - a->now.since < over ? a->now : (abl_window_t){.since = now};
        a->now = (abl_window_t){.since = now};
    }
    a->now.good += !bad;
    a->now.bad += bad;
}

static uint32_t rate_of(const abl_ailment_t *a)
{
    uint64_t bad = (uint64_t)a->now.bad + a->before.bad;
    uint64_t all = bad + a->now.good + a->before.good;

    return all >= RATE_AT_LEAST ? (uint32_t)(bad * 100 / all) : 0;
}

/* ---- ejecting --------------------------------------------------------------------------------------- */

/* How many of the balancer's members may be used, and how many of those are out? */
static bool may_eject_one(const abl_segment_t *segment, const abl_balancer_row_t *b)
{
    uint32_t i, all = 0, out = 0;

    for (i = 0; i < b->nlisted; i++) {
        const abl_row_t *r = &segment->rows[b->rows[i]];
        if (r->status == ABL_STATUS_DISABLED) {
            continue;
        }
        all++;
        out += r->ailment.ejected || r->ailment.away || r->ailment.unfit || r->ailment.unproven || r->shut;
    }
    return (out + 1) * 100 <= b->eject.max_share * all;
}

static void note_change_at(abl_balancer_row_t *b, int64_t at)
{
    b->change_at = b->change_at == 0 || at < b->change_at ? at : b->change_at;
}

static void begin_anew(abl_ailment_t *a)
{
    a->run = a->raw = a->good_run = a->nclients = 0;
    a->now = a->before = (abl_window_t){.since = 0};
}

/* What is known about why, and until when, is there before the mark. */
static void leave_out_until(abl_segment_t *segment, abl_row_t *r, int64_t until)
{
    r->ailment.until = until;
    r->ailment.on_trial = 0;
    begin_anew(&r->ailment);
    abl_in_order();
    r->ailment.ejected = 1;
    note_change_at(&segment->balancers[r->balancer], until);
    abl_grant_ring(segment);
}

static void eject(abl_segment_t *segment, abl_row_t *r, bool by_rate, uint32_t fails, int64_t now)
{
    abl_balancer_row_t *b = &segment->balancers[r->balancer];
    abl_ailment_t *a = &r->ailment;

    if (a->back_at == 0 || now - a->back_at > DURATIONS_MAX * b->eject.duration) {
        a->times = 0;
    }
    a->times = a->times < DURATIONS_MAX ? a->times + 1 : a->times;
    a->by_rate = by_rate;
    a->by_wish = a->by_hand = 0;
    a->fails = fails;
    leave_out_until(segment, r, now + (int64_t)a->times * b->eject.duration);
}

/* A process that dies breaks all its connections at once: that is one failure. */
static bool is_same_event(const abl_ailment_t *a, const abl_outcome_t *outcome)
{
    return outcome->broken && a->broke_at != 0 && outcome->began <= a->broke_at;
}

void abl_ailment_eject(abl_segment_t *segment, uint32_t row, int64_t until)
{
    abl_row_t *r = &segment->rows[row];

    r->ailment.by_rate = 0;
    r->ailment.by_wish = 1; /* no trial afterwards */
    r->ailment.by_hand = 1;
    leave_out_until(segment, r, until);
}

/* It has said so itself, and for how long: no trial afterwards. */
static bool let_rest(abl_segment_t *segment, uint32_t row, int64_t rest, int64_t now)
{
    abl_row_t *r = &segment->rows[row];

    if (r->ailment.ejected || !r->listed || !may_eject_one(segment, &segment->balancers[r->balancer])) {
        return false;
    }
    r->ailment.by_wish = 1;
    r->ailment.by_hand = 0;
    leave_out_until(segment, r, now + rest);
    return true;
}

/* Ejects it if it has failed too often. `now_proven`: and that was its fault, which is enough for one on
 * trial. */
static bool judge(abl_segment_t *segment, abl_row_t *r, bool now_proven, int64_t now)
{
    const abl_balancer_row_t *b = &segment->balancers[r->balancer];
    const abl_ailment_t *a = &r->ailment;
    bool by_row = a->run >= b->eject.failures || a->raw >= ALL_IN_A_ROW * b->eject.failures ||
                  (a->on_trial && now_proven);
    bool by_rate = rate_of(a) >= b->eject.rate;

    if ((!by_row && !by_rate) || a->ejected || !may_eject_one(segment, b)) {
        return false;
    }
    eject(segment, r, !by_row, by_row ? (a->raw > a->run ? a->raw : a->run) : rate_of(a), now);
    return true;
}

/* True: it has been ejected for it. */
static bool count_failure(abl_segment_t *segment, uint32_t row, const abl_outcome_t *outcome, int64_t now)
{
    abl_row_t *r = &segment->rows[row];
    abl_balancer_row_t *b = &segment->balancers[r->balancer];
    abl_ailment_t *a = &r->ailment;
    weight_t weight;

    if (is_same_event(a, outcome)) {
        return false;
    }
    weight = weigh(b, a, row, outcome, now);
    a->good_run = 0;
    a->broke_at = outcome->broken ? now : a->broke_at;
    if (weight == COUNTS_NOT) {
        return false;
    }
    a->raw++;
    if (weight == COUNTS) {
        a->run += weight_of(outcome);
        count_in_window(a, b->eject.over, true, now);
    }
    return judge(segment, r, weight == COUNTS, now);
}

/* A failure of which there was some doubt was its fault. */
static bool count_proof(abl_segment_t *segment, uint32_t balancer, const abl_doubt_t *proven, int64_t now)
{
    const abl_balancer_row_t *b = &segment->balancers[balancer];
    abl_row_t *r = &segment->rows[proven->row];
    abl_ailment_t *a = &r->ailment;

    if (b->eject.off || r->balancer != balancer || !r->listed || a->well_at > proven->at ||
        a->back_at > proven->at) {
        return false; /* it has answered others since, or is another one */
    }
    a->run += proven->pending;
    count_in_window(a, b->eject.over, true, now);
    return judge(segment, r, true, now);
}

/* True: a member has been ejected. */
static bool count_success(abl_segment_t *segment, uint32_t row, const abl_outcome_t *outcome, int64_t now)
{
    abl_row_t *r = &segment->rows[row];
    abl_balancer_row_t *b = &segment->balancers[r->balancer];
    abl_ailment_t *a = &r->ailment;
    abl_doubt_t proven;

    a->met = 1;
    a->well_at = now;
    a->run = a->raw = a->nclients = 0;
    if (a->now.bad + a->before.bad > 0) {
        count_in_window(a, b->eject.over, false, now);
    } else if (a->now.since != 0) {
        a->now = a->before = (abl_window_t){.since = 0};
    }
    if (a->on_trial && ++a->good_run >= b->eject.failures) {
        a->on_trial = 0;
    }
    return outcome->what != 0 && atomic_load(&b->ndoubts) > 0 &&
           find_culprit(b, outcome, row, now, &proven) != 0 &&
           count_proof(segment, r->balancer, &proven, now);
}

bool abl_ailment_learn(abl_segment_t *segment, uint32_t row, const abl_outcome_t *outcome, int64_t now)
{
    const abl_balancer_row_t *b = &segment->balancers[segment->rows[row].balancer];

    if (outcome->says_nothing) {
        return false;
    }
    if (outcome->rest > 0 && let_rest(segment, row, outcome->rest, now)) {
        return true;
    }
    if (!outcome->failed) {
        return count_success(segment, row, outcome, now);
    }
    return !b->eject.off && segment->rows[row].listed && count_failure(segment, row, outcome, now);
}

/* ---- coming back ------------------------------------------------------------------------------------ */

#define STEPS 20 /* in which a member that starts slowly grows */
#define LEAST 10 /* percent: with this it begins */

static uint32_t share_of(uint32_t value, uint32_t percent)
{
    uint64_t part = (uint64_t)value * percent / 100;

    return part > 0 ? (uint32_t)part : 1;
}

/* Gives a row what it may have by now. */
static void grow(abl_balancer_row_t *b, abl_row_t *r, int64_t now)
{
    int64_t age = now - r->ailment.back_at;
    uint32_t percent = 100;

    if (r->ailment.back_at != 0 && age < r->slow_start) {
        percent = (uint32_t)(age * 100 / r->slow_start);
        percent = percent > LEAST ? percent : LEAST;
        note_change_at(b, now + r->slow_start / STEPS);
    }
    r->c.weight = share_of(r->weight, percent);
    r->allowed = r->c.limit != 0 ? share_of(r->c.limit, percent) : 0;
}

void abl_ailment_start(abl_segment_t *segment, uint32_t row, bool now)
{
    abl_row_t *r = &segment->rows[row];

    if (now) {
        r->ailment.back_at = abl_clock_now();
    }
    if (r->slow_start != 0) {
        grow(&segment->balancers[r->balancer], r, abl_clock_now());
    }
}

void abl_ailment_check(abl_segment_t *segment, uint32_t row, bool is_new)
{
    abl_row_t *r = &segment->rows[row];
    const abl_balancer_row_t *b = &segment->balancers[r->balancer];
    bool checked = b->checked && !r->supervised;

    r->ailment.unfit = r->ailment.unfit && checked;
    r->ailment.unproven = checked && b->mandatory && (is_new || r->ailment.unproven);
    r->ailment.checks = checked ? r->ailment.checks : 0;
}

void abl_ailment_back(abl_segment_t *segment, uint32_t row, int64_t now)
{
    abl_row_t *r = &segment->rows[row];

    r->ailment.back_at = now;
    r->ailment.on_trial = r->ailment.ejected && !r->ailment.by_wish;
    begin_anew(&r->ailment);
    grow(&segment->balancers[r->balancer], r, now);
    r->ailment.by_hand = 0;
    abl_in_order();
    r->ailment.ejected = 0;
    abl_grant_ring(segment);
}

/* What time has changed about this row. */
static void look_again(abl_segment_t *segment, uint32_t row, int64_t now)
{
    abl_row_t *r = &segment->rows[row];
    abl_balancer_row_t *b = &segment->balancers[r->balancer];

    if (r->ailment.ejected && r->ailment.until > now) {
        note_change_at(b, r->ailment.until);
    } else if (r->ailment.ejected) {
        abl_ailment_back(segment, row, now);
    } else if (r->slow_start != 0) {
        grow(b, r, now);
    }
}

void abl_ailment_refresh(abl_segment_t *segment, const abl_child_t *child, uint32_t balancer)
{
    abl_balancer_row_t *b = &segment->balancers[balancer];
    int64_t now;
    uint32_t row;

    if (b->change_at == 0) {
        return;
    }
    now = abl_clock_now();
    if (now < b->change_at) {
        return;
    }
    b->change_at = 0;
    for (row = 1; row <= segment->shared->rows_used; row++) {
        if (segment->rows[row].balancer == balancer) {
            look_again(segment, row, now);
        }
    }
    abl_grant_balancer(segment, child, balancer);
}

int64_t abl_health_tick(abl_segment_t *segment, const abl_child_t *child)
{
    int64_t next = INT64_MAX;
    uint32_t i;

    for (i = 1; i <= segment->shared->balancers_used; i++) {
        if (segment->balancers[i].change_at == 0 || !abl_enter(segment, child)) {
            continue;
        }
        abl_ailment_refresh(segment, child, i);
        if (segment->balancers[i].change_at != 0 && segment->balancers[i].change_at < next) {
            next = segment->balancers[i].change_at;
        }
        abl_leave(segment);
    }
    return next;
}

/* ---- away ------------------------------------------------------------------------------------------- */

bool abl_ailment_may_wait(abl_segment_t *segment, uint32_t balancer)
{
    abl_balancer_row_t *b = &segment->balancers[balancer];
    int64_t now = abl_clock_now();

    b->outage_since = b->outage_since != 0 ? b->outage_since : now;
    return now - b->outage_since < b->outage_wait;
}

/* Inside. */
static void leave_out(abl_segment_t *segment, const abl_child_t *child, uint32_t row, int error,
                      int64_t began)
{
    abl_row_t *r = &segment->rows[row];

    if (!r->supervised && !r->shut && !r->vacant && !r->ailment.away && r->listed &&
        began >= r->ailment.back_at && began >= r->moved_at) {
        r->ailment.error = error;
        abl_in_order();
        r->ailment.away = 1;
        abl_grant_balancer(segment, child, r->balancer);
        abl_grant_ring(segment);
    }
}

void abl_health_away(abl_ledger_t *ledger, int member, int error, int64_t began)
{
    uint32_t row = ledger->row_of[member];

    if (row != 0 && abl_enter(ledger->segment, ledger->child)) {
        leave_out(ledger->segment, ledger->child, row, error, began);
        abl_leave(ledger->segment);
    }
}

void abl_health_gone(const abl_gate_t *gate, int error)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return;
    }
    row = abl_gate_find(gate);
    if (row != 0) {
        leave_out(gate->segment, gate->child, row, error, abl_clock_now());
        abl_chronicle_failure(gate->segment, row, "cannot connect", error, abl_clock_now());
    }
    abl_leave(gate->segment);
}

void abl_ailment_return(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    if (segment->rows[row].ailment.away) {
        abl_grant_forget_tries(segment, row);
        segment->balancers[segment->rows[row].balancer].outage_since = 0;
        abl_ailment_back(segment, row, abl_clock_now());
        segment->rows[row].ailment.on_trial = 0; /* who is there now is another one */
        segment->rows[row].ailment.times = 0;
        segment->rows[row].ailment.met = 1;
        abl_in_order();
        segment->rows[row].ailment.away = 0;
        abl_grant_balancer(segment, child, segment->rows[row].balancer);
    }
}

void abl_ailment_pardon(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    abl_ailment_t *a = &segment->rows[row].ailment;

    a->unfit = a->unproven = 0;
    a->checks = 0;
    if (a->ejected) {
        abl_ailment_back(segment, row, abl_clock_now());
    }
    a->on_trial = a->by_hand = 0;
    a->times = 0;
    abl_ailment_return(segment, child, row);
    abl_grant_forget_tries(segment, row);
}

bool abl_health_back(const abl_gate_t *gate)
{
    bool was_away;
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return false;
    }
    row = abl_gate_find(gate);
    was_away = row != 0 && gate->segment->rows[row].ailment.away;
    if (was_away) {
        abl_ailment_return(gate->segment, gate->child, row);
    }
    abl_leave(gate->segment);
    return was_away;
}

/* ---- looking ---------------------------------------------------------------------------------------- */

bool abl_health_asks(const abl_ledger_t *ledger)
{
    return atomic_load_explicit(&ledger->segment->balancers[ledger->balancer].ndoubts, memory_order_relaxed) >
           0;
}

bool abl_health_is_away(const abl_ledger_t *ledger, int member)
{
    return ledger->row_of[member] != 0 && ledger->segment->rows[ledger->row_of[member]].ailment.away;
}

int abl_health_bell(const abl_segment_t *segment)
{
    return segment->bell;
}

static void view_row(const abl_segment_t *segment, uint32_t row, abl_health_view_t *view)
{
    const abl_row_t *r = &segment->rows[row];

    memcpy(view->balancer, segment->balancers[r->balancer].name, sizeof(view->balancer));
    memcpy(view->address, segment->names[row].address, sizeof(view->address));
    abl_site_name(segment, row, view->name, sizeof(view->name));
    view->id = r->c.id;
    view->away = r->ailment.away;
    view->error = r->ailment.error;
    view->ejected = r->ailment.ejected;
    view->unfit = r->ailment.unfit;
    view->unproven = r->ailment.unproven;
    view->failing = r->ailment.checks < 0;
    view->disabled = r->status == ABL_STATUS_DISABLED;
    view->until = r->ailment.until;
    view->by_rate = r->ailment.by_rate;
    view->by_wish = r->ailment.by_wish && !r->ailment.by_hand;
    view->by_hand = r->ailment.by_hand;
    view->fails = r->ailment.fails;
}

bool abl_health_next(abl_segment_t *segment, const abl_child_t *child, uint32_t *row, abl_health_view_t *view)
{
    bool found = false;

    if (!abl_enter(segment, child)) {
        return false;
    }
    while (!found && ++*row <= segment->shared->rows_used) {
        found =
            segment->rows[*row].balancer != 0 && segment->rows[*row].listed && !segment->rows[*row].vacant;
    }
    if (found) {
        view_row(segment, *row, view);
    }
    abl_leave(segment);
    return found;
}
