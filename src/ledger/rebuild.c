/* SPDX-License-Identifier: Apache-2.0
 *
 * From the truth to its caches: counts, queues, mail, lists. Whoever dies in here leaves the dirty word, and
 * the next one begins again.
 */
#include "ledger/rebuild.h"

#include "ledger/lock.h"
#include "ledger/rows.h"
#include "ledger/steer.h"

#include <stdlib.h>
#include <string.h>

/* ---- listing ---------------------------------------------------------------------------------------- */

static bool comes_before(const abl_row_t *a, const abl_row_t *b)
{
    return a->set != b->set ? a->set < b->set : a->order < b->order;
}

static bool is_less(const abl_segment_t *segment, uint32_t a, uint32_t b)
{
    return comes_before(&segment->rows[a], &segment->rows[b]);
}

/* One step of a heap sort: the heap's greatest is at 0, and only rows[i] may be in the wrong place. */
static void sift_down(const abl_segment_t *segment, uint32_t *rows, uint32_t i, uint32_t n)
{
    uint32_t row = rows[i], child;

    for (; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && is_less(segment, rows[child], rows[child + 1]);
        if (!is_less(segment, row, rows[child])) {
            break;
        }
        rows[i] = rows[child];
    }
    rows[i] = row;
}

/* They mostly are. In place: nobody can promise memory here. */
static void sort(const abl_segment_t *segment, uint32_t *rows, uint32_t n)
{
    uint32_t i = 1;

    while (i < n && is_less(segment, rows[i - 1], rows[i])) {
        i++;
    }
    if (i >= n) {
        return;
    }
    for (i = n / 2; i > 0; i--) {
        sift_down(segment, rows, i - 1, n);
    }
    for (i = n - 1; i > 0; i--) {
        uint32_t greatest = rows[0];
        rows[0] = rows[i];
        rows[i] = greatest;
        sift_down(segment, rows, 0, i);
    }
}

static bool belongs(const abl_row_t *row)
{
    return row->balancer != 0 && row->listed && !row->vacant;
}

static void append(abl_segment_t *segment, uint32_t row)
{
    abl_balancer_row_t *b = &segment->balancers[segment->rows[row].balancer];

    if (belongs(&segment->rows[row]) && b->nlisted < ABL_MEMBERS_MAX) {
        b->rows[b->nlisted++] = row;
    }
}

static void note_simple(const abl_segment_t *segment, abl_balancer_row_t *b)
{
    uint32_t i = 0;

    while (i < b->nlisted && segment->rows[b->rows[i]].status == ABL_STATUS_ON &&
           !segment->rows[b->rows[i]].drain) {
        i++;
    }
    b->simple =
        i == b->nlisted && i > 0 && segment->rows[b->rows[0]].set == segment->rows[b->rows[i - 1]].set;
}

static void finish(const abl_segment_t *segment, abl_balancer_row_t *b)
{
    sort(segment, b->rows, b->nlisted);
    note_simple(segment, b);
}

static void take_out(abl_balancer_row_t *b, uint32_t row)
{
    uint32_t i = 0;

    while (i < b->nlisted && b->rows[i] != row) {
        i++;
    }
    if (i < b->nlisted) {
        b->nlisted--;
        memmove(&b->rows[i], &b->rows[i + 1], (b->nlisted - i) * sizeof(*b->rows));
    }
}

static void put_in(const abl_segment_t *segment, abl_balancer_row_t *b, uint32_t row)
{
    uint32_t from = 0, to = b->nlisted;

    while (from < to) {
        uint32_t middle = (from + to) / 2;
        if (is_less(segment, b->rows[middle], row)) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    memmove(&b->rows[from + 1], &b->rows[from], (b->nlisted - from) * sizeof(*b->rows));
    b->rows[from] = row;
    b->nlisted++;
}

void abl_rebuild_listing_with(abl_segment_t *segment, uint32_t row)
{
    abl_balancer_row_t *b = &segment->balancers[segment->rows[row].balancer];

    take_out(b, row);
    if (belongs(&segment->rows[row]) && b->nlisted < ABL_MEMBERS_MAX) {
        put_in(segment, b, row);
    }
    note_simple(segment, b);
}

void abl_rebuild_listing(abl_segment_t *segment, uint32_t balancer)
{
    uint32_t row;

    segment->balancers[balancer].nlisted = 0;
    for (row = 1; row <= segment->shared->rows_used; row++) {
        if (segment->rows[row].balancer == balancer) {
            append(segment, row);
        }
    }
    finish(segment, &segment->balancers[balancer]);
}

void abl_rebuild_listings(abl_segment_t *segment)
{
    uint32_t i;

    for (i = 1; i <= segment->shared->balancers_used; i++) {
        segment->balancers[i].nlisted = 0;
    }
    for (i = 1; i <= segment->shared->rows_used; i++) {
        append(segment, i);
    }
    for (i = 1; i <= segment->shared->balancers_used; i++) {
        finish(segment, &segment->balancers[i]);
    }
}

/* ---- counts ----------------------------------------------------------------------------------------- */

static void clear_caches(abl_segment_t *segment)
{
    abl_shared_t *shared = segment->shared;
    uint32_t i;

    for (i = 1; i <= shared->rows_used; i++) {
        abl_row_t *row = &segment->rows[i];
        row->c.busy = row->c.queued = 0;
        memset(&row->queue, 0, sizeof(row->queue));
    }
    for (i = 1; i <= shared->balancers_used; i++) {
        abl_balancer_row_t *b = &segment->balancers[i];
        b->waiting = 0;
        memset(&b->queue, 0, sizeof(b->queue));
        memset(b->clients, 0, sizeof(b->clients));
    }
    for (i = 1; i <= segment->nseats; i++) {
        memset(&segment->seats[i].mail, 0, sizeof(segment->seats[i].mail));
    }
    shared->free_ticket = 0;
}

static void count_held(abl_segment_t *segment)
{
    uint32_t seat, row;

    for (seat = 1; seat <= segment->nseats; seat++) {
        if (segment->seats[seat].pid == 0) {
            continue;
        }
        for (row = 1; row <= segment->shared->rows_used; row++) {
            segment->rows[row].c.busy += *abl_held(segment, seat, row);
        }
    }
}

/* ---- tickets ---------------------------------------------------------------------------------------- */

/* Merges two chains (by `next`) in the order of their places. */
static uint32_t merge(abl_segment_t *segment, uint32_t a, uint32_t b)
{
    uint32_t first = 0;
    uint32_t *end = &first;

    while (a != 0 && b != 0) {
        uint32_t *least = segment->tickets[a].place < segment->tickets[b].place ? &a : &b;
        *end = *least;
        end = &segment->tickets[*least].next;
        *least = *end;
    }
    *end = a != 0 ? a : b;
    return first;
}

/* Bottom-up merge sort: runs[i] has 2^i tickets or none. Needs no memory, which nobody can promise here. */
static uint32_t sort_waiting(abl_segment_t *segment)
{
    uint32_t runs[32] = {0};
    uint32_t ticket, sorted = 0;
    int i;

    for (ticket = 1; ticket <= segment->shared->tickets_used; ticket++) {
        abl_place_row_t *t = &segment->tickets[ticket];
        uint32_t run = ticket;
        if (t->seat == 0 || t->grant != 0) {
            continue;
        }
        t->next = 0;
        for (i = 0; i < 31 && runs[i] != 0; i++) {
            run = merge(segment, runs[i], run);
            runs[i] = 0;
        }
        runs[i] = i == 31 && runs[i] != 0 ? merge(segment, runs[i], run) : run;
    }
    for (i = 0; i < 32; i++) {
        sorted = merge(segment, sorted, runs[i]);
    }
    return sorted;
}

static void queue_waiting(abl_segment_t *segment)
{
    uint32_t ticket = sort_waiting(segment);

    while (ticket != 0) {
        uint32_t next = segment->tickets[ticket].next;
        abl_queue_append(segment, ticket);
        ticket = next;
    }
}

static void sort_out_tickets(abl_segment_t *segment, const abl_child_t *child)
{
    uint32_t ticket;

    for (ticket = segment->shared->tickets_used; ticket > 0; ticket--) {
        abl_place_row_t *t = &segment->tickets[ticket];
        t->mailed = 0;
        if (t->seat == 0) {
            abl_queue_free(segment, ticket);
        } else if (t->grant != 0) {
            if (t->grant != ABL_REFUSED) {
                segment->rows[t->grant].c.busy++;
            }
            abl_grant_tell(segment, child, ticket);
        }
    }
}

/* Whoever was changing this member (steer.h) may have died over it: what goes with its status, weight and
 * limit is made anew. Of one that starts slowly health.c does the rest, which is told to look below. */
static void repair(abl_row_t *r)
{
    r->steered = (uint8_t)((r->status != r->conf_status ? ABL_STEERED_STATUS : 0) |
                           (r->weight != r->conf_weight ? ABL_STEERED_WEIGHT : 0) |
                           (r->c.limit != r->conf_limit ? ABL_STEERED_LIMIT : 0));
    if (r->slow_start == 0) {
        r->c.weight = r->weight;
        r->allowed = r->c.limit;
    }
}

static void rebuild(abl_segment_t *segment, const abl_child_t *child)
{
    abl_shared_t *shared = segment->shared;
    uint32_t i;

    clear_caches(segment);
    abl_rows_add_all(segment);
    for (i = 1; i <= shared->rows_used; i++) {
        repair(&segment->rows[i]);
    }
    abl_rebuild_listings(segment);
    count_held(segment);
    abl_probe(ABL_PROBE_REBUILDING);
    queue_waiting(segment);
    sort_out_tickets(segment, child);
    for (i = 1; i <= shared->rows_used; i++) {
        abl_grant_forget(segment, i);
    }
    for (i = 1; i <= shared->balancers_used; i++) {
        abl_grant_balancer(segment, child, i);
        segment->balancers[i].change_at = 1; /* whatever was due: it is looked at soon (health.c) */
    }
    abl_grant_ring(segment);
    shared->rebuilds++;
}

/* ---- in and out ------------------------------------------------------------------------------------- */

bool abl_enter(abl_segment_t *segment, const abl_child_t *child)
{
    abl_probe(ABL_PROBE_BEFORE);
    if (!abl_lock_take(segment->shared)) {
        return false;
    }
    if (child != NULL && segment->seats[child->seat].turn != child->turn) {
        abl_lock_release(segment->shared); /* whatever is in the seat is another's */
        return false;
    }
    if (segment->shared->dirty) {
        rebuild(segment, child);
    }
    segment->shared->dirty = 1;
    abl_in_order();
    abl_probe(ABL_PROBE_ENTERED);
    return true;
}

void abl_leave(abl_segment_t *segment)
{
    abl_probe(ABL_PROBE_LEAVING);
    abl_in_order();
    segment->shared->dirty = 0;
    abl_lock_release(segment->shared);
    abl_probe(ABL_PROBE_AFTER);
}
