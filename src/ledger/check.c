/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof of the whole segment. It trusts no cache and no link: everything is counted from the truth, and a
 * list that is longer than what it can hold is a circle.
 */
#include "ledger/rebuild.h"
#include "ledger/rows.h"
#include "ledger/site_row.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Counted from the truth. */
typedef struct counts_t {
    uint32_t leases[ABL_LEDGER_MEMBERS + 1];
    /* of balancers: */
    uint32_t waiting[ABL_LEDGER_BALANCERS + 1];
    uint32_t with_client[ABL_LEDGER_BALANCERS + 1];
    uint32_t listed[ABL_LEDGER_BALANCERS + 1];
    uint32_t queued[ABL_LEDGER_BALANCERS + 1]; /* found in the queues of their members */
} counts_t;

/* The first fault that was found, if any. */
typedef struct proof_t {
    abl_segment_t *segment;
    char *verdict;
    bool sound;
    counts_t *counts; /* too large for a thread's stack */
} proof_t;

__attribute__((format(printf, 2, 3))) static void fault(proof_t *proof, const char *format, ...)
{
    va_list args;

    if (!proof->sound) {
        return; /* the first one is told */
    }
    proof->sound = false;
    va_start(args, format);
    /* clang-tidy errs here when it is given more files than this. NOLINTNEXTLINE(*-valist.Uninitialized) */
    vsnprintf(proof->verdict, ABL_CHECK_MAX, format, args);
    va_end(args);
}

/* ---- counting --------------------------------------------------------------------------------------- */

static void count_held(proof_t *proof)
{
    const abl_segment_t *s = proof->segment;
    uint32_t seat, row;

    for (seat = 1; seat <= s->nseats; seat++) {
        for (row = 1; s->seats[seat].pid != 0 && row <= s->shared->rows_used; row++) {
            proof->counts->leases[row] += *abl_held(s, seat, row);
        }
    }
}

static void count_tickets(proof_t *proof)
{
    const abl_segment_t *s = proof->segment;
    uint32_t ticket;

    for (ticket = 1; ticket <= s->shared->tickets_used; ticket++) {
        const abl_place_row_t *t = &s->tickets[ticket];
        if (t->seat == 0 || t->grant == ABL_REFUSED) {
            continue;
        }
        if (t->grant != 0) {
            proof->counts->leases[t->grant]++;
        } else {
            proof->counts->waiting[t->balancer]++;
            proof->counts->with_client[t->balancer] += t->client != 0;
        }
    }
}

/* ---- seats ------------------------------------------------------------------------------------------ */

static void check_seats(proof_t *proof)
{
    abl_segment_t *s = proof->segment;
    uint32_t seat, other, row;

    for (seat = 1; seat <= s->nseats; seat++) {
        pid_t pid = s->seats[seat].pid;
        for (row = 1; pid == 0 && row <= s->shared->rows_used; row++) {
            if (*abl_held(s, seat, row) != 0) {
                fault(proof, "seat %u is empty and holds a lease of member %s", seat, s->names[row].address);
            }
        }
        for (other = 1; pid != 0 && other < seat; other++) {
            if (s->seats[other].pid == pid) {
                fault(proof, "process %ld has two seats", (long)pid);
            }
        }
        if (pid == 0 && s->seats[seat].mail.length != 0) {
            fault(proof, "seat %u is empty and has mail", seat);
        }
    }
    if (s->shared->leader > s->nseats || (s->shared->leader != 0 && s->seats[s->shared->leader].pid == 0)) {
        fault(proof, "the leader's seat %u is empty", s->shared->leader);
    }
}

/* ---- members ---------------------------------------------------------------------------------------- */

static void check_row(proof_t *proof, uint32_t row)
{
    const abl_segment_t *s = proof->segment;
    const abl_row_t *r = &s->rows[row];
    const char *address = s->names[row].address;
    uint32_t leases = proof->counts->leases[row];
    uint32_t most = r->ceiling > r->c.limit ? r->ceiling : r->c.limit;

    if (r->balancer == 0) {
        if (leases != 0 || r->c.busy != 0 || r->queue.length != 0) {
            fault(proof, "a member that was forgotten (%s) has %u leases", address, leases);
        }
        return;
    }
    if (leases != r->c.busy) {
        fault(proof, "member %s: busy says %u, %u leases are held", address, r->c.busy, leases);
    }
    if (r->c.limit != 0 && r->c.busy > most) {
        fault(proof, "member %s: %u requests, its limit is %u", address, r->c.busy, r->c.limit);
    }
    if (r->c.queued != r->queue.length) {
        fault(proof, "member %s: queued says %u, its queue has %u", address, r->c.queued, r->queue.length);
    }
    if (!abl_grant_is_known(s, row) && r->c.busy == 0 && r->queue.length == 0) {
        fault(proof, "member %s is in no configuration, has no request, and is still here", address);
    }
}

static void check_buckets(proof_t *proof)
{
    const abl_segment_t *s = proof->segment;
    uint32_t row, bucket, n = 0, used = 0;

    for (row = 1; row <= s->shared->rows_used; row++) {
        used += s->rows[row].balancer != 0;
    }
    for (bucket = 0; bucket < ABL_ROW_BUCKETS; bucket++) {
        for (row = s->buckets[bucket]; row != 0 && n <= used; row = s->rows[row].same) {
            n++;
        }
    }
    if (n != used) {
        fault(proof, "%u members can be found by their address, %u are there", n, used);
        return; /* perhaps in circles */
    }
    for (row = 1; row <= s->shared->rows_used; row++) {
        const abl_row_t *r = &s->rows[row];
        if (r->balancer != 0 && abl_rows_find(s, r->balancer, s->names[row].address) != row) {
            fault(proof, "member %s is not found by its address", s->names[row].address);
        }
    }
}

/* Those that are listed are all that are in the configuration and somewhere, by set and order. */
static void check_listing(proof_t *proof, uint32_t balancer)
{
    const abl_segment_t *s = proof->segment;
    const abl_balancer_row_t *b = &s->balancers[balancer];
    uint32_t i, n = proof->counts->listed[balancer];

    if (n != b->nlisted) {
        fault(proof, "balancer %s: %u members are to be listed, %u are", b->name, n, b->nlisted);
    }
    for (i = 0; i < b->nlisted; i++) {
        const abl_row_t *r = &s->rows[b->rows[i]];
        if (r->balancer != balancer || !r->listed || r->vacant ||
            (i > 0 && s->rows[b->rows[i - 1]].set > r->set)) {
            fault(proof, "balancer %s lists %s, which does not belong there", b->name,
                  s->names[b->rows[i]].address);
        }
    }
}

static void check_site(proof_t *proof, uint32_t row)
{
    const abl_row_t *r = &proof->segment->rows[row];
    abl_site_t site;

    if (r->balancer == 0 || r->naming == ABL_NAMING_NONE) {
        return;
    }
    abl_site_of_row(proof->segment, row, &site);
    if (site.n < 0 || site.n > ABL_ADDRESSES_MAX || (site.n == 0 && !r->vacant && !r->shut)) {
        fault(proof, "member %s is in use and has %d addresses", proof->segment->names[row].address, site.n);
    }
}

/* ---- queues ----------------------------------------------------------------------------------------- */

/* Looks at one list. Returns how many tickets it has. */
static uint32_t check_list(proof_t *proof, const abl_list_t *list, uint32_t balancer, uint32_t only,
                           const char *name)
{
    const abl_segment_t *s = proof->segment;
    uint32_t ticket, before = 0, n = 0;

    for (ticket = list->first; ticket != 0 && n <= list->length; ticket = s->tickets[ticket].next) {
        const abl_place_row_t *t = &s->tickets[ticket];
        if (t->seat == 0 || t->grant != 0 || t->balancer != balancer || t->only != only) {
            fault(proof, "the queue of %s has ticket %u, which does not belong there", name, ticket);
        }
        if (t->prev != before || (before != 0 && s->tickets[before].place >= t->place)) {
            fault(proof, "the queue of %s is out of order at ticket %u", name, ticket);
        }
        before = ticket;
        n++;
    }
    if (n != list->length || list->last != before) {
        fault(proof, "the queue of %s says %u and has %u", name, list->length, n);
    }
    return n;
}

/* A member's, and what its balancer has to have. */
static void check_queue_of(proof_t *proof, uint32_t row)
{
    const abl_row_t *r = &proof->segment->rows[row];

    if (r->balancer != 0) {
        proof->counts->listed[r->balancer] += r->listed && !r->vacant;
        proof->counts->queued[r->balancer] +=
            check_list(proof, &r->queue, r->balancer, row, proof->segment->names[row].address);
    }
}

static uint32_t check_clients(proof_t *proof, uint32_t balancer)
{
    const abl_segment_t *s = proof->segment;
    const abl_balancer_row_t *b = &s->balancers[balancer];
    uint32_t i, n = 0;

    for (i = 0; i < ABL_CLIENT_BUCKETS; i++) {
        uint32_t ticket = b->clients[i];
        for (; ticket != 0 && n <= b->waiting; ticket = s->tickets[ticket].client_next, n++) {
            if (s->tickets[ticket].client % ABL_CLIENT_BUCKETS != i || s->tickets[ticket].seat == 0) {
                fault(proof, "balancer %s: ticket %u is counted for another client", b->name, ticket);
            }
        }
    }
    return n;
}

/* Marks the members that somebody waits for who would take any. */
static void find_wanted(const abl_segment_t *s, abl_common_t *common)
{
    uint32_t i, n;

    s->scratch->want++;
    for (i = 1; i <= s->shared->balancers_used; i++) {
        uint32_t ticket = s->balancers[i].queue.first;
        for (n = s->balancers[i].queue.length; ticket != 0 && n > 0; ticket = s->tickets[ticket].next, n--) {
            abl_asker_t asker = abl_grant_asker(&s->tickets[ticket]);
            (void)abl_pick_has_nobody(s, &asker, common);
        }
    }
}

static void check_nobody_waits_in_vain(proof_t *proof, uint32_t row, abl_common_t *common)
{
    const abl_segment_t *s = proof->segment;
    const abl_row_t *r = &s->rows[row];
    uint32_t ticket;

    if (r->balancer == 0 || r->status == ABL_STATUS_DISABLED || !abl_row_has_room(r)) {
        return;
    }
    if (r->queue.length > 0) {
        fault(proof, "member %s has room, and requests wait for it", s->names[row].address);
    }
    ticket = r->drain || r->status == ABL_STATUS_DRAIN || s->scratch->wanted[row] != s->scratch->want
                 ? 0
                 : s->balancers[r->balancer].queue.first;
    for (; ticket != 0; ticket = s->tickets[ticket].next) {
        abl_asker_t asker = abl_grant_asker(&s->tickets[ticket]);
        if (abl_pick_has(s, &asker, row, common)) {
            fault(proof, "member %s has room, and requests wait for any", s->names[row].address);
            return;
        }
    }
}

static void check_balancer(proof_t *proof, uint32_t balancer)
{
    const abl_segment_t *s = proof->segment;
    const abl_balancer_row_t *b = &s->balancers[balancer];
    uint32_t waiting = proof->counts->waiting[balancer];
    uint32_t found = proof->counts->queued[balancer] + check_list(proof, &b->queue, balancer, 0, b->name);

    if (found != waiting || b->waiting != waiting) {
        fault(proof, "balancer %s: %u requests wait, it says %u, its queues have %u", b->name, waiting,
              b->waiting, found);
    }
    if (check_clients(proof, balancer) != proof->counts->with_client[balancer]) {
        fault(proof, "balancer %s: not every waiting client is counted", b->name);
    }
}

/* ---- tickets ---------------------------------------------------------------------------------------- */

/* Looks at what is on its way to the requests of a seat. Returns how many tickets that are. */
static uint32_t check_mail(proof_t *proof, uint32_t seat)
{
    const abl_segment_t *s = proof->segment;
    const abl_list_t *mail = &s->seats[seat].mail;
    uint32_t ticket, before = 0, n = 0;

    for (ticket = mail->first; ticket != 0 && n <= mail->length; ticket = s->tickets[ticket].next) {
        const abl_place_row_t *t = &s->tickets[ticket];
        if (!t->mailed || t->seat != seat || t->prev != before) {
            fault(proof, "the mail of seat %u has ticket %u, which does not belong there", seat, ticket);
        }
        before = ticket;
        n++;
    }
    if (n != mail->length || mail->last != before) {
        fault(proof, "the mail of seat %u says %u and has %u", seat, mail->length, n);
    }
    return n;
}

static void check_tickets(proof_t *proof)
{
    const abl_segment_t *s = proof->segment;
    uint32_t ticket, seat, n = 0, used = 0, mailed = 0;

    for (ticket = 1; ticket <= s->shared->tickets_used; ticket++) {
        const abl_place_row_t *t = &s->tickets[ticket];
        used += t->seat != 0;
        mailed += t->mailed;
        if (t->seat > s->nseats || (t->seat != 0 && s->seats[t->seat].pid == 0)) {
            fault(proof, "ticket %u is of seat %u, which is empty", ticket, t->seat);
        }
        if (t->mailed && (t->seat == 0 || t->grant == 0)) {
            fault(proof, "ticket %u is in the mail and was not granted", ticket);
        }
    }
    for (seat = 1; seat <= s->nseats; seat++) {
        mailed -= check_mail(proof, seat);
    }
    if (mailed != 0) {
        fault(proof, "not every ticket that is in the mail is in a seat's");
    }
    for (ticket = s->shared->free_ticket; ticket != 0 && n <= s->shared->tickets_used;
         ticket = s->tickets[ticket].next) {
        n++;
    }
    if (n + used != s->shared->tickets_used) {
        fault(proof, "of %u tickets %u are in use and %u free", s->shared->tickets_used, used, n);
    }
}

/* Inside. */
static void check_all(proof_t *proof)
{
    const abl_segment_t *s = proof->segment;
    abl_common_t common = {0};
    uint32_t i;

    count_held(proof);
    count_tickets(proof);
    check_seats(proof);
    check_tickets(proof);
    find_wanted(s, &common);
    for (i = 1; i <= s->shared->rows_used; i++) {
        check_row(proof, i);
        check_queue_of(proof, i);
        check_site(proof, i);
        check_nobody_waits_in_vain(proof, i, &common);
    }
    for (i = 1; i <= s->shared->balancers_used; i++) {
        check_balancer(proof, i);
        check_listing(proof, i);
    }
    check_buckets(proof);
}

bool abl_ledger_check(abl_segment_t *segment, char verdict[ABL_CHECK_MAX])
{
    proof_t proof = {.segment = segment, .verdict = verdict, .sound = true};

    verdict[0] = '\0';
    proof.counts = calloc(1, sizeof(*proof.counts));
    if (proof.counts == NULL) {
        fault(&proof, "there is no memory to look");
    } else if (!abl_enter(segment, NULL)) {
        fault(&proof, "this thread is inside the ledger");
    } else {
        check_all(&proof);
        abl_leave(segment);
    }
    free(proof.counts);
    return proof.sound;
}
