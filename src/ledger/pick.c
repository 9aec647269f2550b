/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiers: sets in ascending order, within a set those that are on and spares for those that cannot be used;
 * when no set has anybody, backups. Being busy is no reason to look further: a busy member is waited for.
 * When there is nobody, members that are ejected or fail their checks: a sick pool is better than none. And
 * when there is nobody at all, the instances of applications that are not there yet (gate.h), members whose
 * first check has not passed yet (checks.h), and members that have worked before and may come back
 * (health.h).
 */
#include "ledger/pick.h"

#include <string.h>

static bool was_tried(const abl_segment_t *segment, const abl_asker_t *asker, const abl_row_t *row)
{
    return asker->tried != NULL && abl_tried_has(asker->tried, (int)(row - segment->rows));
}

static bool may_if_listed(const abl_segment_t *segment, const abl_asker_t *asker, const abl_row_t *row)
{
    return row->balancer == asker->balancer && abl_row_is_of(row, asker->generation) &&
           row->status != ABL_STATUS_DISABLED && !row->vacant && !was_tried(segment, asker, row);
}

static bool may(const abl_segment_t *segment, const abl_asker_t *asker, const abl_row_t *row)
{
    return row->listed && !row->shut && !row->ailment.away && !row->ailment.ejected && !row->ailment.unfit &&
           !row->ailment.unproven && may_if_listed(segment, asker, row);
}

/* It is not there yet, and will be. */
static bool is_expected(const abl_row_t *row)
{
    return row->shut || row->ailment.unproven;
}

static bool may_in_panic(const abl_segment_t *segment, const abl_asker_t *asker, const abl_row_t *row)
{
    return row->listed && !is_expected(row) && !row->ailment.away && may_if_listed(segment, asker, row);
}

/* It is out of the configuration, but in that of the asker's generation. */
static bool may_at_last(const abl_segment_t *segment, const abl_asker_t *asker, const abl_row_t *row)
{
    return !row->listed && !row->shut && !row->ailment.away && may_if_listed(segment, asker, row);
}

bool abl_pick_may_only(const abl_segment_t *segment, const abl_asker_t *asker, uint32_t row, bool strict)
{
    const abl_row_t *r = &segment->rows[row];

    return row != 0 && !(asker->unlimited && r->c.limit != 0) &&
           (may(segment, asker, r) || may_at_last(segment, asker, r) ||
            (strict && may_in_panic(segment, asker, r)));
}

static void add(const abl_segment_t *segment, abl_group_t *group, uint32_t row)
{
    group->rows[group->n++] = row;
    group->room = group->room || abl_row_has_room(&segment->rows[row]);
}

static bool is_regular(const abl_row_t *row)
{
    return row->status == ABL_STATUS_ON || row->status == ABL_STATUS_DRAIN ||
           row->status == ABL_STATUS_DISABLED;
}

/* Adds those of rows [from, to) that are on. Returns how many of the set's regular members are missing. */
static int add_regular(const abl_segment_t *segment, const abl_asker_t *asker, const uint32_t *from,
                       const uint32_t *to, abl_group_t *group)
{
    int missing = 0;

    for (; from < to; from++) {
        const abl_row_t *row = &segment->rows[*from];
        if (row->status == ABL_STATUS_ON && !row->drain && may(segment, asker, row)) {
            add(segment, group, *from);
        } else {
            missing += is_regular(row);
        }
    }
    return missing;
}

static void add_with(const abl_segment_t *segment, const abl_asker_t *asker, const uint32_t *from,
                     const uint32_t *to, abl_status_t status, int most, abl_group_t *group)
{
    for (; from < to && most > 0; from++) {
        const abl_row_t *row = &segment->rows[*from];
        if (row->status == status && !row->drain && may(segment, asker, row)) {
            add(segment, group, *from);
            most--;
        }
    }
}

static bool is_used(const abl_row_t *row)
{
    return row->status != ABL_STATUS_DRAIN && row->status != ABL_STATUS_DISABLED && !row->drain;
}

/* All that can be reached, whatever they have done, and whatever tier they are in. */
static void add_in_panic(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group)
{
    const abl_balancer_row_t *b = &segment->balancers[asker->balancer];
    uint32_t i;

    for (i = 0; i < b->nlisted; i++) {
        const abl_row_t *row = &segment->rows[b->rows[i]];
        if (is_used(row) && may_in_panic(segment, asker, row)) {
            add(segment, group, b->rows[i]);
        }
    }
}

/* It may be waited for. Whoever has tried one that is away has sent it nothing. */
static bool may_come_back(const abl_segment_t *segment, const abl_asker_t *asker, const abl_row_t *row)
{
    if (is_expected(row)) {
        return row->status == ABL_STATUS_ON && may_if_listed(segment, asker, row);
    }
    return row->ailment.away && row->ailment.met && row->balancer == asker->balancer && !row->vacant &&
           abl_row_is_of(row, asker->generation);
}

/* Where somebody can be reached that the asker has tried already, there is no outage to be waited for. */
static void add_absent(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group)
{
    const abl_balancer_row_t *b = &segment->balancers[asker->balancer];
    bool reachable = false;
    uint32_t i;

    for (i = 0; i < b->nlisted && !reachable; i++) {
        const abl_row_t *row = &segment->rows[b->rows[i]];
        reachable = is_used(row) && !is_expected(row) && !row->ailment.away;
    }
    group->outage = true;
    for (i = 0; i < b->nlisted; i++) {
        const abl_row_t *row = &segment->rows[b->rows[i]];
        if (is_used(row) && may_come_back(segment, asker, row) && (is_expected(row) || !reachable)) {
            add(segment, group, b->rows[i]);
            group->outage = group->outage && !is_expected(row);
        }
    }
    group->outage = group->outage && group->n > 0;
}

/* Those that only the asker's generation knows: whoever has nobody else may finish there. */
static void add_gone(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group)
{
    uint32_t row;

    for (row = 1; row <= segment->shared->rows_used && group->n < ABL_MEMBERS_MAX; row++) {
        if (may_at_last(segment, asker, &segment->rows[row])) {
            add(segment, group, row);
        }
    }
}

/* The end of the set that begins at `from`. */
static const uint32_t *end_of_set(const abl_segment_t *segment, const uint32_t *from, const uint32_t *end)
{
    uint8_t set = segment->rows[*from].set;

    while (from < end && segment->rows[*from].set == set) {
        from++;
    }
    return from;
}

void abl_pick_group(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group)
{
    const abl_balancer_row_t *b = &segment->balancers[asker->balancer];
    const uint32_t *end = b->rows + b->nlisted;
    const uint32_t *from, *to;

    group->n = 0;
    group->room = false;
    group->outage = false;
    for (from = b->rows; from < end && group->n == 0; from = to) {
        to = b->simple ? end : end_of_set(segment, from, end);
        int missing = add_regular(segment, asker, from, to, group);
        if (!b->simple) {
            add_with(segment, asker, from, to, ABL_STATUS_SPARE, missing, group);
        }
    }
    for (from = b->rows; from < end && group->n == 0 && !b->simple; from = to) {
        to = end_of_set(segment, from, end);
        add_with(segment, asker, from, to, ABL_STATUS_BACKUP, ABL_MEMBERS_MAX, group);
    }
    if (group->n == 0) {
        add_gone(segment, asker, group);
    }
    if (group->n == 0) {
        add_in_panic(segment, asker, group);
    }
    if (group->n == 0) {
        add_absent(segment, asker, group);
    }
}

void abl_pick_beside(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group)
{
    abl_asker_t fresh = *asker;
    int i, n = 0;

    fresh.tried = NULL;
    abl_pick_group(segment, &fresh, group);
    group->room = false;
    for (i = 0; i < group->n; i++) {
        const abl_row_t *row = &segment->rows[group->rows[i]];
        if (may(segment, asker, row) && !(asker->unlimited && row->c.limit != 0)) {
            group->rows[n++] = group->rows[i];
            group->room = group->room || abl_row_has_room(row);
        }
    }
    group->n = n;
}

/* Has the asker tried nobody, so that the common group is his? Then it is known. */
static bool is_common(const abl_segment_t *segment, const abl_asker_t *asker, abl_common_t *common)
{
    abl_scratch_t *scratch = segment->scratch;
    int i;

    if (asker->tried != NULL) {
        return false;
    }
    if (common->balancer == asker->balancer && common->generation == asker->generation) {
        return true;
    }
    abl_pick_group(segment, asker, &scratch->group);
    *common = (abl_common_t){asker->balancer, asker->generation, scratch->group.n};
    scratch->mark++;
    for (i = 0; i < scratch->group.n; i++) {
        scratch->marks[scratch->group.rows[i]] = scratch->mark;
    }
    return true;
}

bool abl_pick_has_nobody(const abl_segment_t *segment, const abl_asker_t *asker, abl_common_t *common)
{
    abl_scratch_t *scratch = segment->scratch;
    abl_common_t before = *common;
    int i;

    if (!is_common(segment, asker, common)) {
        abl_pick_group(segment, asker, &scratch->group);
    } else if (before.balancer == common->balancer && before.generation == common->generation) {
        return common->n == 0; /* it was worked out for somebody else */
    }
    for (i = 0; i < scratch->group.n; i++) {
        scratch->wanted[scratch->group.rows[i]] = scratch->want;
    }
    return scratch->group.n == 0;
}

bool abl_pick_has(const abl_segment_t *segment, const abl_asker_t *asker, uint32_t row, abl_common_t *common)
{
    const abl_row_t *r = &segment->rows[row];
    abl_group_t *group = &segment->scratch->group;
    int i;

    if (!may_in_panic(segment, asker, r) && !may_at_last(segment, asker, r)) {
        return false;
    }
    if (may(segment, asker, r) && segment->balancers[asker->balancer].simple) {
        return true;
    }
    if (is_common(segment, asker, common)) {
        return segment->scratch->marks[row] == segment->scratch->mark;
    }
    abl_pick_group(segment, asker, group);
    for (i = 0; i < group->n; i++) {
        if (group->rows[i] == row) {
            return true;
        }
    }
    return false;
}

uint32_t abl_pick_choose(abl_segment_t *segment, const abl_group_t *group, const abl_method_t *method,
                         const abl_pick_t *request)
{
    abl_candidate_t *candidates = segment->scratch->candidates;
    int i, chosen;

    for (i = 0; i < group->n; i++) {
        const abl_row_t *row = &segment->rows[group->rows[i]];
        candidates[i] = row->c;
        candidates[i].usable = abl_row_has_room(row);
    }
    chosen = method->pick(candidates, group->n, request);
    for (i = 0; i < group->n; i++) {
        segment->rows[group->rows[i]].c.credit = candidates[i].credit;
    }
    /* A method may come from another module. */
    return chosen >= 0 && chosen < group->n && candidates[chosen].usable &&
                   abl_row_has_room(&segment->rows[group->rows[chosen]])
               ? group->rows[chosen]
               : 0;
}

uint32_t abl_pick_any(const abl_segment_t *segment, const abl_group_t *group)
{
    uint32_t best = 0;
    int i;

    for (i = 0; i < group->n; i++) {
        const abl_row_t *row = &segment->rows[group->rows[i]];
        if (abl_row_has_room(row) && (best == 0 || row->c.busy < segment->rows[best].c.busy)) {
            best = group->rows[i];
        }
    }
    return best;
}
