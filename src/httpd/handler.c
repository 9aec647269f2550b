/* SPDX-License-Identifier: Apache-2.0
 *
 * One request, from the handler hook to the status that httpd gets back.
 */
#include "httpd/handler.h"

#include "engine/reach.h"
#include "httpd/affinity.h"
#include "httpd/drive.h"
#include "httpd/linger.h"
#include "httpd/lane.h"
#include "httpd/park.h"
#include "httpd/respond.h"
#include "httpd/trace.h"
#include "httpd/unavailable.h"
#include "httpd/view.h"

#include "http_core.h"
#include "http_protocol.h"

#include "apr_portable.h"
#include "apr_strings.h"

/* ---- the engine's other events ---------------------------------------------------------------------- */

static abl_respond_t *respond_of(void *ctx)
{
    return ctx;
}

static apr_status_t read_body(void *ctx, char *buffer, size_t room, size_t *len, bool *end)
{
    return abl_body_read(respond_of(ctx)->body, buffer, room, len, end);
}

static void rewind_body(void *ctx)
{
    abl_body_rewind(respond_of(ctx)->body);
}

static const abl_h1_pair_t *body_trailers(void *ctx, int *n)
{
    return abl_body_trailers(respond_of(ctx)->body, n);
}

static const char *member_name(const abl_respond_t *respond, int member)
{
    abl_member_url_t own;

    return member >= 0 ? abl_reach_url(respond->balancer, member, respond->r->pool, &own)->text : "no member";
}

static void on_retry(void *ctx, int member, const char *why, apr_status_t rv)
{
    const abl_respond_t *respond = ctx;

    if (strncmp(why, ABL_WHY_TLS, sizeof(ABL_WHY_TLS) - 1) == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, respond->r,
                      "ABL0060: balancer %s: %s: %s; trying another member", respond->balancer->name,
                      member_name(respond, member), why);
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, rv, respond->r,
                  "ABL0001: balancer %s: %s: %s; trying another member", respond->balancer->name,
                  member_name(respond, member), why);
}

static const abl_exchange_events_t events = {
    .on_interim = abl_respond_interim,
    .on_head = abl_respond_head,
    .on_upgrade = abl_respond_upgrade,
    .on_data = abl_respond_data,
    .on_pass = abl_respond_pass,
    .on_trailers = abl_respond_trailers,
    .on_finish = abl_respond_finish,
    .read_body = read_body,
    .rewind_body = rewind_body,
    .body_trailers = body_trailers,
    .has_room = abl_respond_has_room,
    .on_retry = on_retry,
};

/* ---- how it ended ----------------------------------------------------------------------------------- */

static int client_gone(const abl_respond_t *respond)
{
    request_rec *r = respond->r;

    r->connection->keepalive = AP_CONN_CLOSE;
    if (!respond->tunnel) { /* a 101 stays one: how long it lasted is nobody's latency */
        r->status = ABL_HTTP_CLIENT_GONE;
        r->status_line = NULL;
    }
    if (r->connection->master == NULL) {
        r->connection->aborted = 1;
    }
    return DONE;
}

static int body_failed(abl_respond_t *respond)
{
    if (respond->body->error == ABL_HTTP_CLIENT_GONE) {
        return client_gone(respond);
    }
    if (respond->head_passed) {
        abl_respond_abort(respond);
        return DONE;
    }
    return respond->body->error != 0 ? respond->body->error : HTTP_REQUEST_TIME_OUT;
}

/* One line for the administrator about what went wrong at a member. */
static void log_failure(const abl_respond_t *respond, abl_exchange_t *x)
{
    request_rec *r = respond->r;
    const char *balancer = respond->balancer->name;
    const char *why, *name;
    apr_status_t rv;
    int member;
    abl_end_t end = abl_exchange_end(x, &member, &why, &rv);

    name = member_name(respond, member);
    switch (end) {
    case ABL_END_NO_MEMBER:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "ABL0002: balancer %s: no member %s%s%s%s", balancer,
                      member >= 0 ? "could be reached; the last was " : "can be used",
                      member >= 0 ? name : "", why != NULL ? ": " : "", why != NULL ? why : "");
        break;
    case ABL_END_QUEUE_FULL:
    case ABL_END_CLIENT_QUEUE_FULL:
    case ABL_END_QUEUE_TIMEOUT:
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, "ABL0018: balancer %s: %s (BalancerQueue)", balancer,
                      why);
        break;
    case ABL_END_BROKEN:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      "ABL0003: balancer %s: %s: %s, and the request is not sent again", balancer, name, why);
        break;
    case ABL_END_BAD_ANSWER:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "ABL0004: balancer %s: %s: invalid answer: %s", balancer,
                      name, why);
        break;
    case ABL_END_TIMEOUT:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "ABL0005: balancer %s: %s: %s", balancer, name, why);
        break;
    case ABL_END_SHORT:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      "ABL0006: balancer %s: %s: %s; the client's connection is aborted", balancer, name,
                      why);
        break;
    case ABL_END_REFUSED:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "ABL0007: balancer %s: the request cannot be forwarded: %s", balancer, why);
        break;
    case ABL_END_CLIENT_BODY:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, rv, r, "ABL0008: balancer %s: %s", balancer, why);
        break;
    case ABL_END_CLIENT_GONE:
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, rv, r, "ABL0009: balancer %s: %s: %s", balancer, name, why);
        break;
    case ABL_END_OK:
    case ABL_END_NONE:
        break;
    }
}

/* The handler's return value. */
static int conclude(abl_respond_t *respond, abl_end_t end)
{
    if (!respond->body->ended) {
        /* What is left of the body is nobody's next request, and the answer does not wait for it. */
        respond->r->connection->keepalive = AP_CONN_CLOSE;
    }
    if (respond->override_status != 0) {
        return respond->override_status;
    }
    switch (end) {
    case ABL_END_OK:
        return respond->tunnel ? DONE : OK;
    case ABL_END_REFUSED:
        return HTTP_BAD_REQUEST;
    case ABL_END_NO_MEMBER:
        return abl_unavailable(respond->r, respond->balancer, ABL_UNAVAILABLE_NO_MEMBER);
    case ABL_END_QUEUE_FULL:
        return abl_unavailable(respond->r, respond->balancer, ABL_UNAVAILABLE_QUEUE_FULL);
    case ABL_END_CLIENT_QUEUE_FULL:
        return abl_unavailable(respond->r, respond->balancer, ABL_UNAVAILABLE_CLIENT_QUEUE_FULL);
    case ABL_END_QUEUE_TIMEOUT:
        return abl_unavailable(respond->r, respond->balancer, ABL_UNAVAILABLE_QUEUE_TIMEOUT);
    case ABL_END_TIMEOUT:
        return HTTP_GATEWAY_TIME_OUT;
    case ABL_END_SHORT:
        abl_respond_abort(respond);
        return DONE;
    case ABL_END_CLIENT_BODY:
        return body_failed(respond);
    case ABL_END_CLIENT_GONE:
        return client_gone(respond);
    case ABL_END_BROKEN:
    case ABL_END_BAD_ANSWER:
    case ABL_END_NONE:
        break;
    }
    return HTTP_BAD_GATEWAY;
}

/* Where a request's pool names the balancer that is answering it just now. */
#define AT_WORK "mod_appbalance: at work"

/* ---- the exchange ----------------------------------------------------------------------------------- */

/* What can be polled to learn that the client has sent something; -1: nothing. For an HTTP/2 stream this is a
 * pipe of mod_http2's. */
static int client_descriptor(const request_rec *r)
{
    apr_pollfd_t pfd;
    apr_interval_time_t timeout;
    int fd = -1;

    memset(&pfd, 0, sizeof(pfd));
    if (ap_get_pollfd_from_conn(r->connection, &pfd, &timeout) != APR_SUCCESS) {
        return -1;
    }
    if (pfd.desc_type == APR_POLL_SOCKET) {
        (void)apr_os_sock_get(&fd, pfd.desc.s);
    } else if (pfd.desc_type == APR_POLL_FILE) {
        (void)apr_os_file_get(&fd, pfd.desc.f);
    }
    return fd;
}

static bool is_aborted(void *ctx)
{
    const conn_rec *c = respond_of(ctx)->r->connection;

    return c->aborted || (c->master != NULL && c->master->aborted);
}

static void log_end(const abl_drive_t *drive)
{
    const abl_respond_t *respond = &drive->respond;
    const abl_stash_t *stash = &drive->stash;

    if (stash->why != APR_SUCCESS) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, stash->why, respond->r,
            "ABL0024: balancer %s: what the client had not taken is lost: it could not be kept in "
            "memory, or not be read back from %s (BalancerBuffer); the client's connection is aborted",
            respond->balancer->name, stash->body.folder);
    } else {
        log_failure(respond, drive->x);
    }
    if (stash->body.failed != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, stash->body.failed, respond->r,
                      "ABL0023: balancer %s: what the client had not taken could not be kept in %s "
                      "(BalancerBuffer), so the member had to wait for the client",
                      respond->balancer->name, stash->body.folder);
    }
}

/* For the exchange it is all the same why nobody takes the answer. */
static abl_end_t end_of(const abl_drive_t *drive)
{
    abl_end_t end = abl_exchange_end(drive->x, NULL, NULL, NULL);

    if (drive->stash.why != APR_SUCCESS) {
        return ABL_END_SHORT;
    }
    /* Of an answer that is replaced, too much may have come: that is not the client's doing. */
    if (drive->client_gone && drive->respond.override_status == 0) {
        return ABL_END_CLIENT_GONE;
    }
    /* What was upgraded has no body that could be wrong: its client has reset the connection. */
    return drive->respond.tunnel && end == ABL_END_CLIENT_BODY ? ABL_END_CLIENT_GONE : end;
}

/* The answer is over, one way or another. */
static int end_exchange(abl_drive_t *drive)
{
    abl_respond_t *respond = &drive->respond;
    int status;

    apr_pool_userdata_setn(NULL, AT_WORK, NULL, respond->r->pool);
    log_end(drive);
    drive->account.in = drive->body.taken;
    drive->account.head_passed = respond->head_passed;
    abl_account_end(respond->r, &drive->account, drive->x, end_of(drive));
    status = conclude(respond, end_of(drive));
    abl_exchange_close(drive->x);
    return status;
}

/* The request is not forwarded, because reading it failed with this status. */
static int refuse(abl_drive_t *drive, int status)
{
    request_rec *r = drive->respond.r;

    drive->account.in = drive->body.taken;
    abl_account_end(r, &drive->account, NULL,
                    status == ABL_HTTP_CLIENT_GONE ? ABL_END_CLIENT_GONE : ABL_END_CLIENT_BODY);
    if (status == ABL_HTTP_CLIENT_GONE) {
        return client_gone(&drive->respond);
    }
    if (status == HTTP_BAD_REQUEST) {
        ap_log_rerror(
            APLOG_MARK, APLOG_INFO, 0, r,
            "ABL0010: balancer %s: the request's body is malformed or its length ambiguous; not forwarded",
            drive->respond.balancer->name);
    }
    if (!drive->body.ended) {
        r->connection->keepalive = AP_CONN_CLOSE; /* nobody waits for what is left of the body */
    }
    return status;
}

/* Is this a piece of an answer that this balancer is just giving? Then its member may be the one that would
 * have to be waited for, and would be for ever. */
static bool is_within(const request_rec *r, const abl_balancer_t *balancer)
{
    for (r = r->main; r != NULL; r = r->main) {
        void *at_work = NULL;
        apr_pool_userdata_get(&at_work, AT_WORK, r->pool);
        if (at_work == balancer) {
            return true;
        }
    }
    return false;
}

/* The driver's: the client's body is here as far as it has to be. */
static int begin_exchange(abl_drive_t *drive)
{
    abl_respond_t *respond = &drive->respond;
    request_rec *r = respond->r;
    int status = abl_view_finish(r, &respond->balancer->retry, &drive->body, &drive->request);

    if (status != OK) {
        return status;
    }
    drive->timeouts = abl_config_timeouts(r, respond->balancer);
    drive->x = abl_exchange_make(r->pool, respond->balancer, &drive->timeouts, r->server->timeout,
                                 &drive->request, &events, respond);
    apr_pool_userdata_setn(respond->balancer, AT_WORK, NULL, r->pool);
    return OK;
}

static abl_drive_t *make_drive(request_rec *r, const abl_section_t *section)
{
    abl_drive_t *drive = apr_pcalloc(r->pool, sizeof(*drive));

    drive->respond.r = r;
    drive->respond.body = &drive->body;
    drive->respond.section = section;
    drive->respond.balancer = &section->balancer;
    drive->respond.account = &drive->account;
    drive->respond.x = &drive->x;
    drive->events = &events;
    drive->begin = begin_exchange;
    drive->refuse = refuse;
    drive->conclude = end_exchange;
    drive->client.fd = client_descriptor(r);
    drive->client.untold = r->connection->master != NULL;
    drive->client.unflushed = abl_respond_unflushed;
    drive->client.flush = abl_respond_flush;
    drive->client.aborted = is_aborted;
    drive->client.ctx = &drive->respond;
    abl_body_init(&drive->body, r, drive->client.fd >= 0);
    return drive;
}

/* How much of the body is awaited before a member is asked. A member's time is precious where it has a limit:
 * the client's slowness is waited out before. And a body that is not long goes to any member in one piece, so
 * that it can be sent again; how long one will be that a filter unpacks, nobody knows. */
static uint64_t enough_of_body(request_rec *r, const abl_section_t *section, const abl_request_t *request)
{
    const abl_h1_request_t *head = &request->head;

    if (!abl_view_has_body(request)) {
        return 0;
    }
    if (section->balancer.limited) {
        return ABL_DRIVE_ALL;
    }
    if (r->expecting_100) {
        return 0;
    }
    if (head->body == ABL_H1_REQUEST_LENGTH && head->length < ABL_BODY_PIECE) {
        return ABL_DRIVE_ALL;
    }
    return abl_body_is_filtered(r) ? ABL_BODY_PIECE : 0;
}

static int serve(request_rec *r, const abl_section_t *section)
{
    abl_drive_t *drive = make_drive(r, section);
    abl_request_t *request = &drive->request;
    int status;

    abl_trace_begin(r);
    status = abl_view_begin(r, request);
    if (status == OK && section->buffer.max != 0 && request->head.body == ABL_H1_REQUEST_LENGTH &&
        request->head.length > section->buffer.max) {
        status = HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    abl_affinity_want(r, section, &request->want);
    abl_account_begin(r, &drive->account, section, request->want.only);
    if (status != OK) {
        return refuse(drive, status);
    }
    drive->enough = enough_of_body(r, section, request);
    request->want.hurry = is_within(r, &section->balancer);
    return abl_drive(drive);
}

int abl_handler_fixup(request_rec *r)
{
    if (abl_handler_balancer(r->handler) == NULL || apr_table_get(r->headers_in, "Upgrade") != NULL) {
        abl_lane_leave();
    }
    return DECLINED;
}

int abl_handler(request_rec *r)
{
    const char *name = abl_handler_balancer(r->handler);
    const abl_section_t *section;

    if (name == NULL) {
        return DECLINED;
    }
    section = abl_config_find(name);
    if (section == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "ABL0011: handler %s: there is no <Balancer %s>",
                      r->handler, name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (r->method_number == M_CONNECT || r->method_number == M_TRACE) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    abl_linger_allow(r->connection);
    return serve(r, section);
}
