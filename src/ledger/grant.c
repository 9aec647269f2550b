/* SPDX-License-Identifier: Apache-2.0
 *
 * From a lease that is free to the request that gets it.
 */
#include "ledger/grant.h"

#include "ledger/rows.h"

#include <string.h>
#include <unistd.h>

/* ---- telling ---------------------------------------------------------------------------------------- */

/* The descriptor is an eventfd: a write fails only where there is something to read already. */
static void ring(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));

    (void)n;
}

void abl_grant_ring(const abl_segment_t *segment)
{
    ring(segment->bell);
}

void abl_grant_wake(const abl_segment_t *segment, uint32_t seat)
{
    ring(segment->wakers[seat]);
}

void abl_grant_wake_others(const abl_segment_t *segment, uint32_t but)
{
    uint32_t seat;

    for (seat = 1; seat <= segment->nseats; seat++) {
        if (seat != but) {
            abl_grant_wake(segment, seat);
        }
    }
}

void abl_grant_tell(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket)
{
    uint32_t seat = segment->tickets[ticket].seat;

    if (child != NULL && child->seat == seat) {
        ring(child->fds[ticket]);
        return;
    }
    /* Inside the lock: a process that dies before it has rung leaves the dirty word, and is made good for.
     * With mail in the box its owner has been rung for and not been here yet. */
    abl_queue_mail(segment, ticket);
    if (segment->seats[seat].mail.length == 1) {
        abl_grant_wake(segment, seat);
    }
}

/* ---- granting --------------------------------------------------------------------------------------- */

static void grant(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket, uint32_t row)
{
    abl_queue_remove(segment, ticket);
    segment->tickets[ticket].grant = row;
    abl_in_order();
    abl_probe(ABL_PROBE_GRANTED);
    segment->rows[row].c.busy++;
    segment->rows[row].requests++;
    abl_grant_tell(segment, child, ticket);
}

static void refuse(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket)
{
    abl_queue_remove(segment, ticket);
    segment->tickets[ticket].grant = ABL_REFUSED;
    abl_grant_tell(segment, child, ticket);
}

/* The oldest of those who wait for any member and may have this one. */
static uint32_t first_of_all(const abl_segment_t *segment, uint32_t row, abl_common_t *common)
{
    const abl_row_t *r = &segment->rows[row];
    uint32_t ticket = segment->balancers[r->balancer].queue.first;

    if (r->drain || r->status == ABL_STATUS_DRAIN) {
        return 0;
    }
    for (; ticket != 0; ticket = segment->tickets[ticket].next) {
        abl_asker_t asker = abl_grant_asker(&segment->tickets[ticket]);
        if (abl_pick_has(segment, &asker, row, common)) {
            break;
        }
    }
    return ticket;
}

static uint32_t oldest_for(const abl_segment_t *segment, uint32_t row, abl_common_t *common)
{
    uint32_t own = segment->rows[row].queue.first;
    uint32_t any = first_of_all(segment, row, common);

    if (own == 0 || any == 0) {
        return own != 0 ? own : any;
    }
    return segment->tickets[own].place < segment->tickets[any].place ? own : any;
}

static void grant_row(abl_segment_t *segment, const abl_child_t *child, uint32_t row, abl_common_t *common)
{
    const abl_row_t *r = &segment->rows[row];

    while (r->status != ABL_STATUS_DISABLED && abl_row_has_room(r) &&
           segment->balancers[r->balancer].waiting > 0) {
        uint32_t ticket = oldest_for(segment, row, common);
        if (ticket == 0) {
            break;
        }
        grant(segment, child, ticket, row);
    }
}

void abl_grant_row(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    abl_common_t common = {0};

    grant_row(segment, child, row, &common);
}

/* ---- after a change --------------------------------------------------------------------------------- */

/* A ticket that waits for one member. True: it waits for any now. */
static bool settle_only(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket, uint32_t after)
{
    abl_place_row_t *t = &segment->tickets[ticket];
    abl_asker_t asker = abl_grant_asker(t);

    if (abl_pick_may_only(segment, &asker, t->only, t->strict)) {
        return false;
    }
    if (t->strict) {
        refuse(segment, child, ticket);
        return false;
    }
    abl_queue_remove(segment, ticket);
    t->only = 0;
    abl_queue_insert(segment, ticket, after);
    return true;
}

static void settle_queue_of(abl_segment_t *segment, const abl_child_t *child, uint32_t row)
{
    uint32_t ticket = segment->rows[row].queue.first;
    uint32_t moved = 0; /* the last one: the next one's place is behind it */

    while (ticket != 0) {
        uint32_t next = segment->tickets[ticket].next;
        if (settle_only(segment, child, ticket, moved)) {
            moved = ticket;
        }
        ticket = next;
    }
}

static void settle_queue_of_all(abl_segment_t *segment, const abl_child_t *child, uint32_t balancer,
                                abl_common_t *common)
{
    uint32_t ticket = segment->balancers[balancer].queue.first;

    while (ticket != 0) {
        uint32_t next = segment->tickets[ticket].next;
        abl_asker_t asker = abl_grant_asker(&segment->tickets[ticket]);
        if (abl_pick_has_nobody(segment, &asker, common)) {
            refuse(segment, child, ticket);
        }
        ticket = next;
    }
}

void abl_grant_balancer(abl_segment_t *segment, const abl_child_t *child, uint32_t balancer)
{
    abl_balancer_row_t *b = &segment->balancers[balancer];
    abl_common_t common = {0};
    uint32_t row;

    if (b->waiting == 0) {
        return;
    }
    for (row = 1; row <= segment->shared->rows_used; row++) {
        if (segment->rows[row].balancer == balancer) {
            settle_queue_of(segment, child, row);
        }
    }
    segment->scratch->want++;
    settle_queue_of_all(segment, child, balancer, &common);
    for (row = 1; row <= segment->shared->rows_used; row++) {
        bool wanted = segment->scratch->wanted[row] == segment->scratch->want;
        if (segment->rows[row].balancer == balancer && (wanted || segment->rows[row].queue.length > 0)) {
            grant_row(segment, child, row, &common);
        }
    }
}

/* Whoever is killed in between leaves the last one twice. Who has tried so many that no more are counted may
 * try this one, too. */
static void forget_try(abl_tried_t *tried, uint32_t row)
{
    int i = 0, last = tried->n - 1;

    while (i < last && tried->members[i] != row) {
        i++;
    }
    if (tried->members[i] == row || last + 1 == ABL_TRIED_MAX) {
        tried->members[i] = tried->members[last];
        abl_in_order();
        tried->n = (uint16_t)last;
    }
}

void abl_grant_forget_tries(abl_segment_t *segment, uint32_t row)
{
    uint32_t ticket;

    for (ticket = 1; ticket <= segment->shared->tickets_used; ticket++) {
        abl_place_row_t *t = &segment->tickets[ticket];
        if (t->seat != 0 && t->tried.n > 0 && t->balancer == segment->rows[row].balancer) {
            forget_try(&t->tried, row);
        }
    }
}

bool abl_grant_is_known(const abl_segment_t *segment, uint32_t row)
{
    uint32_t seat = 1;

    while (seat <= segment->nseats &&
           (segment->seats[seat].pid == 0 ||
            !abl_row_is_of(&segment->rows[row], segment->seats[seat].generation))) {
        seat++;
    }
    return segment->rows[row].listed || seat <= segment->nseats;
}

void abl_grant_forget(abl_segment_t *segment, uint32_t row)
{
    abl_row_t *r = &segment->rows[row];

    if (r->balancer != 0 && !r->listed && r->c.busy == 0 && r->queue.length == 0 &&
        !abl_grant_is_known(segment, row)) {
        abl_rows_remove(segment, row);
        abl_in_order();
        r->balancer = 0;
    }
}

void abl_grant_drop(abl_segment_t *segment, const abl_child_t *child, uint32_t ticket)
{
    uint32_t row = segment->tickets[ticket].grant;

    if (row == 0) {
        abl_queue_remove(segment, ticket);
    } else {
        abl_queue_unmail(segment, ticket);
    }
    abl_queue_free(segment, ticket);
    if (row != 0 && row != ABL_REFUSED) {
        segment->rows[row].c.busy--;
        abl_grant_row(segment, child, row);
        abl_grant_forget(segment, row);
    }
}
