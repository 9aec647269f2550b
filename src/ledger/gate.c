/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and shutting.
 */
#include "ledger/gate.h"

#include "ledger/ailment.h"
#include "ledger/rebuild.h"
#include "ledger/rows.h"

#include <string.h>

/* ---- finding; inside -------------------------------------------------------------------------------- */

uint32_t abl_gate_find(const abl_gate_t *gate)
{
    const abl_segment_t *segment = gate->segment;
    uint32_t b = abl_rows_find_balancer(segment, gate->balancer);

    return b != 0 ? abl_rows_find(segment, b, gate->address) : 0;
}

/* The supervised member; 0: there is none. */
static uint32_t find(const abl_gate_t *gate)
{
    uint32_t row = abl_gate_find(gate);

    return row != 0 && gate->segment->rows[row].supervised ? row : 0;
}

/* ---- opening and shutting --------------------------------------------------------------------------- */

static void set_most(abl_row_t *row, uint64_t most)
{
    row->until = most < UINT64_MAX - row->opened ? row->opened + most : UINT64_MAX;
}

bool abl_gate_open(const abl_gate_t *gate, apr_uint64_t most)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return false;
    }
    row = find(gate);
    if (row != 0) {
        abl_row_t *r = &gate->segment->rows[row];
        abl_grant_forget_tries(gate->segment, row);
        abl_ailment_forget(gate->segment, row);
        r->accused = 0;
        r->suspected = 0;
        r->opened = r->requests;
        set_most(r, most);
        r->shut = 0;
        abl_grant_balancer(gate->segment, gate->child, r->balancer);
    }
    abl_leave(gate->segment);
    return row != 0;
}

static void shut(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    if (!segment->rows[row].shut) {
        segment->rows[row].shut = 1;
        abl_grant_balancer(segment, child, segment->rows[row].balancer);
    }
}

void abl_gate_shut(const abl_gate_t *gate)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return;
    }
    row = find(gate);
    if (row != 0) {
        gate->segment->rows[row].suspected = 0;
        shut(gate->segment, gate->child, row);
    }
    abl_leave(gate->segment);
}

void abl_gate_clear(const abl_gate_t *gate)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return;
    }
    row = find(gate);
    if (row != 0 && gate->segment->rows[row].suspected) {
        gate->segment->rows[row].suspected = 0;
        gate->segment->rows[row].shut = 0;
        abl_grant_balancer(gate->segment, gate->child, gate->segment->rows[row].balancer);
    }
    abl_leave(gate->segment);
}

void abl_gate_ration(const abl_gate_t *gate, apr_uint64_t most)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return;
    }
    row = find(gate);
    if (row != 0) {
        set_most(&gate->segment->rows[row], most);
        abl_grant_row(gate->segment, gate->child, row);
    }
    abl_leave(gate->segment);
}

/* ---- looking ---------------------------------------------------------------------------------------- */

bool abl_gate_look(const abl_gate_t *gate, abl_gate_view_t *view)
{
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return false;
    }
    row = find(gate);
    if (row != 0) {
        const abl_row_t *r = &gate->segment->rows[row];
        *view = (abl_gate_view_t){!r->shut, r->suspected, r->accused, r->c.busy, r->requests - r->opened};
    }
    abl_leave(gate->segment);
    return row != 0;
}

int64_t abl_gate_head_age(const abl_gate_t *gate)
{
    uint32_t b;
    int64_t age = 0;

    if (!abl_enter(gate->segment, gate->child)) {
        return 0;
    }
    b = abl_rows_find_balancer(gate->segment, gate->balancer);
    if (b != 0) {
        age = abl_queue_head_age(gate->segment, b);
    }
    abl_leave(gate->segment);
    return age;
}

/* ---- from httpd's children -------------------------------------------------------------------------- */

void abl_gate_suspect(abl_ledger_t *ledger, int member)
{
    uint32_t row = ledger->row_of[member];

    if (row == 0 || !abl_enter(ledger->segment, ledger->child)) {
        return;
    }
    if (ledger->segment->rows[row].supervised && !ledger->segment->rows[row].shut) {
        ledger->segment->rows[row].suspected = 1;
        abl_in_order();
        shut(ledger->segment, ledger->child, row);
    }
    abl_leave(ledger->segment);
}

void abl_gate_accuse(abl_ledger_t *ledger, int member)
{
    uint32_t row = ledger->row_of[member];

    if (row != 0 && abl_enter(ledger->segment, ledger->child)) {
        ledger->segment->rows[row].accused = ledger->segment->rows[row].supervised;
        abl_leave(ledger->segment);
    }
}
