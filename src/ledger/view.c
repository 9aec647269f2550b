/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies for looking at. A few members at a time, so that the lock is held for short only.
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

/* It is shown, although it is not listed. */
static bool is_removed(const abl_row_t *row, uint32_t balancer)
{
    return row->balancer == balancer && !row->listed && (!row->vacant || row->c.busy > 0);
}

/* Its place among those that are listed. */
static uint64_t place_of(const abl_row_t *row)
{
    return (uint64_t)row->set << 32 | row->order;
}

/* The first one that is listed there or later. */
static uint32_t find_place(const abl_segment_t *segment, const abl_balancer_row_t *b, uint64_t place)
{
    uint32_t from = 0, to = b->nlisted;

    while (from < to) {
        uint32_t middle = (from + to) / 2;
        if (place_of(&segment->rows[b->rows[middle]]) < place) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static int view_listed(const abl_segment_t *segment, abl_view_place_t *from, abl_member_view_t *members,
                       int room)
{
    const abl_balancer_row_t *b = &segment->balancers[from->balancer];
    uint32_t i = find_place(segment, b, from->next);
    int n = 0;

    for (; i < b->nlisted && n < room; i++) {
        from->next = place_of(&segment->rows[b->rows[i]]) + 1;
        view_member(segment, b->rows[i], &members[n++]);
    }
    return n;
}

static int view_removed(const abl_segment_t *segment, abl_view_place_t *from, abl_member_view_t *members,
                        int room)
{
    int n = 0;

    while (from->row < segment->shared->rows_used && n < room) {
        if (is_removed(&segment->rows[++from->row], (uint32_t)from->balancer)) {
            view_member(segment, from->row, &members[n++]);
        }
    }
    return n;
}

int abl_view_members(abl_segment_t *segment, abl_view_place_t *from, abl_member_view_t *members, int room)
{
    int n;

    if (!abl_enter(segment, NULL)) {
        return 0;
    }
    n = from->row == 0 ? view_listed(segment, from, members, room) : 0;
    n += view_removed(segment, from, members + n, room - n);
    abl_leave(segment);
    return n;
}

/* What takes a look at all rows. */
static void count_rows(const abl_segment_t *segment, uint32_t balancer, abl_balancer_view_t *view)
{
    uint32_t row;

    view->places = view->free_places = 0;
    view->nmembers = (int)segment->balancers[balancer].nlisted;
    for (row = 1; row <= segment->shared->rows_used; row++) {
        const abl_row_t *r = &segment->rows[row];
        view->nmembers += is_removed(r, balancer);
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
    count_rows(segment, (uint32_t)index, view);
    view->head_age = abl_queue_head_age(segment, (uint32_t)index);
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
