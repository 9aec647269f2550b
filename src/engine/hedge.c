/* SPDX-License-Identifier: Apache-2.0
 *
 * Two exchanges, one wait: an epoll of both sockets, which itself can be waited for like a socket.
 */
#include "engine/hedge.h"

#include "ledger/hedge.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OWN, RIVALS };

/* ---- when ------------------------------------------------------------------------------------------- */

/* Doing it twice, and the one time for nothing, changes nothing. */
static bool is_safe(const abl_request_t *request)
{
    const char *method = request->head.method;

    return request->first_is_all && request->first_len == 0 && request->head.upgrade == NULL &&
           (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0);
}

int64_t abl_hedge_due(const abl_exchange_t *x)
{
    const abl_hedge_conf_t *conf = &x->balancer->hedge;
    int64_t after;

    if (x->hedged || x->is_rival || x->sent_at == 0 || x->first_byte_at != 0 || x->want.only >= 0 ||
        (!conf->limited && abl_ledger_is_limited(x->balancer->ledger, x->member)) || !is_safe(x->request)) {
        return INT64_MAX;
    }
    after = abl_hedge_after(x->balancer->ledger);
    return after < INT64_MAX ? x->taken_at + after : INT64_MAX;
}

/* ---- the rival -------------------------------------------------------------------------------------- */

/* A hint (103) of a second try is of no use before it has won. */
static apr_status_t ignore_interim(void *ctx, const abl_answer_t *answer)
{
    (void)ctx;
    (void)answer;
    return APR_SUCCESS;
}

static const abl_exchange_events_t events = {.on_interim = ignore_interim};

void abl_hedge_begin(abl_exchange_t *x, int member)
{
    abl_exchange_t *rival = apr_palloc(x->pool, sizeof(*rival));

    memset(rival, 0, sizeof(*rival));
    rival->pool = x->pool;
    rival->balancer = x->balancer;
    rival->timeouts = x->timeouts;
    rival->client_timeout = x->client_timeout;
    rival->request = x->request;
    rival->events = &events;
    rival->want = x->want;
    rival->started = x->started;
    rival->now = x->now;
    rival->member = member;
    rival->last_member = -1;
    rival->is_rival = true;
    rival->sent_ever = true;
    x->rival = rival;
    x->facts.hedged = true;
    x->hedged = true;
    x->own_deadline = x->wait.deadline;
}

bool abl_hedge_is_good(const abl_exchange_t *rival)
{
    return rival->unwanted_status < 500 && rival->unwanted_status != 429;
}

/* What the first try has met was the request's, too. */
static void take_facts(const abl_facts_t *first, int member, abl_facts_t *facts)
{
    bool reused = facts->reused;

    *facts = *first;
    facts->reused = reused;
    if (facts->tries < ABL_TRIED_KEPT) {
        facts->tried[facts->tries] = member;
    }
    facts->tries++;
}

void abl_hedge_win(abl_exchange_t *x)
{
    abl_exchange_t *rival = x->rival;

    take_facts(&x->facts, rival->last_member, &rival->facts);
    rival->events = x->events;
    rival->ctx = x->ctx;
    rival->queue_until = x->queue_until;
    rival->want = x->want;
    rival->resends = x->resends + 1;
    rival->spared = x->spared;
    rival->judged = rival->unwanted;
    rival->unwanted = false;
    rival->is_rival = false;
    rival->hedged = true;
    *x = *rival;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static void watch(int race, const abl_wait_t *wait, uint32_t who)
{
    struct epoll_event event = {.events = (wait->what & ABL_READY_MEMBER_READ ? (uint32_t)EPOLLIN : 0) |
                                          (wait->what & ABL_READY_MEMBER_WRITE ? (uint32_t)EPOLLOUT : 0),
                                .data.u32 = who};

    /* Its descriptor may be another one than before, or its number another socket's. */
    if (wait->fd >= 0 && epoll_ctl(race, EPOLL_CTL_MOD, wait->fd, &event) != 0) {
        (void)epoll_ctl(race, EPOLL_CTL_ADD, wait->fd, &event);
    }
}

void abl_hedge_wait(abl_exchange_t *x)
{
    const abl_wait_t *rivals = &x->rival->wait;

    if (x->race_plus_one == 0) {
        x->race_plus_one = epoll_create1(EPOLL_CLOEXEC) + 1;
    }
    x->own_deadline = x->wait.deadline;
    x->wait.deadline = rivals->deadline < x->own_deadline ? rivals->deadline : x->own_deadline;
    if (x->race_plus_one == 0) { /* no descriptor is left: the first alone, and now and then both */
        x->wait.deadline = x->now + ABL_BACKLOG_PAUSE;
        return;
    }
    x->wait.fd = x->conn->fd;
    watch(x->race_plus_one - 1, &x->wait, OWN);
    watch(x->race_plus_one - 1, rivals, RIVALS);
    x->wait.fd = x->race_plus_one - 1;
    x->wait.conn = NULL;
    x->wait.what = ABL_READY_MEMBER_READ | (x->wait.what & (ABL_READY_CLIENT_READ | ABL_READY_CLIENT_GONE));
}

void abl_hedge_unwait(abl_exchange_t *x)
{
    if (x->race_plus_one > 0) {
        close(x->race_plus_one - 1);
        x->race_plus_one = 0;
    }
    x->own_deadline = 0;
    x->wait.fd = x->conn != NULL ? x->conn->fd : -1;
    x->wait.conn = x->conn;
}

void abl_hedge_look(abl_exchange_t *x, unsigned *own, unsigned *rivals)
{
    struct epoll_event came[2];
    unsigned ready[] = {[OWN] = 0, [RIVALS] = 0};
    int n = x->race_plus_one > 0 ? epoll_wait(x->race_plus_one - 1, came, 2, 0) : 0;
    int i;

    for (i = 0; i < n; i++) {
        uint32_t what = came[i].events, broken = (uint32_t)(EPOLLHUP | EPOLLERR | EPOLLRDHUP);
        ready[came[i].data.u32] |= ((what & (EPOLLIN | broken)) ? ABL_READY_MEMBER_READ : 0) |
                                   ((what & (EPOLLOUT | broken)) ? ABL_READY_MEMBER_WRITE : 0);
    }
    *own = ready[OWN];
    *rivals = ready[RIVALS];
    if (*own == 0 && x->now >= x->own_deadline) {
        *own = ABL_READY_TIMEOUT;
    }
    if (*rivals == 0 && x->rival->wait.deadline != 0 && x->now >= x->rival->wait.deadline) {
        *rivals = ABL_READY_TIMEOUT;
    }
}
