/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an exchange: taking a member, connecting, and what to do when an attempt fails. What goes over
 * a connection is transfer.c's.
 *
 * Steps, in order; a step is the function that run() calls next:
 *
 *     take ──► queued ──► open ──► connecting ──► greeting ──► transfer ──► (ended)
 *      ▲                    │           │            │            │
 *      └────────────────────┴───────────┴────────────┴────────────┘  next member, if that is allowed
 *
 * greeting, where the member wants it, is the PROXY protocol's header and the handshake of TLS.
 * take goes straight to open when a member has room. open may go to backlog and come back: a Unix socket
 * whose queue is full is tried again a little later.
 */
#include "engine/exchange.h"
#include "engine/hedge.h"
#include "engine/orphans.h"
#include "engine/reach.h"
#include "engine/transfer.h"
#include "ledger/gate.h"
#include "ledger/health.h"
#include "ledger/hedge.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static bool step_take(abl_exchange_t *x);
static bool step_queued(abl_exchange_t *x);
static bool step_open(abl_exchange_t *x);
static bool step_connecting(abl_exchange_t *x);
static bool step_greeting(abl_exchange_t *x);
static bool step_backlog(abl_exchange_t *x);
static bool got_member(abl_exchange_t *x);
static bool hedge(abl_exchange_t *x);
static bool step_race(abl_exchange_t *x);

abl_exchange_t *abl_exchange_make(apr_pool_t *pool, const abl_balancer_t *balancer,
                                  const abl_timeouts_t *timeouts, int64_t client_timeout,
                                  const abl_request_t *request, const abl_exchange_events_t *events,
                                  void *ctx)
{
    abl_exchange_t *x = apr_palloc(pool, sizeof(*x));

    /* The parser's table of fields is large and filled before it is read. */
    memset(x, 0, offsetof(abl_exchange_t, head));
    x->pool = pool;
    x->balancer = balancer;
    x->timeouts = timeouts;
    x->client_timeout = client_timeout;
    x->request = request;
    x->events = events;
    x->ctx = ctx;
    x->want = request->want;
    x->member = -1;
    x->last_member = -1;
    x->step = step_take;
    return x;
}

/* ---- failing ---------------------------------------------------------------------------------------- */

/* What says something about the member, and nothing about this machine, which may be out of ports. */
static bool is_away(apr_status_t rv)
{
    return rv == ECONNREFUSED || rv == ENOENT || rv == APR_TIMEUP || rv == ETIMEDOUT || rv == EHOSTUNREACH ||
           rv == ENETUNREACH || rv == ECONNRESET || rv == EHOSTDOWN;
}

/* Who was not there may be there again a moment later, which is known to the ledger and not by what was
 * tried. Twice: there may be more to it. */
static bool is_spared(abl_exchange_t *x, apr_status_t rv)
{
    return x->conn == NULL && is_away(rv) && !x->balancer->members[x->member].supervised &&
           !x->greeting_failed && x->spared++ < 2;
}

/* Sends the request to another member. */
static void try_next(abl_exchange_t *x, const char *why, apr_status_t rv)
{
    if (x->is_rival) { /* what comes next is the first try's business */
        abl_transfer_finish(x, ABL_END_BROKEN, why, rv);
        return;
    }
    if (!is_spared(x, rv)) {
        abl_tried_add(&x->want.tried, x->member);
    }
    x->fresh_only = false;
    x->why = why;
    x->why_rv = rv;
    abl_release(x, false);
    x->step = step_take;
}

static void tell_ledger(const abl_exchange_t *x, apr_status_t rv)
{
    const abl_member_t *member = &x->balancer->members[x->member];

    if (member->supervised && (rv == ECONNREFUSED || rv == ENOENT)) {
        abl_gate_suspect(x->balancer->ledger, x->member);
    } else if (!member->supervised && is_away(rv) && abl_reach_count(x->balancer, x->member) > 0) {
        abl_health_away(x->balancer->ledger, x->member, rv == APR_TIMEUP ? ETIMEDOUT : rv, x->taken_at);
    }
}

/* Another member, if that is what the administrator wants after this. */
static void try_next_after(abl_exchange_t *x, unsigned on, const char *why, apr_status_t rv)
{
    if (x->balancer->retry.on & on) {
        try_next(x, why, rv);
    } else {
        abl_transfer_finish(x, x->last_failure, why, rv);
    }
}

#define CANNOT_GREET ABL_WHY_TLS "the handshake was not done in time, or broke off"

static void connect_failed(abl_exchange_t *x, apr_status_t rv)
{
    const char *why = "cannot connect";

    abl_release_connecting(x);
    x->greeting_failed = x->step == step_greeting;
    if (x->conn != NULL) {
        why = abl_transfer_why(x, x->step == step_greeting && x->conn->tls != NULL ? CANNOT_GREET : why, &rv);
        abl_conn_close(&x->conn);
    }
    if (++x->address < abl_reach_count(x->balancer, x->member)) {
        x->connect_until = 0;
        x->step = step_open;
        return;
    }
    if (!x->greeting_failed) {
        tell_ledger(x, rv);
    }
    x->last_failure = x->sent_ever ? ABL_END_BROKEN : ABL_END_NO_MEMBER;
    try_next_after(x, ABL_RETRY_CONNECT, why, rv);
}

/* The connection failed before any byte of an answer: another connection, another member, or the end.
 * x->why and x->why_rv say how. */
static void unanswered(abl_exchange_t *x)
{
    bool reached = x->sent_here;

    x->sent_ever |= reached;
    if (x->conn->reused && (!reached || abl_may_send_again(x))) {
        /* The member gave up the idle connection while the request was on its way: no failure of its. */
        abl_conn_close(&x->conn);
        x->fresh_only = true;
        x->connect_until = 0;
        x->step = step_open;
        return;
    }
    x->last_failure = ABL_END_BROKEN;
    if (!reached) {
        try_next_after(x, ABL_RETRY_CONNECT, x->why, x->why_rv);
    } else if (!x->is_rival && abl_may_turn_away(x, ABL_RETRY_RESET) &&
               abl_ledger_spend_retry(x->balancer->ledger)) {
        x->resends++;
        try_next(x, x->why, x->why_rv);
    } else {
        abl_transfer_finish(x, ABL_END_BROKEN, x->why, x->why_rv);
    }
}

/* Is the member at work for this request, with a place that nobody else may have meanwhile? */
static bool holds_place(const abl_exchange_t *x)
{
    return x->leased && x->conn != NULL && x->sent_here && !x->answered &&
           abl_ledger_is_limited(x->balancer->ledger, x->member);
}

/* Gives up what is left of this attempt, whose answer nobody waits for any more. */
static void let_go(abl_exchange_t *x)
{
    if (holds_place(x)) {
        abl_orphans_adopt(x);
    } else {
        abl_release(x, false);
    }
}

/* The lease of another member, if one is free at this moment; -1: none. `beside`: the first one goes on;
 * `unlimited`: of one without a limit. */
static int take_other(const abl_exchange_t *x, bool beside, bool unlimited)
{
    abl_want_t want = x->want;
    abl_ticket_t *ticket; /* who is in a hurry gets none */
    int member = -1;

    abl_tried_add(&want.tried, x->member);
    want.unlimited = unlimited;
    want.hurry = true;
    want.beside = beside;
    return abl_ledger_take(x->balancer->ledger, &want, &member, &ticket) == APR_SUCCESS ? member : -1;
}

/* The member has failed as `end` says, and is left to itself if the request can go on at another one, at
 * once: until then nothing is given up. False: it cannot. */
static bool turn_away(abl_exchange_t *x, abl_end_t end, const char *why, apr_status_t rv)
{
    int other;

    if (!abl_ledger_spend_retry(x->balancer->ledger)) {
        return false;
    }
    other = take_other(x, false, false);
    if (other < 0) {
        abl_ledger_return_retry(x->balancer->ledger);
        return false;
    }
    abl_tried_add(&x->want.tried, x->member);
    x->unwanted = false;
    x->end = end;
    let_go(x);
    x->resends++;
    x->sent_ever = true;
    x->fresh_only = false;
    x->last_failure = end;
    abl_transfer_finish(x, ABL_END_NONE, why, rv);
    x->member = other;
    got_member(x);
    return true;
}

/* The head of an answer is here that another member may do better. */
static void unwanted(abl_exchange_t *x)
{
    x->turned_away = x->unwanted_status;
    if (!turn_away(x, ABL_END_BROKEN, x->why, APR_SUCCESS)) {
        x->turned_away = 0;
        x->unwanted = false;
        x->judged = true;
    }
}

/* The member has not answered in time. One that is stuck with a request is no reason to give the same request
 * to another. */
static void ended(abl_exchange_t *x)
{
    if (x->end == ABL_END_TIMEOUT && !x->is_rival && x->deadline_kind != ABL_DEADLINE_STUCK &&
        abl_may_turn_away(x, ABL_RETRY_TIMEOUT)) {
        (void)turn_away(x, ABL_END_TIMEOUT, x->why, x->why_rv);
    }
}

/* ---- steps ------------------------------------------------------------------------------------------ */

static void note_try(abl_exchange_t *x)
{
    if (x->facts.tries < ABL_TRIED_KEPT) {
        x->facts.tried[x->facts.tries] = x->member;
    }
    x->facts.tries++;
    x->usable_at = 0;
}

static bool got_member(abl_exchange_t *x)
{
    note_try(x);
    if (x->last_member >= 0) {
        x->events->on_retry(x->ctx, x->last_member, x->why, x->why_rv);
    } else {
        x->started = x->now;
    }
    x->last_member = x->member;
    x->leased = true;
    x->taken_at = x->now;
    x->stuck_at = x->balancer->members[x->member].stuck != 0 ? x->now + x->balancer->members[x->member].stuck
                                                             : INT64_MAX;
    x->client_was_slow = false;
    x->first_byte_at = 0;
    x->greeting_failed = false;
    x->turned_away = 0;
    x->address = 0;
    x->connect_until = 0;
    x->wait.queued = false;
    x->step = step_open;
    return true;
}

static bool got_nobody(abl_exchange_t *x)
{
    abl_transfer_finish(x, x->last_member < 0 ? ABL_END_NO_MEMBER : x->last_failure, x->why, x->why_rv);
    return true;
}

static bool queue_up(abl_exchange_t *x)
{
    if (x->queue_until == 0) {
        x->queue_until = x->now + x->balancer->queue.timeout;
    }
    x->wait.queued = true;
    x->wait.fd = abl_ticket_fd(x->ticket);
    x->wait.conn = NULL;
    x->wait.what = ABL_READY_MEMBER_READ | ABL_READY_CLIENT_GONE;
    x->wait.deadline = x->queue_until;
    x->queued_at = x->now;
    x->step = step_queued;
    return false;
}

static bool step_take(abl_exchange_t *x)
{
    apr_status_t rv;

    if (x->sent_ever && x->now - x->started > x->balancer->retry.time) {
        return got_nobody(x);
    }
    rv = abl_ledger_take(x->balancer->ledger, &x->want, &x->member, &x->ticket);
    switch (rv) {
    case APR_SUCCESS:
        return got_member(x);
    case APR_EINPROGRESS:
        return queue_up(x);
    case ABL_QUEUE_FULL:
        abl_transfer_finish(x, ABL_END_QUEUE_FULL, "the queue is full", APR_SUCCESS);
        return true;
    case ABL_CLIENT_QUEUE_FULL:
        abl_transfer_finish(x, ABL_END_CLIENT_QUEUE_FULL, "the client's part of the queue is full",
                            APR_SUCCESS);
        return true;
    case APR_ENOENT:
        return got_nobody(x);
    default: /* no descriptor to wait with, or no memory */
        abl_transfer_finish(x, ABL_END_QUEUE_FULL, "cannot wait in the queue", rv);
        return true;
    }
}

static bool step_queued(abl_exchange_t *x)
{
    switch (abl_ledger_collect(x->balancer->ledger, &x->ticket, &x->member)) {
    case APR_SUCCESS:
        x->facts.queued += x->now - x->queued_at;
        x->started += x->now - x->queued_at; /* what the queue takes has a bound of its own */
        return got_member(x);
    case APR_ENOENT:
        return got_nobody(x);
    default:
        break;
    }
    if (x->ready & ABL_READY_TIMEOUT) {
        abl_ledger_leave(x->balancer->ledger, &x->ticket);
        abl_transfer_finish(x, ABL_END_QUEUE_TIMEOUT, "no member became free in time", APR_SUCCESS);
        return true;
    }
    return false;
}

static bool step_transfer(abl_exchange_t *x)
{
    if (x->now < x->own_deadline) { /* that was the time for a second try */
        x->ready &= ~ABL_READY_TIMEOUT;
    }
    x->own_deadline = 0;
    switch (abl_transfer_run(x, x->ready)) {
    case ABL_TRANSFER_WAIT:
        return x->balancer->hedge.percent > 0 && hedge(x);
    case ABL_TRANSFER_UNANSWERED:
        unanswered(x);
        break;
    case ABL_TRANSFER_UNWANTED:
        if (x->is_rival) {
            return false; /* the first try looks at it */
        }
        unwanted(x);
        break;
    case ABL_TRANSFER_ENDED:
        ended(x);
        break;
    }
    return true;
}

/* ---- a second try beside the first */

/* Waits for the time of a second try, if there is one before x->wait.deadline, or begins it. */
static bool hedge(abl_exchange_t *x)
{
    int64_t due = abl_hedge_due(x);
    int other;

    if (due > x->now) {
        if (due < x->wait.deadline) {
            x->own_deadline = x->wait.deadline;
            x->wait.deadline = due;
        }
        return false;
    }
    x->hedged = true;
    if (!abl_hedge_spend(x->balancer->ledger)) {
        return false;
    }
    other = take_other(x, true, !x->balancer->hedge.limited);
    if (other < 0) {
        abl_hedge_return(x->balancer->ledger);
        return false;
    }
    abl_hedge_begin(x, other);
    got_member(x->rival);
    x->step = step_race;
    return true;
}

/* The second try has lost, or failed: then x->rival->end says how. */
static void drop_rival(abl_exchange_t *x)
{
    abl_exchange_t *rival = x->rival;

    if (rival == NULL) {
        return;
    }
    if (rival->unwanted) {
        rival->turned_away = rival->unwanted_status;
    } else if (rival->end == ABL_END_NONE) {
        rival->end = ABL_END_CLIENT_GONE;
    }
    let_go(rival);
    x->rival = NULL;
    abl_hedge_unwait(x);
    x->step = step_transfer;
}

/* The first try has failed (x->end, x->turned_away), or only taken too long (ABL_END_CLIENT_GONE): the second
 * goes on in its place. `broken`: its connection is. */
static bool rival_wins(abl_exchange_t *x, bool broken)
{
    bool failed = x->end != ABL_END_CLIENT_GONE;
    int loser = x->member;
    const char *why = x->why;
    apr_status_t rv = x->why_rv;

    if (!failed && !holds_place(x)) {
        x->first_byte_at = x->now; /* so long it has taken at least */
    }
    abl_tried_add(&x->want.tried, loser);
    if (broken) {
        abl_release(x, false);
    } else {
        let_go(x);
    }
    abl_hedge_unwait(x);
    if (failed) {
        x->events->on_retry(x->ctx, loser, why, rv);
    }
    abl_hedge_win(x);
    return true;
}

/* What has come of the first try while there is a second one. True: that has taken over, or the exchange has
 * ended, or it is the only one. */
static bool is_decided(abl_exchange_t *x, abl_transfer_t first)
{
    if (first == ABL_TRANSFER_WAIT && !x->head_done) {
        return false;
    }
    if (first == ABL_TRANSFER_UNANSWERED) {
        x->end = x->conn->reused ? ABL_END_CLIENT_GONE : ABL_END_BROKEN; /* as unanswered() sees it */
        return rival_wins(x, true);
    }
    if (first == ABL_TRANSFER_UNWANTED) {
        x->turned_away = x->unwanted_status;
        x->unwanted = false;
        x->end = ABL_END_BROKEN;
        return rival_wins(x, false);
    }
    if (!x->head_done && (x->end == ABL_END_TIMEOUT || x->end == ABL_END_BAD_ANSWER)) {
        return rival_wins(x, false);
    }
    drop_rival(x);
    return true;
}

static bool step_race(abl_exchange_t *x)
{
    unsigned own, rivals;
    abl_transfer_t first;

    abl_hedge_look(x, &own, &rivals);
    first = abl_transfer_run(x, own);
    if (is_decided(x, first)) {
        return x->end != ABL_END_NONE || first != ABL_TRANSFER_WAIT;
    }
    if (!abl_exchange_run(x->rival, rivals) || (x->rival->unwanted && !abl_hedge_is_good(x->rival))) {
        drop_rival(x);
        return false;
    }
    if (x->rival->unwanted) {
        x->end = ABL_END_CLIENT_GONE;
        return rival_wins(x, false);
    }
    abl_hedge_wait(x);
    return false;
}

static bool begin_transfer(abl_exchange_t *x)
{
    x->usable_at = x->now;
    x->facts.reused = x->conn->reused;
    abl_transfer_begin(x);
    x->step = step_transfer;
    return true;
}

/* A request that could not be repeated never rides on a connection that the member may be about to close.
 * With Expect the body stays here until the member has answered. */
static bool may_use_idle(const abl_exchange_t *x)
{
    const abl_request_t *request = x->request;

    return request->repeatable && (request->first_is_all || request->head.expect) &&
           request->head.upgrade == NULL && !x->fresh_only && !x->body_begun;
}

static abl_conn_t *take_idle(abl_exchange_t *x)
{
    abl_pool_t *pool = x->balancer->pools[x->member];
    abl_conn_t *conn = pool != NULL && may_use_idle(x) ? abl_pool_take(pool, x->now) : NULL;

    while (conn != NULL && !abl_reach_holds(x->balancer, x->member, conn)) {
        abl_conn_close(&conn);
        conn = abl_pool_take(pool, x->now);
    }
    return conn;
}

static void wait_for_connect(abl_exchange_t *x, unsigned what, int64_t deadline)
{
    x->wait.fd = x->conn != NULL ? x->conn->fd : -1;
    x->wait.conn = x->conn;
    x->wait.what = what | ABL_READY_CLIENT_GONE;
    x->wait.deadline = deadline;
}

/* A Unix socket's backlog is full. The member is busy, not gone, and there is nothing to poll for: its kernel
 * queue has no descriptor. */
static bool wait_for_backlog(abl_exchange_t *x)
{
    int64_t again = x->now + ABL_BACKLOG_PAUSE;

    wait_for_connect(x, 0, again < x->connect_until ? again : x->connect_until);
    x->step = step_backlog;
    return false;
}

static bool step_backlog(abl_exchange_t *x)
{
    if (x->ready & ABL_READY_TIMEOUT) {
        x->step = step_open;
        return true;
    }
    return false;
}

/* A member that does not answer connects would have one of each request. */
static bool may_connect(abl_exchange_t *x)
{
    atomic_int *connecting = &x->balancer->connecting[x->member];

    if (atomic_fetch_add(connecting, 1) < ABL_CONNECTING_MAX) {
        x->connecting = true;
        return true;
    }
    atomic_fetch_sub(connecting, 1);
    return false;
}

/* ---- what goes before the request: to whom the connection belongs, and TLS */

static bool connected(abl_exchange_t *x)
{
    const abl_member_t *member = &x->balancer->members[x->member];

    if (member->proxy == ABL_PROXY_OFF && x->conn->tls == NULL) {
        return begin_transfer(x);
    }
    x->greeting_len = abl_proxy_write(member->proxy, x->request->client, x->request->local, x->greeting);
    x->greeted = 0;
    x->ready = 0;
    x->step = step_greeting;
    return true;
}

static bool step_greeting(abl_exchange_t *x)
{
    bool for_write = true;
    apr_status_t rv;

    if (x->ready & ABL_READY_TIMEOUT) {
        connect_failed(x, APR_TIMEUP);
        return true;
    }
    rv = abl_conn_greet(x->conn, x->greeting, x->greeting_len, &x->greeted);
    if (rv == APR_SUCCESS) {
        rv = abl_conn_handshake(x->conn, &for_write);
    }
    if (rv == APR_SUCCESS) {
        return begin_transfer(x);
    }
    if (APR_STATUS_IS_EAGAIN(rv)) {
        wait_for_connect(x, for_write ? ABL_READY_MEMBER_WRITE : ABL_READY_MEMBER_READ, x->connect_until);
        return false;
    }
    connect_failed(x, rv);
    return true;
}

static bool step_open(abl_exchange_t *x)
{
    apr_status_t rv;

    if (x->connect_until == 0) {
        x->conn = x->address == 0 ? take_idle(x) : NULL;
        x->connect_until = x->now + x->timeouts->connect;
    }
    if (x->conn != NULL) {
        return begin_transfer(x);
    }
    if (abl_health_is_away(x->balancer->ledger, x->member)) {
        connect_failed(x, ECONNREFUSED); /* somebody has found out meanwhile */
        return true;
    }
    if (!may_connect(x)) {
        x->waits_for_slot = x->now < x->connect_until;
        if (x->waits_for_slot) {
            return wait_for_backlog(x);
        }
        connect_failed(x, APR_EAGAIN); /* it was not even tried: that says nothing about the member */
        return true;
    }
    if (x->waits_for_slot) {
        x->waits_for_slot = false;
        x->connect_until = x->now + x->timeouts->connect; /* its own time begins now */
    }
    rv = abl_reach_open(x->balancer, x->member, x->address, x->now, &x->conn);
    if (rv == APR_SUCCESS) {
        abl_release_connecting(x);
        return connected(x);
    }
    if (APR_STATUS_IS_EAGAIN(rv) && x->now < x->connect_until) {
        abl_release_connecting(x);
        return wait_for_backlog(x);
    }
    if (x->conn == NULL) {
        connect_failed(x, rv);
        return true;
    }
    wait_for_connect(x, ABL_READY_MEMBER_WRITE, x->connect_until);
    x->step = step_connecting;
    return false;
}

static bool step_connecting(abl_exchange_t *x)
{
    apr_status_t rv;

    if (x->ready & ABL_READY_TIMEOUT) {
        connect_failed(x, APR_TIMEUP);
        return true;
    }
    if (!(x->ready & ABL_READY_MEMBER_WRITE)) {
        return false;
    }
    rv = abl_conn_connected(x->conn);
    abl_release_connecting(x);
    if (rv != APR_SUCCESS) {
        connect_failed(x, rv);
        return true;
    }
    return connected(x);
}

/* ---- leaving ---------------------------------------------------------------------------------------- */

/* Nobody waits for the answer any more, but the member does not know: closing the connection does not stop a
 * server that is at work. Its place must stay taken until it has answered or closed. */
static bool is_orphan(const abl_exchange_t *x)
{
    return x->end != ABL_END_OK && x->end != ABL_END_BROKEN && holds_place(x);
}

/* ---- for the driver --------------------------------------------------------------------------------- */

bool abl_exchange_redirect(abl_exchange_t *x, const abl_exchange_events_t *events, void *ctx)
{
    bool ok = abl_receive_pass(x);

    x->events = events;
    x->ctx = ctx;
    return ok;
}

bool abl_exchange_run(abl_exchange_t *x, unsigned ready)
{
    x->ready = ready;
    x->now = abl_clock_now();
    if (ready & ABL_READY_CLIENT_GONE) {
        abl_transfer_finish(x, ABL_END_CLIENT_GONE, "the client closed its connection", APR_SUCCESS);
    }
    while (x->end == ABL_END_NONE) {
        if (!x->step(x)) {
            return true;
        }
        x->ready = 0; /* seen by the step before; the next one begins with its own */
    }
    if (x->end == ABL_END_OK) {
        abl_release(x, x->keep);
    }
    return false;
}

const abl_wait_t *abl_exchange_wait(const abl_exchange_t *x)
{
    return &x->wait;
}

int64_t abl_exchange_expects(const abl_exchange_t *x)
{
    if (x->member < 0 || x->head_done || x->wants_client) {
        return 0;
    }
    return atomic_load_explicit(&x->balancer->first_bytes[x->member], memory_order_relaxed);
}

abl_end_t abl_exchange_end(const abl_exchange_t *x, int *member, const char **why, apr_status_t *rv)
{
    if (member != NULL) {
        *member = x->last_member;
    }
    if (why != NULL) {
        *why = x->why;
    }
    if (rv != NULL) {
        *rv = x->why_rv;
    }
    return x->end;
}

void abl_exchange_facts(const abl_exchange_t *x, abl_facts_t *facts)
{
    *facts = x->facts;
    facts->waited = x->queue_until != 0;
    facts->queued += x->wait.queued ? x->now - x->queued_at : 0; /* it has ended there */
    facts->connect = x->usable_at != 0 ? x->usable_at - x->taken_at : -1;
    facts->first_byte = x->first_byte_at != 0 && x->usable_at != 0 ? x->first_byte_at - x->usable_at : -1;
}

void abl_exchange_close(abl_exchange_t *x)
{
    drop_rival(x);
    if (is_orphan(x)) {
        abl_orphans_adopt(x);
    } else {
        abl_release(x, false);
    }
}
