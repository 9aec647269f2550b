/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is where, from now on.
 */
#include "ledger/settle.h"

#include "base/clock.h"
#include "ledger/ailment.h"
#include "ledger/rebuild.h"
#include "ledger/site_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The row of this gate, if it is one with a name; 0: it is not. */
static uint32_t find(const abl_gate_t *gate)
{
    uint32_t row = abl_gate_find(gate);

    return row != 0 && gate->segment->rows[row].naming != ABL_NAMING_NONE ? row : 0;
}

static bool is_vacant(const abl_row_t *r)
{
    return r->vacant && !r->shut;
}

void abl_site_vacate(abl_segment_t *segment, uint32_t row)
{
    abl_row_t *r = &segment->rows[row];

    r->moved_at = abl_clock_now();
    r->vacant = 1;
    abl_in_order();
    r->shut = 0;
    abl_site_publish(segment, row, NULL, 0);
}

/* What is known of somebody else. Counters of the slot's own begin anew, too: they are shown as his. */
static void forget(abl_segment_t *segment, uint32_t row)
{
    abl_row_t *r = &segment->rows[row];

    abl_ailment_forget(segment, row);
    abl_chronicle_clear(segment, row);
    r->ailment.met = 0;
    r->c.latency = 0;
    r->c.mean_bytes = r->c.traffic = 0;
    r->c.credit = 0;
    r->failures = r->bytes = r->requests = r->opened = 0;
    r->drain = abl_site_is_slot(r) ? 0 : r->drain;
    abl_grant_forget_tries(segment, row);
}

static void name_it(abl_segment_t *segment, uint32_t row, apr_uint64_t id)
{
    if (abl_site_is_slot(&segment->rows[row])) {
        __atomic_store_n(&segment->rows[row].c.id, id, __ATOMIC_RELAXED);
        (void)snprintf(segment->names[row].route, sizeof(segment->names[row].route), "%016" PRIx64,
                       (uint64_t)id);
    }
}

static void weigh(abl_segment_t *segment, uint32_t row, const abl_occupant_t *who)
{
    abl_row_t *r = &segment->rows[row];

    if (r->naming == ABL_NAMING_RECORD) {
        bool steered = (r->steered & ABL_STEERED_WEIGHT) && r->conf_weight == who->weight;
        r->conf_weight = who->weight;
        if (!steered) {
            r->weight = r->c.weight = who->weight;
            r->steered &= (uint8_t)~ABL_STEERED_WEIGHT;
        }
        r->set = (uint8_t)who->set;
    }
}

/* It is vacant until all is said, so that whoever dies here leaves nobody where he is not. */
void abl_site_occupy(abl_segment_t *segment, uint32_t row, const abl_occupant_t *who)
{
    abl_row_t *r = &segment->rows[row];
    bool added = r->shut && r->born > 1; /* by a graceful restart */

    r->vacant = 1;
    abl_in_order();
    r->moved_at = abl_clock_now();
    forget(segment, row);
    name_it(segment, row, who->id);
    weigh(segment, row, who);
    abl_site_publish(segment, row, who->ips, who->n);
    abl_ailment_start(segment, row, who->late || added);
    r->shut = 0;
    abl_in_order();
    abl_probe(ABL_PROBE_SITE);
    r->vacant = 0;
}

static bool has_moved(const abl_segment_t *segment, uint32_t row, const abl_occupant_t *who)
{
    abl_site_t site;

    abl_site_of_row(segment, row, &site);
    return site.n != who->n || memcmp(site.ips, who->ips, (size_t)who->n * sizeof(*who->ips)) != 0;
}

static bool is_weighed(const abl_row_t *r, const abl_occupant_t *who)
{
    return r->naming != ABL_NAMING_RECORD || (r->conf_weight == who->weight && r->set == who->set);
}

/* True: something has changed. */
static bool settle(abl_segment_t *segment, uint32_t row, const abl_occupant_t *who)
{
    abl_row_t *r = &segment->rows[row];
    bool moved;

    if (who == NULL) {
        if (!is_vacant(r)) {
            abl_site_vacate(segment, row);
            return true;
        }
        return false;
    }
    if (r->shut || r->vacant || (abl_site_is_slot(r) && r->c.id != who->id)) {
        abl_site_occupy(segment, row, who);
        return true;
    }
    moved = has_moved(segment, row, who);
    if (moved) {
        r->moved_at = abl_clock_now();
        abl_site_publish(segment, row, who->ips, who->n);
    }
    if (!is_weighed(r, who)) {
        weigh(segment, row, who);
        abl_ailment_start(segment, row, false);
        return true;
    }
    return moved;
}

bool abl_site_settle(const abl_gate_t *gate, const abl_occupant_t *who)
{
    abl_segment_t *segment = gate->segment;
    uint32_t row;

    if (!abl_enter(segment, gate->child)) {
        return false;
    }
    row = find(gate);
    if (row != 0 && settle(segment, row, who)) {
        uint32_t balancer = segment->rows[row].balancer;
        abl_rebuild_listing_with(segment, row);
        abl_grant_balancer(segment, gate->child, balancer);
        abl_grant_ring(segment);
    }
    abl_leave(segment);
    return row != 0;
}

/* ---- looking ---------------------------------------------------------------------------------------- */

bool abl_site_look(const abl_gate_t *gate, abl_site_view_t *view)
{
    const abl_row_t *r;
    uint32_t row;

    if (!abl_enter(gate->segment, gate->child)) {
        return false;
    }
    row = find(gate);
    r = &gate->segment->rows[row];
    if (row != 0) {
        *view = (abl_site_view_t){.pending = r->shut,
                                  .vacant = is_vacant(r),
                                  .id = r->c.id,
                                  .busy = r->c.busy,
                                  .weight = r->conf_weight,
                                  .set = r->set};
        abl_site_of_row(gate->segment, row, &view->site);
    }
    abl_leave(gate->segment);
    return row != 0;
}
