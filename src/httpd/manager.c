/* SPDX-License-Identifier: Apache-2.0
 *
 * One action: who may, what it is, doing it, telling about it.
 */
#include "httpd/manager.h"

#include "base/clock.h"
#include "httpd/access.h"
#include "httpd/order.h"
#include "httpd/session.h"
#include "httpd/text.h"

#include "http_core.h"
#include "http_protocol.h"

#include "apr_strings.h"

#define BODY_MAX 65536

/* ---- who may ---------------------------------------------------------------------------------------- */

#define OPEN_TO_ALL                                                                                          \
    "everybody may read this page: put a Require other than all granted on the location, such as Require "   \
    "ip 10.0.0.0/8 or Require valid-user, and actions are allowed"

void abl_manager_steering(request_rec *r, abl_steering_t *steering)
{
    *steering = (abl_steering_t){.manager = true};
    if (abl_access_is_open(r)) {
        steering->why_not = OPEN_TO_ALL;
        return;
    }
    steering->token = abl_session_token(r);
    if (steering->token == NULL) {
        steering->why_not =
            "there is no key for tokens: httpd found no random bytes when it started, or has no "
            "balancer";
    }
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* Answers with the status's JSON; a refusal is told to the log, too, with its id. */
static int answer(request_rec *r, int status, const char *id, const char *message)
{
    abl_text_t text = {.pool = r->pool};
    abl_json_t json = abl_text_json(&text);

    abl_json_open(&json, '{');
    abl_json_put_bool(&json, "done", id == NULL);
    if (id != NULL) {
        abl_json_put_text(&json, "error", id);
    }
    abl_json_put_text(&json, "message", message);
    abl_json_close(&json, '}');
    abl_text_add(&text, "\n", 1);
    r->status = status;
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)text.len);
    (void)ap_rwrite(text.bytes, (int)text.len, r);
    return OK;
}

static int refuse(request_rec *r, int status, const char *id, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "ABL0430: balancer-manager: no action (%s): %s", id, why);
    return answer(r, status, id, why);
}

/* ---- the request ------------------------------------------------------------------------------------ */

static bool is_json(const char *type)
{
    apr_size_t len = strlen("application/json");

    return type != NULL && ap_cstr_casecmpn(type, "application/json", len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

/* The whole body. OK, or the status; *len bytes are in `buffer`. */
static int read_body(request_rec *r, char *buffer, apr_size_t room, apr_size_t *len)
{
    long n;
    int rc = ap_setup_client_block(r, REQUEST_CHUNKED_DECHUNK);

    *len = 0;
    if (rc != OK || !ap_should_client_block(r)) {
        return rc;
    }
    while ((n = ap_get_client_block(r, buffer + *len, room - *len)) > 0) {
        *len += (apr_size_t)n;
        if (*len == room) {
            return HTTP_REQUEST_ENTITY_TOO_LARGE;
        }
    }
    return n < 0 ? HTTP_BAD_REQUEST : OK;
}

static const char *refused_because(request_rec *r)
{
    return abl_access_is_open(r) ? OPEN_TO_ALL : abl_session_refusal(r);
}

static abl_order_from_t sender_of(const request_rec *r)
{
    return (abl_order_from_t){.who = r->user, .from = r->useragent_ip};
}

static int obey(request_rec *r, const char *body, apr_size_t len)
{
    abl_order_from_t from = sender_of(r);
    abl_order_result_t result = abl_order(r->pool, body, len, &from);

    if (result.id != NULL) {
        return refuse(r, result.status, result.id, result.message);
    }
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, "ABL0401: balancer-manager: %s", result.log);
    return answer(r, HTTP_OK, NULL, result.message);
}

int abl_manager_post(request_rec *r)
{
    const char *why = refused_because(r);
    char *body = apr_palloc(r->pool, BODY_MAX + 1);
    apr_size_t len;
    int rc;

    if (why != NULL) {
        return refuse(r, HTTP_FORBIDDEN, "ABL0402", why);
    }
    if (!is_json(apr_table_get(r->headers_in, "Content-Type"))) {
        return refuse(r, HTTP_UNSUPPORTED_MEDIA_TYPE, "ABL0403", "the Content-Type must be application/json");
    }
    rc = read_body(r, body, BODY_MAX + 1, &len);
    if (rc == HTTP_REQUEST_ENTITY_TOO_LARGE) {
        r->connection->keepalive = AP_CONN_CLOSE;
        return refuse(r, rc, "ABL0404", "the body has more than 64 kB");
    }
    return rc == OK ? obey(r, body, len) : rc;
}
