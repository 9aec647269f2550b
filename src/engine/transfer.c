/* SPDX-License-Identifier: Apache-2.0
 *
 * An exchange's time on one connection: sending and receiving side by side (a member may answer while the
 * body is still on its way), and the deadlines of both.
 */
#include "engine/transfer.h"

#include "ledger/gate.h"

void abl_transfer_begin(abl_exchange_t *x)
{
    x->wait.fd = x->conn->fd;
    x->wait.conn = x->conn;
    x->moved = false;
    x->quiet_since = x->now;
    abl_receive_begin(x);
    abl_send_begin(x);
}

/* ---- deadlines -------------------------------------------------------------------------------------- */

/* What the client takes of its time is not the member's fault: after that the clock of stuck= begins anew. */
static void watch_member(abl_exchange_t *x)
{
    bool client_is_slow = x->wants_client || !abl_receive_may(x);

    if (x->client_was_slow && !client_is_slow && x->stuck_at != INT64_MAX) {
        x->stuck_at = abl_clock_now() + x->balancer->members[x->member].stuck;
    }
    x->client_was_slow = client_is_slow;
}

/* Which silence is being waited out, and until when. */
static void set_deadline(abl_exchange_t *x)
{
    watch_member(x);
    if (x->moved) {
        x->moved = false;
        x->quiet_since = abl_clock_now();
    }
    if (!abl_receive_may(x)) {
        x->deadline_kind = ABL_DEADLINE_GAP;
        x->wait.deadline = INT64_MAX;
        x->moved = true; /* the member's own silence begins when it may speak again */
    } else if (x->can_read) {
        x->deadline_kind = ABL_DEADLINE_MORE;
        x->wait.deadline = x->now; /* others first, then on with what no poll would tell of */
    } else if (x->tunnel) {
        bool half_closed = !abl_send_pending(x) && x->timeouts->tunnel > ABL_HALF_CLOSED;
        x->deadline_kind = ABL_DEADLINE_TUNNEL;
        x->wait.deadline = x->quiet_since + (half_closed ? ABL_HALF_CLOSED : x->timeouts->tunnel);
    } else if (x->hold_until != 0 && x->nvectors == 0) {
        x->deadline_kind = ABL_DEADLINE_HOLD;
        x->wait.deadline = x->hold_until;
    } else if (x->wants_client) {
        x->deadline_kind = ABL_DEADLINE_CLIENT;
        x->wait.deadline = x->quiet_since + x->client_timeout;
    } else if (x->head_until != 0 && !x->head_done) {
        x->deadline_kind = ABL_DEADLINE_HEAD;
        x->wait.deadline = x->head_until;
    } else if (x->sent_at != 0 && !x->head_done) {
        x->deadline_kind = ABL_DEADLINE_RESPONSE;
        x->wait.deadline = x->sent_at + x->timeouts->response;
    } else {
        x->deadline_kind = ABL_DEADLINE_GAP;
        x->wait.deadline = x->quiet_since + x->timeouts->gap;
    }
    if (x->stuck_at < x->wait.deadline && !x->tunnel && !x->wants_client && abl_receive_may(x)) {
        x->deadline_kind = ABL_DEADLINE_STUCK;
        x->wait.deadline = x->stuck_at;
    }
}

static void timed_out(abl_exchange_t *x)
{
    switch (x->deadline_kind) {
    case ABL_DEADLINE_MORE:
        break;
    case ABL_DEADLINE_HOLD:
        abl_send_body(x);
        break;
    case ABL_DEADLINE_CLIENT:
        abl_transfer_finish(x, ABL_END_CLIENT_BODY, "the request's body did not come in time", APR_TIMEUP);
        break;
    case ABL_DEADLINE_TUNNEL:
        abl_transfer_finish(x, ABL_END_OK, NULL, APR_SUCCESS);
        x->keep = false;
        break;
    case ABL_DEADLINE_HEAD:
        abl_receive_let_go(x);
        break;
    case ABL_DEADLINE_RESPONSE:
        abl_transfer_finish(x, ABL_END_TIMEOUT, "no answer in time", APR_TIMEUP);
        break;
    case ABL_DEADLINE_STUCK:
        abl_gate_accuse(x->balancer->ledger, x->member);
        x->stuck_at = INT64_MAX;
        abl_transfer_finish(x, x->head_done ? ABL_END_SHORT : ABL_END_TIMEOUT,
                            "the request took longer than stuck=", APR_TIMEUP);
        break;
    case ABL_DEADLINE_GAP:
        abl_transfer_finish(x, x->head_done ? ABL_END_SHORT : ABL_END_TIMEOUT,
                            x->head_done ? "the answer stopped in the middle"
                                         : "the member stopped reading the request",
                            APR_TIMEUP);
        break;
    }
}

/* ---- the step --------------------------------------------------------------------------------------- */

/* TLS may have to write before it can read on, and the other way round. */
static void note_crossed(abl_exchange_t *x, unsigned ready)
{
    x->can_read |= x->conn->read_wants_write && (ready & ABL_READY_MEMBER_WRITE);
    x->can_write |= x->conn->write_wants_read && (ready & ABL_READY_MEMBER_READ);
}

static void cross_wait(abl_exchange_t *x)
{
    unsigned what = x->wait.what, member = ABL_READY_MEMBER_READ | ABL_READY_MEMBER_WRITE, wanted = 0;

    if (what & ABL_READY_MEMBER_READ) {
        wanted |= x->conn->read_wants_write ? ABL_READY_MEMBER_WRITE : ABL_READY_MEMBER_READ;
    }
    if (what & ABL_READY_MEMBER_WRITE) {
        wanted |= x->conn->write_wants_read ? ABL_READY_MEMBER_READ : ABL_READY_MEMBER_WRITE;
    }
    x->wait.what = (what & ~member) | wanted;
}

static void note_ready(abl_exchange_t *x, unsigned ready)
{
    if (x->conn->tls != NULL) {
        note_crossed(x, ready);
    }
    x->can_read |= (ready & ABL_READY_MEMBER_READ) != 0;
    x->can_write |= (ready & ABL_READY_MEMBER_WRITE) != 0;
    if (ready & ABL_READY_CLIENT_READ) {
        x->wants_client = false;
    }
    if (ready & ABL_READY_TIMEOUT) {
        timed_out(x);
    }
}

static void name_wait(abl_exchange_t *x)
{
    x->wait.what = abl_receive_may(x) ? ABL_READY_MEMBER_READ : 0;
    if (x->nvectors > 0) {
        x->wait.what |= ABL_READY_MEMBER_WRITE;
    }
    if (x->conn->tls != NULL) {
        cross_wait(x);
    }
    if (x->wants_client) {
        x->wait.what |= ABL_READY_CLIENT_READ;
    } else if (!x->tunnel) {
        x->wait.what |= ABL_READY_CLIENT_GONE; /* one side of a tunnel may end before the other */
    }
    set_deadline(x);
}

abl_transfer_t abl_transfer_run(abl_exchange_t *x, unsigned ready)
{
    note_ready(x, ready);
    for (;;) {
        abl_send_pump(x);
        if (x->end == ABL_END_NONE && !abl_receive_pump(x)) {
            return ABL_TRANSFER_UNANSWERED;
        }
        if (x->end != ABL_END_NONE) {
            return ABL_TRANSFER_ENDED;
        }
        if (x->unwanted) {
            return ABL_TRANSFER_UNWANTED;
        }
        /* Receiving may have given sending something to do: 100 Continue, a tunnel. */
        if (!abl_send_pending(x) || x->wants_client || x->hold_until != 0 ||
            (x->nvectors > 0 && !x->can_write)) {
            break;
        }
    }
    if (!x->unpassed) {
        abl_conn_rest(x->conn);
    }
    name_wait(x);
    return ABL_TRANSFER_WAIT;
}
