/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies for looking at. One balancer at a time, so that the lock is held for short only.
 */
#include "ledger/view.h"

#include "base/clock.h"
#include "ledger/rebuild.h"
#include "ledger/site_row.h"

#include <string.h>

static void view_past(const abl_segment_t *segment, uint32_t row, abl_member_view_t *view)
{
    static const uint32_t percents[] = {50, 90, 99};
    const abl_chronicle_row_t *c = &segment->chronicles[row];
    uint32_t i;

    for (i = 0; i < 3; i++) {
        view->percentiles[i] = (apr_uint32_t)abl_latency_percentile(&c->latencies, percents[i]);
    }
    view->nfailures = 0;
    for (i = 1; i <= ABL_FAILURES_KEPT && i <= c->nfailures; i++) {
        view->last[view->nfailures++] = c->failures[(c->nfailures - i) % ABL_FAILURES_KEPT];
    }
}

static void view_member(const abl_segment_t *segment, uint32_t row, abl_member_view_t *view)
{
    const abl_row_t *r = &segment->rows[row];

    memcpy(view->address, segment->names[row].address, sizeof(view->address));
    memcpy(view->route, segment->names[row].route, sizeof(view->route));
    view->status = r->status;
    view->set = r->set;
    view->draining = r->drain;
    view->removed = !r->listed;
    view->weight = r->weight;
    view->share = r->weight != 0 ? (apr_uint32_t)((uint64_t)r->c.weight * 100 / r->weight) : 100;
    view->concurrency = r->c.limit;
    view->busy = r->c.busy;
    view->queued = r->c.queued;
    view->requests = r->requests - r->requests_then;
    view->failures = r->failures;
    view->bytes = r->bytes;
    view->latency = r->c.latency;
    view->away = r->ailment.away;
    view->unfit = r->ailment.unfit;
    view->unproven = r->ailment.unproven;
    view->ejected = r->ailment.ejected;
    view->error = r->ailment.error;
    view->by_rate = r->ailment.by_rate;
    view->by_wish = r->ailment.by_wish;
    view->fails = r->ailment.fails;
    view->supervised = r->supervised;
    view->unreachable = r->shut;
    view->conf_status = r->conf_status;
    view->conf_weight = r->conf_weight;
    view->conf_concurrency = r->conf_limit;
    view->steered = r->steered;
    view->by_hand = r->ailment.by_hand;
    view->added = r->naming == ABL_NAMING_OPEN;
    memcpy(view->notes, segment->chronicles[row].notes, sizeof(view->notes));
    if (view->added) {
        (void)abl_site_address(segment, row, view->address, sizeof(view->address));
    }
    view_past(segment, row, view);
    if (r->naming != ABL_NAMING_NONE) {
        abl_site_of_row(segment, row, &view->site);
    }
    view->named = r->naming != ABL_NAMING_NONE;
    view->ejected_for = r->ailment.ejected ? r->ailment.until - abl_clock_now() : 0;
}

static void view_members(const abl_segment_t *segment, uint32_t balancer, abl_balancer_view_t *view)
{
    const abl_balancer_row_t *b = &segment->balancers[balancer];
    uint32_t i;

    view->nmembers = 0;
    for (i = 0; i < b->nlisted; i++) {
        view_member(segment, b->rows[i], &view->members[view->nmembers++]);
    }
    for (i = 1; i <= segment->shared->rows_used; i++) {
        const abl_row_t *r = &segment->rows[i];
        if (r->balancer == balancer && !r->listed && (!r->vacant || r->c.busy > 0)) {
            view_member(segment, i, &view->members[view->nmembers++]);
        }
    }
}

static void count_places(const abl_segment_t *segment, uint32_t balancer, abl_balancer_view_t *view)
{
    uint32_t row;

    view->places = view->free_places = 0;
    for (row = 1; row <= segment->shared->rows_used; row++) {
        const abl_row_t *r = &segment->rows[row];
        if (r->balancer == balancer && r->listed && r->naming == ABL_NAMING_OPEN) {
            view->places++;
            view->free_places += r->vacant;
        }
    }
}

bool abl_view_balancer(abl_segment_t *segment, int index, abl_balancer_view_t *view)
{
    const abl_balancer_row_t *b = &segment->balancers[index];

    view->nmembers = 0;
    if (!abl_enter(segment, NULL)) {
        return false;
    }
    memcpy(view->name, b->name, sizeof(view->name));
    memcpy(view->method, b->method, sizeof(view->method));
    view->removed = !b->listed;
    view->waiting = b->waiting;
    view->queue_length = b->queue_length;
    view->per_client = b->per_client;
    view->reset_at = b->reset_at;
    count_places(segment, (uint32_t)index, view);
    view->head_age = abl_queue_head_age(segment, (uint32_t)index);
    view_members(segment, (uint32_t)index, view);
    abl_leave(segment);
    return b->listed || view->nmembers > 0;
}

int abl_view_balancers(abl_segment_t *segment)
{
    return (int)segment->shared->balancers_used;
}

void abl_view_load(abl_segment_t *segment, const abl_child_t *child, int index, apr_uint32_t *waiting,
                   apr_uint32_t *busy)
{
    const abl_balancer_row_t *b = &segment->balancers[index];
    uint32_t i;

    *waiting = *busy = 0;
    if (!abl_enter(segment, child)) {
        return;
    }
    *waiting = b->waiting;
    for (i = 0; i < b->nlisted; i++) {
        *busy += segment->rows[b->rows[i]].c.busy;
    }
    abl_leave(segment);
}

int abl_view_seats(abl_segment_t *segment, abl_seat_view_t *seats, int room)
{
    uint32_t seat;
    int n = 0;

    for (seat = 1; seat <= segment->nseats && n < room; seat++) {
        pid_t pid = atomic_load(&segment->seats[seat].pid);
        if (pid != 0) {
            abl_seat_counts_t *counts = &segment->seats[seat].counts;
            seats[n++] =
                (abl_seat_view_t){.seat = (int)seat,
                                  .pid = pid,
                                  .old = segment->seats[seat].generation < segment->shared->generation,
                                  .parked = counts->parked,
                                  .adopted = counts->adopted,
                                  .lingering = counts->lingering,
                                  .threads = counts->threads};
        }
    }
    return n;
}

apr_uint64_t abl_view_rebuilds(abl_segment_t *segment)
{
    return segment->shared->rebuilds;
}
