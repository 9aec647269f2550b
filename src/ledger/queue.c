/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of tickets.
 */
#include "ledger/queue.h"

#include "base/clock.h"

#include <string.h>

/* ---- lists ------------------------------------------------------------------------------------------ */

static void link_before(abl_segment_t *segment, abl_list_t *list, uint32_t ticket, uint32_t next)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    t->next = next;
    t->prev = next != 0 ? segment->tickets[next].prev : list->last;
    *(t->prev != 0 ? &segment->tickets[t->prev].next : &list->first) = ticket;
    *(next != 0 ? &segment->tickets[next].prev : &list->last) = ticket;
    list->length++;
}

static void unlink_ticket(abl_segment_t *segment, abl_list_t *list, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    *(t->prev != 0 ? &segment->tickets[t->prev].next : &list->first) = t->next;
    *(t->next != 0 ? &segment->tickets[t->next].prev : &list->last) = t->prev;
    t->prev = t->next = 0;
    list->length--;
}

/* The queue that a waiting ticket belongs in. */
static abl_list_t *queue_of(abl_segment_t *segment, const abl_place_row_t *t)
{
    return t->only != 0 ? &segment->rows[t->only].queue : &segment->balancers[t->balancer].queue;
}

/* ---- clients ---------------------------------------------------------------------------------------- */

static uint32_t *bucket(abl_segment_t *segment, const abl_place_row_t *t)
{
    return &segment->balancers[t->balancer].clients[t->client % ABL_CLIENT_BUCKETS];
}

static void chain_client(abl_segment_t *segment, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];
    uint32_t *head = bucket(segment, t);

    if (t->client == 0) {
        return;
    }
    t->client_prev = 0;
    t->client_next = *head;
    if (*head != 0) {
        segment->tickets[*head].client_prev = ticket;
    }
    *head = ticket;
}

static void unchain_client(abl_segment_t *segment, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    if (t->client == 0) {
        return;
    }
    *(t->client_prev != 0 ? &segment->tickets[t->client_prev].client_next : bucket(segment, t)) =
        t->client_next;
    if (t->client_next != 0) {
        segment->tickets[t->client_next].client_prev = t->client_prev;
    }
    t->client_prev = t->client_next = 0;
}

uint32_t abl_queue_of_client(const abl_segment_t *segment, uint32_t balancer, uint64_t client, uint32_t most)
{
    uint32_t ticket = segment->balancers[balancer].clients[client % ABL_CLIENT_BUCKETS];
    uint32_t n = 0;

    for (; ticket != 0 && n < most; ticket = segment->tickets[ticket].client_next) {
        n += segment->tickets[ticket].client == client;
    }
    return n;
}

/* ---- tickets ---------------------------------------------------------------------------------------- */

uint32_t abl_queue_ticket(abl_segment_t *segment)
{
    abl_shared_t *shared = segment->shared;
    uint32_t ticket = shared->free_ticket;

    if (ticket != 0) {
        shared->free_ticket = segment->tickets[ticket].next;
    } else if (shared->tickets_used < ABL_LEDGER_TICKETS) {
        ticket = ++shared->tickets_used;
    } else {
        return 0;
    }
    memset(&segment->tickets[ticket], 0, sizeof(segment->tickets[ticket]));
    return ticket;
}

void abl_queue_free(abl_segment_t *segment, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    t->seat = 0;
    t->grant = 0;
    t->next = segment->shared->free_ticket;
    segment->shared->free_ticket = ticket;
}

static void count_waiting(abl_segment_t *segment, const abl_place_row_t *t, uint32_t by)
{
    segment->balancers[t->balancer].waiting += by;
    if (t->only != 0) {
        segment->rows[t->only].c.queued += by;
    }
}

void abl_queue_append(abl_segment_t *segment, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    link_before(segment, queue_of(segment, t), ticket, 0);
    chain_client(segment, ticket);
    count_waiting(segment, t, 1);
}

void abl_queue_insert(abl_segment_t *segment, uint32_t ticket, uint32_t after)
{
    abl_place_row_t *t = &segment->tickets[ticket];
    abl_list_t *list = queue_of(segment, t);
    uint32_t next = 0;

    /* From the end: most tickets are the newest; the others have queued before and are among the oldest. */
    if (list->last != 0 && segment->tickets[list->last].place > t->place) {
        next = after != 0 ? after : list->first;
        while (segment->tickets[next].place < t->place) {
            next = segment->tickets[next].next;
        }
    }
    link_before(segment, list, ticket, next);
    chain_client(segment, ticket);
    count_waiting(segment, t, 1);
}

void abl_queue_remove(abl_segment_t *segment, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    unlink_ticket(segment, queue_of(segment, t), ticket);
    unchain_client(segment, ticket);
    count_waiting(segment, t, (uint32_t)-1);
}

int64_t abl_queue_head_age(const abl_segment_t *segment, uint32_t balancer)
{
    const abl_balancer_row_t *b = &segment->balancers[balancer];
    uint32_t oldest = b->queue.first;
    uint32_t i;

    for (i = 0; i < b->nlisted; i++) {
        uint32_t first = segment->rows[b->rows[i]].queue.first;
        if (first != 0 && (oldest == 0 || segment->tickets[first].place < segment->tickets[oldest].place)) {
            oldest = first;
        }
    }
    /* It waits, even in the microsecond in which it began to. */
    return oldest != 0 ? abl_clock_now() - segment->tickets[oldest].since + 1 : 0;
}

/* ---- mail ------------------------------------------------------------------------------------------- */

void abl_queue_mail(abl_segment_t *segment, uint32_t ticket)
{
    link_before(segment, &segment->seats[segment->tickets[ticket].seat].mail, ticket, 0);
    segment->tickets[ticket].mailed = 1;
}

void abl_queue_unmail(abl_segment_t *segment, uint32_t ticket)
{
    abl_place_row_t *t = &segment->tickets[ticket];

    if (t->mailed) {
        unlink_ticket(segment, &segment->seats[t->seat].mail, ticket);
        t->mailed = 0;
    }
}
