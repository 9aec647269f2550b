/* SPDX-License-Identifier: Apache-2.0
 *
 * Every request passes here, so the numbers are written by hand into one piece of memory, and entered in the
 * environment without looking for older ones.
 */
#include "httpd/account.h"

#include "engine/reach.h"
#include "httpd/body.h"
#include "httpd/route.h"
#include "ledger/tally.h"

#include "apr_strings.h"

_Static_assert((int)ABL_ENDS <= ABL_TALLY_ENDS, "each end has a counter");

#define NUMBER 21 /* bytes of the longest one, with its end */

/* ---- numbers ---------------------------------------------------------------------------------------- */

/* Returns where the next one may begin. */
static char *write_number(char *at, uint64_t n)
{
    char digits[NUMBER];
    int len = 0;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (len > 0) {
        *at++ = digits[--len];
    }
    *at++ = '\0';
    return at;
}

/* "-" where it is not known. */
static char *enter(apr_table_t *env, const char *name, char *at, int64_t n)
{
    if (n < 0) {
        apr_table_addn(env, name, "-");
        return at;
    }
    apr_table_addn(env, name, at);
    return write_number(at, (uint64_t)n);
}

/* ---- how it ended ----------------------------------------------------------------------------------- */

/* Where it was when the client left. */
static const char *left_in(const abl_account_t *account)
{
    if (account->facts.tries == 0) {
        return account->facts.waited ? "CQ" : "CR";
    }
    if (account->facts.connect < 0) {
        return "CC";
    }
    return account->head_passed ? "CD" : "CH";
}

/* Two letters in HAProxy's manner: who ended it (C the client, S the member, s its time, P the module), and
 * when (R in the request, Q in the queue, C connecting, H before the answer's head was passed on, D behind
 * it).
 */
static const char *state_of(const abl_account_t *account)
{
    bool late = APR_STATUS_IS_TIMEUP(account->error) || account->error == ETIMEDOUT;

    switch (account->end) {
    case ABL_END_OK:
        return "--";
    case ABL_END_REFUSED:
        return "PR";
    case ABL_END_CLIENT_BODY:
        return account->head_passed ? "CD" : "CR";
    case ABL_END_QUEUE_FULL:
    case ABL_END_CLIENT_QUEUE_FULL:
        return "PQ";
    case ABL_END_QUEUE_TIMEOUT:
        return "sQ";
    case ABL_END_NO_MEMBER:
        return late ? "sC" : "SC";
    case ABL_END_BROKEN:
        return "SH";
    case ABL_END_BAD_ANSWER:
        return "PH";
    case ABL_END_TIMEOUT:
        return account->head_passed ? "sD" : "sH";
    case ABL_END_SHORT:
        return late ? "sD" : "SD";
    case ABL_END_CLIENT_GONE:
        return left_in(account);
    case ABL_END_NONE:
        break;
    }
    return "P-";
}

/* ---- variables -------------------------------------------------------------------------------------- */

static const char *address_of(apr_pool_t *p, const abl_account_t *account, int member)
{
    abl_member_url_t own;

    return member >= 0 ? abl_reach_url(&account->section->balancer, member, p, &own)->text : "-";
}

/* The members that it was given to, in turn, with commas between. */
static const char *tried(apr_pool_t *p, const abl_account_t *account)
{
    const abl_facts_t *facts = &account->facts;
    const char *list = address_of(p, account, account->member);
    int i;

    if (facts->tries <= 1) {
        return list;
    }
    list = address_of(p, account, facts->tried[0]);
    for (i = 1; i < facts->tries && i < ABL_TRIED_KEPT; i++) {
        list = apr_pstrcat(p, list, ",", address_of(p, account, facts->tried[i]), NULL);
    }
    return facts->tries > ABL_TRIED_KEPT ? apr_pstrcat(p, list, ",...", NULL) : list;
}

/* What does not depend on when it is asked. */
static void enter_all(request_rec *r, const abl_account_t *account, int64_t took, apr_table_t *env)
{
    char *at = apr_palloc(r->pool, (apr_size_t)7 * NUMBER);

    apr_table_setn(env, "BALANCER_NAME", account->section->balancer.name); /* may be there, of another one */
    apr_table_addn(env, "BALANCER_MEMBER_NAME", address_of(r->pool, account, account->member));
    apr_table_addn(env, "BALANCER_TRIED", tried(r->pool, account));
    apr_table_addn(env, "BALANCER_END", abl_end_word(account->end));
    apr_table_addn(env, "BALANCER_STATE", state_of(account));
    at = enter(env, "BALANCER_TRIES", at, account->facts.tries);
    at = enter(env, "BALANCER_QUEUE_US", at, account->facts.queued);
    at = enter(env, "BALANCER_CONNECT_US", at, account->facts.connect);
    at = enter(env, "BALANCER_FIRST_BYTE_US", at, account->facts.first_byte);
    at = enter(env, "BALANCER_TOTAL_US", at, took);
    at = enter(env, "BALANCER_BYTES_IN", at, (int64_t)account->in);
    (void)enter(env, "BALANCER_BYTES_OUT", at, r->bytes_sent);
}

/* mod_proxy's names, some of which people make fields of the answer of. */
static void enter_session(request_rec *r, const abl_account_t *account, int member)
{
    const abl_affinity_t *affinity = &account->section->affinity;
    const abl_member_t *m = &account->section->balancer.members[member];
    apr_table_t *env = r->subprocess_env;

    apr_table_setn(env, "BALANCER_NAME", account->section->balancer.name);
    apr_table_setn(env, "BALANCER_WORKER_NAME", address_of(r->pool, account, member));
    apr_table_setn(env, "BALANCER_WORKER_ROUTE", m->route);
    if (affinity->name == NULL) {
        return;
    }
    apr_table_setn(env, "BALANCER_SESSION_STICKY", affinity->name);
    if (account->session >= 0) {
        apr_table_setn(env, "BALANCER_SESSION_ROUTE",
                       account->section->balancer.members[account->session].route);
    }
    if (account->session != member) {
        apr_table_setn(env, "BALANCER_ROUTE_CHANGED", "1");
    }
}

/* ---- Server-Timing ---------------------------------------------------------------------------------- */

static void add_server_timing(request_rec *r, const abl_facts_t *facts)
{
    const char *text =
        apr_psprintf(r->pool, "queue;dur=%.3f, connect;dur=%.3f, app;dur=%.3f", (double)facts->queued / 1000,
                     (double)(facts->connect > 0 ? facts->connect : 0) / 1000,
                     (double)(facts->first_byte > 0 ? facts->first_byte : 0) / 1000);

    apr_table_mergen(r->headers_out, "Server-Timing", text);
}

/* ---- a request's life ------------------------------------------------------------------------------- */

void abl_account_begin(request_rec *r, abl_account_t *account, const abl_section_t *section, int session)
{
    account->section = section;
    account->session = session;
    account->member = -1;
    abl_route_note(r)->account = account;
}

void abl_account_head(request_rec *r, const abl_account_t *account, const abl_exchange_t *x, int member)
{
    if (abl_config_wants_fields()) {
        enter_session(r, account, member);
    }
    if (abl_dir_conf(r)->server_timing == 1 && r->main == NULL) {
        abl_facts_t facts;
        abl_exchange_facts(x, &facts);
        add_server_timing(r, &facts);
    }
}

/* What was upgraded lasts as long as somebody likes, and clocks may be set back. */
static int64_t latency_of(const request_rec *r, int64_t took)
{
    if (r->status == HTTP_SWITCHING_PROTOCOLS) {
        return -1;
    }
    return took > 0 ? took : 0;
}

/* The class is of what the client got: nothing, where it left in the middle of the answer, or of its own
 * body. */
static int counted_status(const request_rec *r, const abl_account_t *account)
{
    bool left = account->end == ABL_END_CLIENT_GONE ||
                (account->end == ABL_END_CLIENT_BODY && r->status == ABL_HTTP_CLIENT_GONE);

    return left ? 0 : r->status;
}

static void count(const request_rec *r, const abl_account_t *account, int64_t took)
{
    const abl_facts_t *facts = &account->facts;
    abl_tally_event_t event = {.end = account->end,
                               .status = counted_status(r, account),
                               .took = latency_of(r, took),
                               .waited = facts->waited ? facts->queued : -1,
                               .retries = facts->tries > 1 ? (unsigned)facts->tries - 1 : 0,
                               .hedged = facts->hedged,
                               .in = account->in,
                               .out = (apr_uint64_t)r->bytes_sent};

    abl_tally_count(account->section->balancer.ledger, &event);
}

void abl_account_end(request_rec *r, abl_account_t *account, const abl_exchange_t *x, abl_end_t end)
{
    account->end = end;
    if (x != NULL) {
        abl_exchange_facts(x, &account->facts);
        (void)abl_exchange_end(x, &account->member, NULL, &account->error);
    } else {
        account->facts.connect = account->facts.first_byte = -1;
    }
    account->ended = true;
    if (r->main != NULL) { /* nobody logs a part of another answer */
        count(r, account, apr_time_now() - r->request_time);
    }
}

/* A request that was answered by an error's document has another one behind it, which may be ours, too: the
 * line is about the first. */
int abl_account_log(request_rec *r)
{
    request_rec *last = r;
    bool entered = !abl_config_wants_fields();

    while (last->next != NULL) {
        last = last->next;
    }
    for (; r != NULL; r = r->next) {
        const abl_note_t *note = ap_get_module_config(r->request_config, &appbalance_module);
        int64_t took;
        if (note == NULL || note->account == NULL || !note->account->ended) {
            continue;
        }
        took = apr_time_now() - r->request_time;
        count(r, note->account, took);
        if (!entered) {
            enter_all(last, note->account, took, last->subprocess_env);
            entered = true;
        }
    }
    return DECLINED;
}
