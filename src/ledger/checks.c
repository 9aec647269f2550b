/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks that have passed or failed.
 */
#include "ledger/checks.h"

#include "base/clock.h"
#include "ledger/ailment.h"
#include "ledger/rebuild.h"

/* The row of a member that is checked; 0: there is none. */
static uint32_t find(const abl_gate_t *gate)
{
    const abl_segment_t *segment = gate->segment;
    uint32_t row = abl_gate_find(gate);

    return row != 0 && segment->balancers[segment->rows[row].balancer].checked &&
                   !segment->rows[row].supervised
               ? row
               : 0;
}

/* Is it enough, for one that is left out? */
static bool is_enough(abl_ailment_t *a, unsigned rise)
{
    if (a->away || a->unproven) { /* who was away is another one now */
        return true;
    }
    a->checks = a->checks < 0 || !a->unfit ? 0 : a->checks;
    a->checks += a->unfit;
    return a->unfit && (unsigned)a->checks >= rise;
}

static void take_in(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    abl_ailment_t *a = &segment->rows[row].ailment;

    if (!a->away) {
        abl_ailment_back(segment, row, abl_clock_now());
        abl_grant_forget_tries(segment, row);
    }
    a->checks = 0;
    a->unfit = 0;
    a->unproven = 0;
    abl_ailment_return(segment, child, row);
    abl_grant_balancer(segment, child, segment->rows[row].balancer);
}

abl_checks_change_t abl_checks_pass(const abl_gate_t *gate, unsigned rise)
{
    abl_checks_change_t change = ABL_CHECKS_SAME;
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return change;
    }
    row = find(gate);
    if (row != 0) {
        abl_ailment_t *a = &gate->segment->rows[row].ailment;
        if (is_enough(a, rise)) {
            take_in(gate->segment, gate->child, row);
            change = ABL_CHECKS_IN;
        } else if (a->unfit) {
            change = ABL_CHECKS_OUT;
        }
    }
    abl_leave(gate->segment);
    return change;
}

abl_checks_change_t abl_checks_fail(const abl_gate_t *gate, unsigned fall)
{
    abl_checks_change_t change = ABL_CHECKS_SAME;
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return change;
    }
    row = find(gate);
    if (row != 0) {
        abl_ailment_t *a = &gate->segment->rows[row].ailment;
        a->checks = a->checks > 0 ? -1 : a->checks > INT16_MIN ? a->checks - 1 : a->checks;
        if (!a->unfit && !a->unproven && !a->away && -a->checks >= (int)fall) {
            a->unfit = 1;
            abl_grant_balancer(gate->segment, gate->child, gate->segment->rows[row].balancer);
            abl_grant_ring(gate->segment);
            change = ABL_CHECKS_OUT;
        }
    }
    abl_leave(gate->segment);
    return change;
}

uint32_t abl_checks_take(const abl_gate_t *gate)
{
    abl_segment_t *segment = gate->segment;
    uint32_t row;

    if (!abl_enter(segment, gate->child)) {
        return 0;
    }
    row = find(gate);
    if (row != 0 && segment->rows[row].c.limit != 0 &&
        segment->rows[row].c.busy >= segment->rows[row].allowed) {
        row = 0;
    }
    if (row != 0) {
        ++*abl_held(segment, gate->child->seat, row);
        abl_in_order();
        abl_probe(ABL_PROBE_COUNTED);
        segment->rows[row].c.busy++;
    }
    abl_leave(segment);
    return row;
}

void abl_checks_give(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    uint32_t *held = abl_held(segment, child->seat, row);
    abl_row_t *r = &segment->rows[row];

    if (!abl_enter(segment, child)) {
        return;
    }
    if (*held > 0) {
        --*held;
        abl_in_order();
        abl_probe(ABL_PROBE_COUNTED);
        r->c.busy--;
        r->ceiling = r->ceiling != 0 && r->c.busy > r->c.limit ? r->c.busy : 0;
        abl_grant_row(segment, child, row);
        abl_grant_forget(segment, row);
    }
    abl_leave(segment);
}
