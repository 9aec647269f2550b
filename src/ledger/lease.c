/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's way through the ledger: take, perhaps wait and collect, give.
 */
#include "balance/learn.h"
#include "balance/rendezvous.h"
#include "base/clock.h"
#include "ledger/ailment.h"
#include "ledger/lateness.h"
#include "ledger/rebuild.h"
#include "ledger/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define IDLE_TICKETS_MAX 256 /* kept with their descriptors for the next ones who wait */

/* ---- tickets of this process ------------------------------------------------------------------------ */

static abl_ticket_t *reuse_ticket(abl_child_t *child)
{
    abl_ticket_t *ticket;

    pthread_mutex_lock(&child->lock);
    ticket = child->idle;
    if (ticket != NULL) {
        child->idle = ticket->next;
        child->nidle--;
    }
    pthread_mutex_unlock(&child->lock);
    return ticket;
}

static apr_status_t make_ticket(abl_child_t *child, abl_ticket_t **ticket)
{
    abl_ticket_t *t = reuse_ticket(child);

    *ticket = t;
    if (t != NULL) {
        return APR_SUCCESS;
    }
    t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return APR_ENOMEM;
    }
    t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->fd < 0) {
        apr_status_t rv = errno;
        free(t);
        return rv;
    }
    *ticket = t;
    return APR_SUCCESS;
}

/* Nobody rings for it any more: it is in no list of the segment. */
static void drop_ticket(abl_child_t *child, abl_ticket_t *ticket)
{
    uint64_t rung;
    ssize_t n = read(ticket->fd, &rung, sizeof(rung));
    bool kept;

    (void)n;
    pthread_mutex_lock(&child->lock);
    kept = child->nidle < IDLE_TICKETS_MAX;
    if (kept) {
        ticket->next = child->idle;
        child->idle = ticket;
        child->nidle++;
    }
    pthread_mutex_unlock(&child->lock);
    if (!kept) {
        close(ticket->fd);
        free(ticket);
    }
}

int abl_ticket_fd(const abl_ticket_t *ticket)
{
    return ticket->fd;
}

/* ---- taking ----------------------------------------------------------------------------------------- */

/* What a request asks for, by rows. */
typedef struct asked_t {
    abl_asker_t asker;
    abl_tried_t tried; /* rows */
    uint32_t only;     /* a row that it waits for; 0: any */
} asked_t;

static void translate_tried(const abl_ledger_t *ledger, const abl_tried_t *tried, asked_t *asked)
{
    int i;

    asked->tried.n = tried->n;
    for (i = 0; i < tried->n; i++) {
        asked->tried.members[i] = (apr_uint16_t)ledger->row_of[tried->members[i]];
    }
}

static void translate(const abl_ledger_t *ledger, const abl_want_t *want, asked_t *asked)
{
    translate_tried(ledger, &want->tried, asked);
    asked->asker.balancer = ledger->balancer;
    asked->asker.generation = ledger->generation;
    asked->asker.tried = asked->tried.n > 0 ? &asked->tried : NULL;
    asked->asker.unlimited = want->unlimited;
    asked->only = want->only >= 0 ? ledger->row_of[want->only] : 0;
    if (want->home && ledger->segment->rows[asked->only].drain) {
        asked->only = 0;
    }
}

static uint32_t choose(abl_ledger_t *ledger, const abl_group_t *group, const abl_want_t *want)
{
    abl_pick_t request = {.now = abl_clock_now(), .key = want->key, .has_key = want->has_key};
    uint32_t row = abl_pick_choose(ledger->segment, group, ledger->method, &request);

    return row != 0 ? row
                    : abl_pick_any(ledger->segment, group); /* a method that is at a loss loses no request */
}

/* Is the row that affinity names in the group, and has room? */
static bool prefers(const abl_segment_t *segment, const abl_group_t *group, uint32_t only)
{
    int i = 0;

    while (i < group->n && group->rows[i] != only) {
        i++;
    }
    return only != 0 && i < group->n && !group->outage && abl_row_has_room(&segment->rows[only]);
}

/* APR_SUCCESS: *row has room for it. APR_EAGAIN: it has to wait, for asked->only or for any. */
static apr_status_t find(abl_ledger_t *ledger, const abl_want_t *want, asked_t *asked, uint32_t *row)
{
    abl_segment_t *segment = ledger->segment;
    abl_group_t *group = &segment->scratch->group;

    if (ledger->balancer == 0) {
        return APR_ENOENT;
    }
    if (abl_pick_may_only(segment, &asked->asker, asked->only, want->strict)) {
        *row = asked->only;
        return abl_row_has_room(&segment->rows[*row]) ? APR_SUCCESS : APR_EAGAIN;
    }
    if (want->only >= 0 && want->strict) {
        return APR_ENOENT;
    }
    if (want->beside) {
        abl_pick_beside(segment, &asked->asker, group);
    } else {
        abl_pick_group(segment, &asked->asker, group);
    }
    if (prefers(segment, group, asked->only)) { /* in panic: else it would not be in a group */
        *row = asked->only;
        return APR_SUCCESS;
    }
    asked->only = 0;
    if (group->n == 0) {
        return APR_ENOENT;
    }
    if (!group->outage) {
        segment->balancers[ledger->balancer].outage_since = 0;
    }
    if (group->outage && !abl_ailment_may_wait(segment, ledger->balancer)) {
        return APR_ENOENT;
    }
    if (!group->room) {
        return APR_EAGAIN;
    }
    *row = choose(ledger, group, want);
    return APR_SUCCESS;
}

static int member_of(const abl_ledger_t *ledger, uint32_t row)
{
    int guess = (int)ledger->segment->rows[row].order; /* its line in the newest configuration */
    int i = guess < ledger->n && ledger->row_of[guess] == row ? guess : 0;

    while (i < ledger->n && ledger->row_of[i] != row) {
        i++;
    }
    return i < ledger->n ? i : -1; /* never: it is of the asker's generation */
}

static void save_up(abl_balancer_row_t *b)
{
    b->savings += b->retry_percent;
    if (b->savings > ABL_RETRY_BURST * 100) {
        b->savings = ABL_RETRY_BURST * 100;
    }
    abl_lateness_save(b);
}

static void count_lease(abl_ledger_t *ledger, uint32_t row)
{
    abl_segment_t *segment = ledger->segment;

    ++*abl_held(segment, ledger->child->seat, row);
    abl_in_order();
    abl_probe(ABL_PROBE_COUNTED);
    segment->rows[row].c.busy++;
    segment->rows[row].requests++;
    save_up(&segment->balancers[ledger->balancer]);
}

static apr_status_t may_queue(const abl_ledger_t *ledger, const abl_want_t *want)
{
    const abl_balancer_row_t *b = &ledger->segment->balancers[ledger->balancer];

    if (want->hurry) {
        return ABL_QUEUE_FULL;
    }
    if (want->place != 0) {
        return APR_SUCCESS; /* it has been in, and has its place */
    }
    if (b->waiting >= b->queue_length) {
        return ABL_QUEUE_FULL;
    }
    if (b->per_client != 0 && want->client != 0 &&
        abl_queue_of_client(ledger->segment, ledger->balancer, want->client, b->per_client) >=
            b->per_client) {
        return ABL_CLIENT_QUEUE_FULL;
    }
    return APR_SUCCESS;
}

static apr_status_t queue_up(abl_ledger_t *ledger, abl_want_t *want, const asked_t *asked,
                             abl_ticket_t *ticket)
{
    abl_segment_t *segment = ledger->segment;
    apr_status_t rv = may_queue(ledger, want);
    uint32_t index = rv == APR_SUCCESS ? abl_queue_ticket(segment) : 0;
    abl_place_row_t *t = &segment->tickets[index];

    if (index == 0) {
        return rv != APR_SUCCESS ? rv : ABL_QUEUE_FULL;
    }
    if (want->place == 0) {
        want->place = ++segment->shared->place;
    }
    t->balancer = ledger->balancer;
    t->only = asked->only;
    t->strict = want->strict;
    t->generation = ledger->generation;
    t->place = want->place;
    t->client = want->client;
    t->since = abl_clock_now();
    t->tried.n = asked->tried.n;
    memcpy(t->tried.members, asked->tried.members, asked->tried.n * sizeof(*t->tried.members));
    ticket->index = index;
    ledger->child->fds[index] = ticket->fd;
    abl_in_order();
    t->seat = ledger->child->seat;
    abl_in_order();
    abl_probe(ABL_PROBE_TICKET);
    abl_queue_insert(segment, index, 0);
    return APR_EINPROGRESS;
}

/* With a ticket it queues up when it has to; without one it says APR_EAGAIN. */
static apr_status_t take(abl_ledger_t *ledger, abl_want_t *want, abl_ticket_t *ticket, uint32_t *row)
{
    asked_t asked;
    apr_status_t rv;

    if (!abl_enter(ledger->segment, ledger->child)) {
        return APR_EBUSY;
    }
    abl_ailment_refresh(ledger->segment, ledger->child, ledger->balancer);
    translate(ledger, want, &asked);
    rv = find(ledger, want, &asked, row);
    if (rv == APR_SUCCESS) {
        count_lease(ledger, *row);
    } else if (rv == APR_EAGAIN) {
        rv = ticket != NULL ? queue_up(ledger, want, &asked, ticket) : may_queue(ledger, want);
        rv = rv == APR_SUCCESS ? APR_EAGAIN : rv;
    }
    abl_leave(ledger->segment);
    return rv;
}

apr_status_t abl_ledger_take(abl_ledger_t *ledger, abl_want_t *want, int *member, abl_ticket_t **ticket)
{
    abl_ticket_t *made = NULL;
    uint32_t row = 0;
    apr_status_t rv = take(ledger, want, NULL, &row);

    *ticket = NULL;
    if (rv == APR_EAGAIN) {
        rv = make_ticket(ledger->child, &made); /* outside the lock: it asks the kernel */
        rv = rv == APR_SUCCESS ? take(ledger, want, made, &row) : rv;
    }
    if (rv == APR_EINPROGRESS) {
        *ticket = made;
    } else if (made != NULL) {
        drop_ticket(ledger->child, made);
    }
    if (rv == APR_SUCCESS) {
        *member = member_of(ledger, row);
    }
    return rv;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

/* The ticket's lease becomes the seat's. The seat first: whoever dies in between has both and loses both. */
static void collect_lease(abl_ledger_t *ledger, uint32_t ticket, uint32_t row)
{
    ++*abl_held(ledger->segment, ledger->child->seat, row);
    abl_in_order();
    abl_probe(ABL_PROBE_COUNTED);
    abl_queue_unmail(ledger->segment, ticket);
    abl_queue_free(ledger->segment, ticket);
    save_up(&ledger->segment->balancers[ledger->balancer]);
}

apr_status_t abl_ledger_collect(abl_ledger_t *ledger, abl_ticket_t **ticket, int *member)
{
    abl_segment_t *segment = ledger->segment;
    uint32_t index = (*ticket)->index;
    uint32_t grant;

    if (!abl_enter(segment, ledger->child)) {
        return APR_EAGAIN;
    }
    grant = segment->tickets[index].grant;
    if (grant == ABL_REFUSED) {
        abl_queue_unmail(segment, index);
        abl_queue_free(segment, index);
    } else if (grant != 0) {
        collect_lease(ledger, index, grant);
    }
    abl_leave(segment);
    if (grant == 0) {
        return APR_EAGAIN;
    }
    drop_ticket(ledger->child, *ticket);
    *ticket = NULL;
    if (grant == ABL_REFUSED) {
        return APR_ENOENT;
    }
    *member = member_of(ledger, grant);
    return APR_SUCCESS;
}

void abl_ledger_leave(abl_ledger_t *ledger, abl_ticket_t **ticket)
{
    abl_segment_t *segment = ledger->segment;

    if (!abl_enter(segment, ledger->child)) {
        return;
    }
    abl_grant_drop(segment, ledger->child, (*ticket)->index);
    abl_leave(segment);
    drop_ticket(ledger->child, *ticket);
    *ticket = NULL;
}

/* ---- giving ----------------------------------------------------------------------------------------- */

/* True: whoever waits has to be looked at. */
static bool learn(abl_segment_t *segment, uint32_t index, const abl_outcome_t *outcome)
{
    abl_row_t *row = &segment->rows[index];
    int64_t now = abl_clock_now();

    if (outcome->began < row->moved_at) {
        return false; /* that was at another address */
    }
    row->bytes += outcome->bytes;
    row->failures += outcome->failed;
    row->c.traffic = abl_traffic_learn(row->c.traffic, row->c.traffic_at, now, outcome->bytes);
    row->c.traffic_at = now;
    row->c.mean_bytes = abl_mean_learn(row->c.mean_bytes, outcome->bytes);
    row->c.latency =
        abl_latency_learn(row->c.latency, row->c.latency_at, now, outcome->latency, outcome->failed);
    row->c.latency_at = now;
    abl_lateness_learn(&segment->balancers[row->balancer], outcome->latency);
    abl_chronicle_latency(segment, index, outcome->latency);
    if (outcome->failed) {
        abl_chronicle_outcome(segment, index, outcome, now);
    }
    return abl_ailment_learn(segment, index, outcome, now);
}

void abl_ledger_give(abl_ledger_t *ledger, int member, const abl_outcome_t *outcome)
{
    abl_segment_t *segment = ledger->segment;
    uint32_t index = ledger->row_of[member];
    abl_row_t *row = &segment->rows[index];
    uint32_t *held = abl_held(segment, ledger->child->seat, index);

    if (!abl_enter(segment, ledger->child)) {
        return;
    }
    if (*held == 0) {
        abl_leave(segment);
        return; /* it was taken for dead, which nobody alive should be */
    }
    --*held;
    abl_in_order();
    abl_probe(ABL_PROBE_COUNTED);
    row->c.busy--;
    row->ceiling = row->ceiling != 0 && row->c.busy > row->c.limit ? row->c.busy : 0;
    if (outcome != NULL && learn(segment, index, outcome)) {
        abl_grant_balancer(segment, ledger->child, row->balancer);
    }
    abl_grant_row(segment, ledger->child, index);
    abl_grant_forget(segment, index);
    abl_leave(segment);
}

/* ---- the rest --------------------------------------------------------------------------------------- */

bool abl_ledger_spend_retry(abl_ledger_t *ledger)
{
    abl_balancer_row_t *b = &ledger->segment->balancers[ledger->balancer];
    bool may;

    if (!abl_enter(ledger->segment, ledger->child)) {
        return false;
    }
    /* A burst that was saved before the budget became none is not spent. */
    may = b->retry_percent >= 100 || (b->retry_percent > 0 && b->savings >= 100);
    b->savings -= b->savings >= 100 && may ? 100 : 0;
    abl_leave(ledger->segment);
    return may;
}

void abl_ledger_return_retry(abl_ledger_t *ledger)
{
    if (abl_enter(ledger->segment, ledger->child)) {
        ledger->segment->balancers[ledger->balancer].savings += 100;
        abl_leave(ledger->segment);
    }
}

int abl_ledger_home(abl_ledger_t *ledger, apr_uint64_t key)
{
    abl_draw_t best = ABL_DRAW_NONE;
    int i;

    if (ledger->roams) {
        return abl_site_home(ledger, key);
    }
    for (i = 0; i < ledger->nhomes; i++) {
        const abl_home_t *home = &ledger->homes[i];
        abl_rendezvous_draw(&best, home->member, home->id, home->weight, key);
    }
    return best.who;
}

void abl_ledger_drain(abl_ledger_t *ledger, int member, bool drain)
{
    abl_segment_t *segment = ledger->segment;
    abl_row_t *row = &segment->rows[ledger->row_of[member]];

    if (ledger->row_of[member] == 0 || !abl_enter(segment, ledger->child)) {
        return;
    }
    if (row->balancer == ledger->balancer && row->born <= ledger->generation) {
        row->drain = drain;
        abl_rebuild_listing(segment, ledger->balancer);
        abl_grant_balancer(segment, ledger->child, ledger->balancer);
    }
    abl_leave(segment);
}

bool abl_ledger_is_limited(const abl_ledger_t *ledger, int member)
{
    const abl_row_t *row = &ledger->segment->rows[ledger->row_of[member]];

    return __atomic_load_n(&row->c.limit, __ATOMIC_RELAXED) != 0;
}

apr_uint32_t abl_ledger_busy(abl_ledger_t *ledger, int member)
{
    apr_uint32_t busy = 0;

    if (abl_enter(ledger->segment, ledger->child)) {
        busy = ledger->row_of[member] != 0 ? ledger->segment->rows[ledger->row_of[member]].c.busy : 0;
        abl_leave(ledger->segment);
    }
    return busy;
}

int64_t abl_ledger_head_age(abl_ledger_t *ledger)
{
    int64_t age = 0;

    if (abl_enter(ledger->segment, ledger->child)) {
        age = abl_queue_head_age(ledger->segment, ledger->balancer);
        abl_leave(ledger->segment);
    }
    return age;
}
