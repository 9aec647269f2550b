/* SPDX-License-Identifier: Apache-2.0
 *
 * A dead process's leases and tickets. The seat's pid goes last: whoever dies in the middle leaves a seat
 * that can be reaped again.
 */
#include "ledger/seats.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* ---- sitting down ----------------------------------------------------------------------------------- */

/* The seat of this process; 0: the first free one. */
static uint32_t find(const abl_segment_t *segment, pid_t pid)
{
    uint32_t seat = 1;

    while (seat <= segment->nseats && segment->seats[seat].pid != pid) {
        seat++;
    }
    return seat <= segment->nseats ? seat : 0;
}

/* Somebody comes or goes: the leader has to look, when the lock is free. */
static void tell_leader(abl_segment_t *segment)
{
    segment->shared->people++;
    if (segment->shared->leader != 0) {
        abl_grant_wake(segment, segment->shared->leader);
    }
}

static void occupy(abl_segment_t *segment, uint32_t seat, pid_t pid, bool kept)
{
    abl_seat_row_t *row = &segment->seats[seat];
    uint64_t rung;
    ssize_t n = read(segment->wakers[seat], &rung, sizeof(rung)); /* what was meant for the one before */

    (void)n;
    memset(&row->mail, 0, sizeof(row->mail));
    tell_leader(segment); /* first: it finds a new process even if that is dead by then */
    atomic_store(&row->counts.parked, 0);
    atomic_store(&row->counts.adopted, 0);
    row->generation = segment->generation;
    row->turn++;
    row->kept = kept;
    abl_in_order();
    row->pid = pid;
}

/* Of somebody who had this number, and is dead if somebody else has it now. */
static void reap_namesake(abl_segment_t *segment, pid_t pid)
{
    uint32_t seat = find(segment, pid);

    if (seat != 0 && !segment->seats[seat].kept) {
        abl_seats_reap(segment, NULL, seat, segment->seats[seat].turn);
    }
}

bool abl_seats_take(abl_child_t *child)
{
    abl_segment_t *segment = child->segment;
    pid_t me = getpid();

    reap_namesake(segment, me);
    if (!abl_enter(segment, NULL)) {
        return false;
    }
    child->seat = find(segment, me);
    if (child->seat == 0) {
        child->seat = find(segment, 0);
        if (child->seat != 0) {
            occupy(segment, child->seat, me, false);
        }
    }
    if (child->seat != 0) {
        segment->seats[child->seat].kept = 0;
        child->turn = segment->seats[child->seat].turn;
    }
    abl_leave(segment);
    return child->seat != 0;
}

void abl_segment_expect(abl_segment_t *segment, pid_t pid)
{
    uint32_t seat;

    if (!abl_enter(segment, NULL)) {
        return;
    }
    seat = find(segment, pid) == 0 ? find(segment, 0) : 0;
    if (seat != 0) {
        occupy(segment, seat, pid, true);
    }
    abl_leave(segment);
}

bool abl_segment_move(abl_child_t *child)
{
    abl_segment_t *segment = child->segment;

    if (!abl_enter(segment, child)) {
        return false;
    }
    segment->seats[child->seat].turn = ++child->turn;
    abl_in_order();
    segment->seats[child->seat].pid = getpid();
    if (segment->shared->leader == child->seat) {
        segment->shared->leader = 0; /* nobody here watches: another one has to lead */
        abl_grant_wake_others(segment, child->seat);
    }
    tell_leader(segment);
    abl_leave(segment);
    return true;
}

abl_seat_counts_t *abl_segment_counts(abl_child_t *child)
{
    return &child->segment->seats[child->seat].counts;
}

bool abl_segment_needs(const abl_child_t *child, int fd)
{
    uint32_t seat;

    for (seat = 1; seat <= child->segment->nseats; seat++) {
        if (child->segment->wakers[seat] == fd) {
            return true;
        }
    }
    return fd == child->segment->bell;
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

void abl_segment_renew(abl_child_t *child)
{
    abl_segment_t *segment = child->segment;

    if (!abl_enter(segment, child)) {
        return;
    }
    segment->generation = segment->shared->generation;
    segment->seats[child->seat].generation = segment->generation;
    forget_members(segment);
    abl_leave(segment);
}

void abl_seats_reap(abl_segment_t *segment, const abl_child_t *child, uint32_t seat, uint32_t turn)
{
    if (!abl_enter(segment, child)) {
        return;
    }
    if (segment->seats[seat].pid != 0 && segment->seats[seat].turn == turn) {
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
        uint32_t turn = segment->seats[seat].turn;
        if (atomic_load(&segment->seats[seat].pid) == pid) {
            abl_seats_reap(segment, NULL, seat, turn);
        }
    }
}
