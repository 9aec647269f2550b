/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration was read, perhaps not for the first time: what is known stays, what is new begins, what
 * is gone is drained.
 */
#include "base/hash.h"
#include "ledger/ailment.h"
#include "ledger/lateness.h"
#include "ledger/rebuild.h"
#include "ledger/rows.h"
#include "ledger/site_row.h"
#include "ledger/steered.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* ---- identity --------------------------------------------------------------------------------------- */

static void set_text(char *to, size_t room, const char *text)
{
    size_t len = strlen(text);

    len = len < room ? len : room - 1;
    memcpy(to, text, len);
    memset(to + len, 0, room - len);
}

/* ---- balancers -------------------------------------------------------------------------------------- */

static bool is_forgotten(const abl_segment_t *segment, uint32_t balancer)
{
    uint32_t row;

    if (segment->balancers[balancer].listed || segment->balancers[balancer].waiting > 0) {
        return false;
    }
    for (row = 1; row <= segment->shared->rows_used; row++) {
        if (segment->rows[row].balancer == balancer) {
            return false;
        }
    }
    return true;
}

static uint32_t new_balancer(abl_segment_t *segment, const char *name)
{
    uint32_t i = 1;

    while (i <= segment->shared->balancers_used && !is_forgotten(segment, i)) {
        i++;
    }
    if (i > ABL_LEDGER_BALANCERS) {
        return 0;
    }
    if (i > segment->shared->balancers_used) {
        segment->shared->balancers_used = i;
    }
    memset(&segment->balancers[i], 0, offsetof(abl_balancer_row_t, rows));
    segment->balancers[i].savings = ABL_RETRY_BURST * 100;
    abl_tally_clear(segment, i);
    abl_history_clear(segment, i);
    set_text(segment->balancers[i].name, sizeof(segment->balancers[i].name), name);
    return i;
}

/* ---- members ---------------------------------------------------------------------------------------- */

/* `from`: none before it is free; brought forward. */
static uint32_t free_row(abl_segment_t *segment, uint32_t *from)
{
    uint32_t row = *from;

    while (row <= segment->shared->rows_used && segment->rows[row].balancer != 0) {
        row++;
    }
    if (row > segment->shared->rows_used && row <= ABL_LEDGER_MEMBERS) {
        segment->shared->rows_used = row;
    }
    *from = row;
    return row <= ABL_LEDGER_MEMBERS ? row : 0;
}

static uint32_t new_row(abl_segment_t *segment, uint32_t balancer, const char *address, uint32_t *from)
{
    uint32_t row = free_row(segment, from);

    if (row == 0) {
        return 0;
    }
    memset(&segment->rows[row], 0, sizeof(segment->rows[row]));
    abl_chronicle_clear(segment, row);
    segment->rows[row].until = UINT64_MAX;
    segment->rows[row].c.id = abl_hash_text(address);
    set_text(segment->names[row].address, sizeof(segment->names[row].address), address);
    abl_in_order();
    segment->rows[row].balancer = balancer;
    abl_rows_add(segment, row);
    return row;
}

/* Where it is has to be found out; a slot's occupant says what it is called, a record what it weighs. */
static void set_naming(abl_segment_t *segment, uint32_t row, const abl_member_conf_t *conf, bool is_new)
{
    abl_row_t *r = &segment->rows[row];

    if (conf->naming != ABL_NAMING_NONE && (is_new || conf->naming != r->naming)) {
        abl_site_begin(segment, row, conf->naming);
    }
    r->naming = (uint8_t)conf->naming;
    if (conf->naming != ABL_NAMING_RECORD || r->shut) {
        r->set = (uint8_t)conf->set;
    }
    if (conf->naming < ABL_NAMING_SLOT || r->shut) {
        set_text(segment->names[row].route, sizeof(segment->names[row].route), conf->route);
    }
}

static void set_row(abl_segment_t *segment, uint32_t row, const abl_member_conf_t *conf, uint32_t order)
{
    abl_row_t *r = &segment->rows[row];
    bool is_new = !r->listed;

    if (is_new) {
        /* Children of generations that did not know it must not be given it. */
        r->before = r->born;
        r->before_gone = r->gone;
        r->born = segment->shared->generation;
    }
    if (conf->supervised != r->supervised) {
        r->until = UINT64_MAX;
        r->shut = conf->supervised; /* whoever answers at the address is not yet one of ours */
        r->supervised = conf->supervised;
    }
    set_naming(segment, row, conf, is_new);
    r->order = order;
    r->slow_start = conf->slow_start;
    abl_steered_configure(segment, row, conf, is_new);
    abl_ailment_start(segment, row,
                      is_new && segment->shared->generation > 1 && conf->naming == ABL_NAMING_NONE);
    abl_ailment_check(segment, row, is_new);
    r->listed = 1;
}

/* Those that the configuration has. */
static void mark_known(const abl_segment_t *segment, uint32_t balancer, const abl_ledger_conf_t *conf)
{
    abl_scratch_t *scratch = segment->scratch;
    int i;

    scratch->mark++;
    for (i = 0; conf != NULL && i < conf->nmembers; i++) {
        scratch->marks[abl_rows_find(segment, balancer, conf->members[i].address)] = scratch->mark;
    }
}

static void unlist_gone(abl_segment_t *segment, uint32_t balancer, const abl_ledger_conf_t *conf)
{
    uint32_t row;

    mark_known(segment, balancer, conf);

    for (row = 1; row <= segment->shared->rows_used; row++) {
        abl_row_t *r = &segment->rows[row];
        if (r->balancer == balancer && segment->scratch->marks[row] != segment->scratch->mark) {
            r->gone = r->listed ? segment->shared->generation : r->gone;
            abl_in_order();
            r->listed = 0;
        }
    }
}

static void forget_gone(abl_segment_t *segment)
{
    uint32_t row;

    for (row = 1; row <= segment->shared->rows_used; row++) {
        abl_grant_forget(segment, row);
    }
}

/* ---- a generation's view ---------------------------------------------------------------------------- */

/* The set that is used as long as anybody in it can be. */
static int first_set(const abl_ledger_conf_t *conf)
{
    int set = ABL_SETS_MAX + 1;
    int i;

    for (i = 0; i < conf->nmembers; i++) {
        if (conf->members[i].status == ABL_STATUS_ON && conf->members[i].set < set) {
            set = conf->members[i].set;
        }
    }
    return set;
}

static void make_homes(abl_ledger_t *ledger, const abl_ledger_conf_t *conf)
{
    int set = first_set(conf);
    int i;

    for (i = 0; i < conf->nmembers; i++) {
        const abl_member_conf_t *member = &conf->members[i];
        ledger->roams = ledger->roams || member->naming >= ABL_NAMING_SLOT;
        if (member->status == ABL_STATUS_ON && member->set == set) {
            ledger->homes[ledger->nhomes++] =
                (abl_home_t){.id = abl_hash_text(member->address), .weight = member->weight, .member = i};
        }
    }
}

static abl_ledger_t *make_view(abl_segment_t *segment, const abl_ledger_conf_t *conf, apr_pool_t *pool)
{
    abl_ledger_t *ledger = apr_pcalloc(pool, abl_ledger_size(conf->nmembers));

    ledger->segment = segment;
    ledger->method = conf->method;
    ledger->n = conf->nmembers;
    abl_ledger_lay_out(ledger);
    make_homes(ledger, conf);
    return ledger;
}

/* Returns how many members found no row. `from` as above. */
static int enter_members(abl_segment_t *segment, const abl_ledger_conf_t *conf, abl_ledger_t *ledger,
                         uint32_t *from)
{
    int i, left_out = 0;

    for (i = 0; i < conf->nmembers; i++) {
        uint32_t row = 0;
        if (ledger->balancer != 0) {
            row = abl_rows_find(segment, ledger->balancer, conf->members[i].address);
            row = row != 0 ? row : new_row(segment, ledger->balancer, conf->members[i].address, from);
        }
        if (row != 0) {
            set_row(segment, row, &conf->members[i], (uint32_t)i);
        }
        left_out += row == 0;
        ledger->row_of[i] = row;
    }
    return left_out;
}

/* Another method's number means nothing to this one. */
static void set_method(abl_segment_t *segment, uint32_t balancer, const char *name)
{
    abl_balancer_row_t *b = &segment->balancers[balancer];
    uint32_t row;

    for (row = 1; row <= segment->shared->rows_used && strcmp(b->method, name) != 0; row++) {
        if (segment->rows[row].balancer == balancer) {
            segment->rows[row].c.credit = 0;
        }
    }
    set_text(b->method, sizeof(b->method), name);
}

/* What it says, but for members that are new. */
static void enter_balancer(abl_segment_t *segment, const abl_ledger_conf_t *conf, abl_ledger_t *ledger)
{
    uint32_t balancer = abl_rows_find_balancer(segment, conf->name);

    ledger->generation = segment->shared->generation;
    ledger->balancer = balancer != 0 ? balancer : new_balancer(segment, conf->name);
    if (ledger->balancer != 0) {
        abl_balancer_row_t *b = &segment->balancers[ledger->balancer];
        b->queue_length = conf->queue_length;
        b->per_client = conf->per_client;
        b->outage_wait = conf->outage_wait;
        b->eject = conf->eject;
        b->checked = conf->checked;
        b->mandatory = conf->mandatory;
        b->retry_percent = conf->retry_percent;
        abl_lateness_configure(b, &conf->hedge);
        b->listed = 1;
        set_method(segment, ledger->balancer, conf->method->name);
        unlist_gone(segment, ledger->balancer, conf);
    }
}

static void leave_gone_balancers(abl_segment_t *segment, const abl_ledger_conf_t *confs, int n)
{
    uint32_t i;
    int j;

    for (i = 1; i <= segment->shared->balancers_used; i++) {
        for (j = 0; j < n && strcasecmp(confs[j].name, segment->balancers[i].name) != 0; j++) {
        }
        if (j == n && segment->balancers[i].listed) {
            segment->balancers[i].listed = 0;
            unlist_gone(segment, i, NULL);
        }
    }
    forget_gone(segment);
}

/* Those that are gone are forgotten first, so that new ones find the room. Returns how many found none. */
static int enter_all(abl_segment_t *segment, const abl_ledger_conf_t *confs, int n, abl_ledger_t **ledgers)
{
    uint32_t row, from = 1;
    int i, left_out = 0;

    for (i = 0; i < n; i++) {
        enter_balancer(segment, &confs[i], ledgers[i]);
    }
    forget_gone(segment);
    for (i = 0; i < n; i++) {
        left_out += enter_members(segment, &confs[i], ledgers[i], &from);
    }
    for (row = 1; row <= segment->shared->rows_used; row++) {
        abl_steered_give_way(segment, row);
    }
    return left_out;
}

apr_status_t abl_segment_configure(abl_segment_t *segment, const abl_ledger_conf_t *confs, int n,
                                   apr_pool_t *pool, abl_ledger_t **ledgers, int *left_out)
{
    uint32_t balancer;
    int i;

    for (i = 0; i < n; i++) {
        ledgers[i] = make_view(segment, &confs[i], pool);
    }
    *left_out = 0;
    if (!abl_enter(segment, NULL)) {
        return APR_EBUSY;
    }
    segment->generation = ++segment->shared->generation;
    leave_gone_balancers(segment, confs, n);
    *left_out = enter_all(segment, confs, n, ledgers);
    abl_rebuild_listings(segment);
    for (balancer = 1; balancer <= segment->shared->balancers_used; balancer++) {
        abl_grant_balancer(segment, NULL, balancer);
    }
    forget_gone(segment);
    atomic_fetch_add(&segment->journal->steered, 1); /* some of it may be out of date now */
    abl_leave(segment);
    return *left_out > 0 ? APR_ENOSPC : APR_SUCCESS;
}
