/* SPDX-License-Identifier: Apache-2.0
 *
 * What administrators change.
 */
#include "ledger/steer.h"

#include "base/clock.h"
#include "base/hash.h"
#include "ledger/ailment.h"
#include "ledger/rebuild.h"
#include "ledger/rows.h"
#include "ledger/settle.h"
#include "ledger/site_row.h"
#include "ledger/steered.h"

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- finding ---------------------------------------------------------------------------------------- */

/* One that is in the configuration. */
static uint32_t find_balancer(const abl_segment_t *segment, const char *name)
{
    uint32_t balancer = abl_rows_find_balancer(segment, name);

    return balancer != 0 && segment->balancers[balancer].listed ? balancer : 0;
}

static bool is_at(const abl_segment_t *segment, uint32_t row, const char *address)
{
    char text[ABL_ADDRESS_MAX + 1];

    return segment->rows[row].naming == ABL_NAMING_OPEN
               ? abl_site_address(segment, row, text, sizeof(text)) && strcmp(text, address) == 0
               : strcmp(segment->names[row].address, address) == 0;
}

static uint32_t find_row(const abl_segment_t *segment, uint32_t balancer, const char *address)
{
    uint32_t row;

    for (row = 1; balancer != 0 && row <= segment->shared->rows_used; row++) {
        const abl_row_t *r = &segment->rows[row];
        if (r->balancer == balancer && r->listed && !r->vacant && is_at(segment, row, address)) {
            return row;
        }
    }
    return 0;
}

/* ---- one member ------------------------------------------------------------------------------------- */

/* Whether this differs from the configuration now. */
static void mark(abl_row_t *r, unsigned bit, bool differs)
{
    abl_in_order();
    abl_probe(ABL_PROBE_STEERED);
    r->steered = (uint8_t)((r->steered & ~bit) | (differs ? bit : 0));
}

/* From now on so many requests at once. What is over that has to be known before, and after it. */
static void limit_row(abl_row_t *row, uint32_t limit)
{
    uint32_t ceiling = limit != 0 && row->c.busy > limit ? row->c.busy : 0;

    row->ceiling = ceiling > row->ceiling ? ceiling : row->ceiling;
    abl_in_order();
    row->c.limit = limit;
    abl_in_order();
    abl_probe(ABL_PROBE_STEERED);
    row->allowed = limit;
    row->ceiling = ceiling;
}

static void set_status(abl_row_t *r, abl_status_t status)
{
    r->status = (uint8_t)status;
    mark(r, ABL_STEERED_STATUS, (uint8_t)status != r->conf_status);
}

static void set_weight(abl_segment_t *segment, uint32_t row, uint32_t weight)
{
    abl_row_t *r = &segment->rows[row];

    r->weight = weight;
    abl_in_order();
    r->c.weight = weight;
    mark(r, ABL_STEERED_WEIGHT, weight != r->conf_weight);
    abl_ailment_start(segment, row, false);
}

static void set_limit(abl_segment_t *segment, uint32_t row, uint32_t limit)
{
    abl_row_t *r = &segment->rows[row];

    limit_row(r, limit);
    mark(r, ABL_STEERED_LIMIT, limit != r->conf_limit);
    abl_ailment_start(segment, row, false);
}

static void enable(abl_row_t *r)
{
    bool regular = r->conf_status != ABL_STATUS_DRAIN && r->conf_status != ABL_STATUS_DISABLED;

    r->drain = 0;
    set_status(r, regular ? (abl_status_t)r->conf_status : ABL_STATUS_ON);
}

static void restore(abl_segment_t *segment, uint32_t row)
{
    abl_row_t *r = &segment->rows[row];

    r->drain = 0;
    set_status(r, (abl_status_t)r->conf_status);
    set_weight(segment, row, r->conf_weight);
    set_limit(segment, row, r->conf_limit);
}

/* A note goes with what it is about. */
static void drop_notes(abl_segment_t *segment, uint32_t row)
{
    const abl_row_t *r = &segment->rows[row];
    bool rest = (r->steered & ~ABL_STEERED_STATUS) != 0 || r->ailment.by_hand || r->naming == ABL_NAMING_OPEN;

    if (!r->drain && !(r->steered & ABL_STEERED_STATUS)) {
        segment->chronicles[row].notes[ABL_NOTE_OF_STATUS][0] = '\0';
    }
    if (!rest) {
        segment->chronicles[row].notes[ABL_NOTE_OF_REST][0] = '\0';
    }
}

static void set_note(abl_segment_t *segment, uint32_t row, abl_note_of_t of, const char *note)
{
    apr_cpystrn(segment->chronicles[row].notes[of], note, ABL_NOTE_MAX);
    drop_notes(segment, row);
}

static abl_note_of_t note_of(abl_steer_t what)
{
    return what <= ABL_STEER_DISABLE ? ABL_NOTE_OF_STATUS : ABL_NOTE_OF_REST;
}

static void steer(abl_segment_t *segment, const abl_child_t *child, uint32_t row, abl_steer_t what,
                  apr_uint64_t value)
{
    abl_row_t *r = &segment->rows[row];

    switch (what) {
    case ABL_STEER_ENABLE:
        enable(r);
        break;
    case ABL_STEER_DRAIN:
        enable(r);
        r->drain = 1;
        break;
    case ABL_STEER_DISABLE:
        r->drain = 0;
        set_status(r, ABL_STATUS_DISABLED);
        break;
    case ABL_STEER_WEIGHT:
        set_weight(segment, row, (uint32_t)value);
        break;
    case ABL_STEER_LIMIT:
        set_limit(segment, row, (uint32_t)value);
        break;
    case ABL_STEER_RESTORE:
        restore(segment, row);
        break;
    case ABL_STEER_EJECT:
        abl_ailment_eject(segment, row, abl_clock_now() + (int64_t)value);
        break;
    case ABL_STEER_RETURN:
        abl_ailment_pardon(segment, child, row);
        break;
    }
}

/* Whoever waits may be served now, or has to look elsewhere. */
static void settle(const abl_gate_t *gate, uint32_t balancer)
{
    abl_rebuild_listing(gate->segment, balancer);
    abl_grant_balancer(gate->segment, gate->child, balancer);
    atomic_fetch_add(&gate->segment->journal->steered, 1);
    abl_grant_ring(gate->segment);
}

apr_status_t abl_steer_member(const abl_gate_t *gate, abl_steer_t what, apr_uint64_t value, const char *note)
{
    abl_segment_t *segment = gate->segment;
    uint32_t balancer, row;

    if (!abl_enter(segment, gate->child)) {
        return APR_EBUSY;
    }
    balancer = find_balancer(segment, gate->balancer);
    row = find_row(segment, balancer, gate->address);
    if (row != 0) {
        steer(segment, gate->child, row, what, value);
        set_note(segment, row, note_of(what), note);
        settle(gate, balancer);
    }
    abl_leave(segment);
    return row != 0 ? APR_SUCCESS : APR_ENOENT;
}

/* ---- open places ------------------------------------------------------------------------------------ */

/* One that is free: nobody is there, and no request of whoever was. 0: there is none. */
static uint32_t free_place(const abl_segment_t *segment, uint32_t balancer)
{
    uint32_t row;

    for (row = 1; row <= segment->shared->rows_used; row++) {
        const abl_row_t *r = &segment->rows[row];
        if (r->balancer == balancer && r->listed && r->naming == ABL_NAMING_OPEN && r->vacant &&
            r->c.busy == 0) {
            return row;
        }
    }
    return 0;
}

/* Some member of the configuration may have this very address, however that is written. */
static bool is_member(const abl_segment_t *segment, uint32_t balancer, const abl_ip_t *where)
{
    char text[ABL_ADDRESS_MAX + 1], ip[ABL_IP_TEXT];

    (void)snprintf(text, sizeof(text), "http://%s", abl_ip_text(where, ip));
    return find_row(segment, balancer, text) != 0;
}

static void occupy(abl_segment_t *segment, uint32_t row, const abl_ip_t *where, apr_uint32_t weight)
{
    abl_row_t *r = &segment->rows[row];
    char ip[ABL_IP_TEXT];
    abl_occupant_t who = {.n = 1, .late = true, .id = abl_hash_text(abl_ip_text(where, ip))};

    who.ips[0] = *where;
    restore(segment, row);
    abl_site_occupy(segment, row, &who);
    r->conf_weight = weight;
    set_weight(segment, row, weight);
}

static apr_status_t add(abl_segment_t *segment, uint32_t balancer, const abl_ip_t *where, apr_uint32_t weight,
                        const char *note)
{
    uint32_t row = balancer != 0 ? free_place(segment, balancer) : 0;

    if (balancer == 0) {
        return APR_ENOENT;
    }
    if (is_member(segment, balancer, where)) {
        return APR_EEXIST;
    }
    if (row == 0) {
        return APR_ENOSPC;
    }
    occupy(segment, row, where, weight);
    set_note(segment, row, ABL_NOTE_OF_REST, note);
    return APR_SUCCESS;
}

apr_status_t abl_steer_add(const abl_gate_t *gate, const abl_ip_t *where, apr_uint32_t weight,
                           const char *note)
{
    uint32_t balancer;
    apr_status_t rv;

    if (!abl_enter(gate->segment, gate->child)) {
        return APR_EBUSY;
    }
    balancer = find_balancer(gate->segment, gate->balancer);
    rv = add(gate->segment, balancer, where, weight, note);
    if (rv == APR_SUCCESS) {
        settle(gate, balancer);
    }
    abl_leave(gate->segment);
    return rv;
}

apr_status_t abl_steer_remove(const abl_gate_t *gate)
{
    abl_segment_t *segment = gate->segment;
    apr_status_t rv = APR_ENOENT;
    uint32_t balancer, row;

    if (!abl_enter(segment, gate->child)) {
        return APR_EBUSY;
    }
    balancer = find_balancer(segment, gate->balancer);
    row = find_row(segment, balancer, gate->address);
    if (row != 0 && segment->rows[row].naming != ABL_NAMING_OPEN) {
        rv = APR_EACCES;
    } else if (row != 0) {
        abl_site_vacate(segment, row);
        settle(gate, balancer);
        rv = APR_SUCCESS;
    }
    abl_leave(segment);
    return rv;
}

/* ---- statistics ------------------------------------------------------------------------------------- */

apr_status_t abl_steer_reset(const abl_gate_t *gate, apr_int64_t now)
{
    abl_segment_t *segment = gate->segment;
    uint32_t balancer, row;

    if (!abl_enter(segment, gate->child)) {
        return APR_EBUSY;
    }
    balancer = find_balancer(segment, gate->balancer);
    for (row = 1; balancer != 0 && row <= segment->shared->rows_used; row++) {
        abl_row_t *r = &segment->rows[row];
        if (r->balancer == balancer) {
            r->requests_then = r->requests;
            r->failures = r->bytes = 0;
            abl_chronicle_reset(segment, row);
        }
    }
    if (balancer != 0) {
        abl_tally_clear(segment, balancer);
        segment->balancers[balancer].reset_at = now;
    }
    abl_leave(segment);
    return balancer != 0 ? APR_SUCCESS : APR_ENOENT;
}

void abl_steer_ring(const abl_segment_t *segment)
{
    abl_grant_ring(segment);
}

/* ---- over restarts ---------------------------------------------------------------------------------- */

static void put_loss(char *to, size_t room, const char *what, bool more)
{
    size_t len = strlen(to);

    (void)snprintf(to + len, room - len, "%s%s", more ? ", " : "", what);
}

/* For the journal: these bits of what somebody has changed are lost. */
static void note_loss(abl_segment_t *segment, uint32_t row, unsigned lost)
{
    abl_entry_t entry = {.time = (apr_int64_t)time(NULL)};

    apr_cpystrn(entry.action, "dropped", sizeof(entry.action));
    apr_cpystrn(entry.balancer, segment->balancers[segment->rows[row].balancer].name, sizeof(entry.balancer));
    apr_cpystrn(entry.target, segment->names[row].address, sizeof(entry.target));
    apr_cpystrn(entry.result, "the configuration has changed, and wins: ", sizeof(entry.result));
    if (lost & ABL_STEERED_STATUS) {
        put_loss(entry.result, sizeof(entry.result), "status", false);
    }
    if (lost & ABL_STEERED_WEIGHT) {
        put_loss(entry.result, sizeof(entry.result), "weight", lost & ABL_STEERED_STATUS);
    }
    if (lost & ABL_STEERED_LIMIT) {
        put_loss(entry.result, sizeof(entry.result), "concurrency", (lost & ~ABL_STEERED_LIMIT) != 0);
    }
    abl_journal_write(segment, &entry);
}

/* The configuration was read: what somebody has changed stays as long as it says what it said then. */
void abl_steered_configure(abl_segment_t *segment, uint32_t row, const abl_member_conf_t *conf, bool is_new)
{
    abl_row_t *r = &segment->rows[row];
    unsigned stays = is_new ? 0 : r->steered;
    bool own_weight = r->naming >= ABL_NAMING_RECORD && !r->shut && !is_new; /* it came with who is there */
    unsigned lost = 0;

    if (is_new || (abl_status_t)r->conf_status != conf->status) {
        lost = r->drain ? ABL_STEERED_STATUS : 0;
        r->drain = 0;
        stays &= ~ABL_STEERED_STATUS;
    }
    stays &= own_weight || r->conf_weight == conf->weight ? ~0u : ~ABL_STEERED_WEIGHT;
    stays &= r->conf_limit == conf->concurrency ? ~0u : ~ABL_STEERED_LIMIT;
    lost |= r->steered & ~stays;
    if (lost != 0) {
        note_loss(segment, row, lost);
    }
    r->steered = (uint8_t)stays;
    r->conf_status = (uint8_t)conf->status;
    r->conf_limit = conf->concurrency;
    if (!(stays & ABL_STEERED_STATUS)) {
        r->status = (uint8_t)conf->status;
    }
    if (!(stays & ABL_STEERED_LIMIT)) {
        limit_row(r, conf->concurrency);
    }
    if (!own_weight) {
        r->conf_weight = conf->weight;
    }
    if (!own_weight && !(stays & ABL_STEERED_WEIGHT)) {
        r->weight = r->c.weight = conf->weight;
    }
    drop_notes(segment, row);
}

void abl_steered_give_way(abl_segment_t *segment, uint32_t row)
{
    const abl_row_t *r = &segment->rows[row];
    abl_entry_t entry = {.time = (apr_int64_t)time(NULL), .action = "dropped"};
    uint32_t other;

    if (r->balancer == 0 || !r->listed || r->vacant || r->naming != ABL_NAMING_OPEN ||
        !abl_site_address(segment, row, entry.target, sizeof(entry.target))) {
        return;
    }
    other = abl_rows_find(segment, r->balancer, entry.target);
    if (other == 0 || !segment->rows[other].listed) {
        return;
    }
    apr_cpystrn(entry.balancer, segment->balancers[r->balancer].name, sizeof(entry.balancer));
    apr_cpystrn(entry.result, "the configuration has this member now, and what was added gives way",
                sizeof(entry.result));
    abl_journal_write(segment, &entry);
    abl_site_vacate(segment, row);
}

static void view_steered(const abl_segment_t *segment, uint32_t row, abl_steered_t *steered)
{
    const abl_row_t *r = &segment->rows[row];

    memset(steered, 0, sizeof(*steered));
    apr_cpystrn(steered->balancer, segment->balancers[r->balancer].name, sizeof(steered->balancer));
    memcpy(steered->notes, segment->chronicles[row].notes, sizeof(steered->notes));
    steered->added = r->naming == ABL_NAMING_OPEN;
    if (!steered->added || !abl_site_address(segment, row, steered->address, sizeof(steered->address))) {
        apr_cpystrn(steered->address, segment->names[row].address, sizeof(steered->address));
    }
    steered->what = r->steered;
    steered->drain = r->drain;
    steered->status = r->status;
    steered->conf_status = r->conf_status;
    steered->weight = r->weight;
    steered->conf_weight = r->conf_weight;
    steered->limit = r->c.limit;
    steered->conf_limit = r->conf_limit;
}

static bool is_steered(const abl_row_t *r)
{
    return r->balancer != 0 && r->listed && !r->vacant &&
           (r->steered != 0 || r->drain || r->naming == ABL_NAMING_OPEN);
}

bool abl_steer_next(abl_segment_t *segment, uint32_t *row, abl_steered_t *steered)
{
    bool found = false;

    if (!abl_enter(segment, NULL)) {
        return false;
    }
    while (!found && ++*row <= segment->shared->rows_used) {
        found = is_steered(&segment->rows[*row]);
    }
    if (found) {
        view_steered(segment, *row, steered);
    }
    abl_leave(segment);
    return found;
}

/* An added member is added again. */
static uint32_t find_or_add(abl_segment_t *segment, uint32_t balancer, const abl_steered_t *s)
{
    uint32_t row = find_row(segment, balancer, s->address);
    abl_ip_t where;

    if (row == 0 && s->added && abl_ip_parse(s->address + strlen("http://"), &where) &&
        add(segment, balancer, &where, s->conf_weight, s->notes[ABL_NOTE_OF_REST]) == APR_SUCCESS) {
        row = find_row(segment, balancer, s->address);
    }
    return row;
}

unsigned abl_steer_again(abl_segment_t *segment, const abl_steered_t *s, bool *found)
{
    const abl_gate_t gate = {.segment = segment};
    unsigned stale = s->what;
    uint32_t balancer, row;

    *found = false;
    if (!abl_enter(segment, NULL)) {
        return stale;
    }
    balancer = find_balancer(segment, s->balancer);
    row = find_or_add(segment, balancer, s);
    if (row != 0) {
        abl_row_t *r = &segment->rows[row];
        *found = true;
        stale |= s->drain ? ABL_STEERED_STATUS : 0;
        if (s->conf_status == (int)r->conf_status) {
            r->drain = s->drain;
            if (s->what & ABL_STEERED_STATUS) {
                set_status(r, (abl_status_t)s->status);
            }
            stale &= ~ABL_STEERED_STATUS;
        }
        if ((s->what & ABL_STEERED_WEIGHT) && s->conf_weight == r->conf_weight) {
            set_weight(segment, row, s->weight);
            stale &= ~ABL_STEERED_WEIGHT;
        }
        if ((s->what & ABL_STEERED_LIMIT) && s->conf_limit == r->conf_limit) {
            set_limit(segment, row, s->limit);
            stale &= ~ABL_STEERED_LIMIT;
        }
        memcpy(segment->chronicles[row].notes, s->notes, sizeof(s->notes));
        drop_notes(segment, row);
        settle(&gate, balancer);
    }
    abl_leave(segment);
    return stale;
}

apr_uint64_t abl_steer_number(const abl_segment_t *segment)
{
    return atomic_load(&segment->journal->steered);
}
