/* SPDX-License-Identifier: Apache-2.0
 *
 * A dead process's leases and tickets. The seat's pid goes last: whoever dies in the middle leaves a seat
 * that can be reaped again.
 */
#include "ledger/seats.h"

#include <string.h>
#include <unistd.h>

static uint32_t find_free(const abl_segment_t *segment)
{
    uint32_t seat = 1;

    while (seat <= segment->nseats && segment->seats[seat].pid != 0) {
        seat++;
    }
    return seat <= segment->nseats ? seat : 0;
}

uint32_t abl_seats_take(abl_segment_t *segment)
{
    uint64_t rung;
    uint32_t seat;

    if (!abl_enter(segment, NULL)) {
        return 0;
    }
    seat = find_free(segment);
    if (seat != 0) {
        ssize_t n = read(segment->wakers[seat], &rung, sizeof(rung)); /* what was meant for the one before */
        (void)n;
        memset(&segment->seats[seat].mail, 0, sizeof(segment->seats[seat].mail));
        /* The leader has one more to watch, and finds it when the lock is free, even if it is dead by then.
         */
        segment->shared->people++;
        if (segment->shared->leader != 0) {
            abl_grant_wake(segment, segment->shared->leader);
        }
        segment->seats[seat].generation = segment->shared->generation;
        abl_in_order();
        segment->seats[seat].pid = getpid();
    }
    abl_leave(segment);
    return seat;
}

void abl_segment_move(abl_child_t *child)
{
    abl_segment_t *segment = child->segment;

    if (!abl_enter(segment, child)) {
        return;
    }
    segment->seats[child->seat].pid = getpid();
    segment->shared->people++;
    if (segment->shared->leader == child->seat) {
        segment->shared->leader = 0; /* the others notice when the child is gone */
    } else if (segment->shared->leader != 0) {
        abl_grant_wake(segment, segment->shared->leader);
    }
    abl_leave(segment);
}

bool abl_segment_needs(const abl_child_t *child, int fd)
{
    uint32_t seat;

    for (seat = 1; seat <= child->segment->nseats; seat++) {
        if (child->segment->wakers[seat] == fd) {
            return true;
        }
    }
    return false;
}

/* ---- reaping ---------------------------------------------------------------------------------------- */

static void give_back_leases(abl_segment_t *segment, const abl_child_t *child, uint32_t seat)
{
    uint32_t row;

    for (row = 1; row <= segment->shared->rows_used; row++) {
        uint32_t *held = abl_held(segment, seat, row);
        if (*held == 0) {
            continue;
        }
        segment->rows[row].c.busy -= *held;
        *held = 0;
        abl_in_order();
        abl_probe(ABL_PROBE_REAPING);
        abl_grant_row(segment, child, row);
        abl_grant_forget(segment, row);
    }
}

static void drop_tickets(abl_segment_t *segment, const abl_child_t *child, uint32_t seat)
{
    uint32_t ticket;

    for (ticket = 1; ticket <= segment->shared->tickets_used; ticket++) {
        if (segment->tickets[ticket].seat == seat) {
            abl_grant_drop(segment, child, ticket);
        }
    }
}

/* The dead child may have been the last one that knew them. */
static void forget_members(abl_segment_t *segment)
{
    uint32_t row;

    for (row = 1; row <= segment->shared->rows_used; row++) {
        abl_grant_forget(segment, row);
    }
}

void abl_seats_reap(abl_segment_t *segment, const abl_child_t *child, uint32_t seat, pid_t pid)
{
    if (!abl_enter(segment, child)) {
        return;
    }
    if (segment->seats[seat].pid == pid) {
        /* Tickets first, so that none of its own requests is given what it held. */
        drop_tickets(segment, child, seat);
        give_back_leases(segment, child, seat);
        if (segment->shared->leader == seat) {
            segment->shared->leader = 0;
        }
        segment->shared->people++;
        abl_in_order();
        segment->seats[seat].pid = 0;
        forget_members(segment);
    }
    abl_leave(segment);
}

void abl_segment_reap(abl_segment_t *segment, pid_t pid)
{
    uint32_t seat;

    for (seat = 1; seat <= segment->nseats; seat++) {
        if (atomic_load(&segment->seats[seat].pid) == pid) {
            abl_seats_reap(segment, NULL, seat, pid);
            return;
        }
    }
}
