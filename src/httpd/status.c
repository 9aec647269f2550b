/* SPDX-License-Identifier: Apache-2.0
 *
 * One URL, several forms: which one a request wants, and the fields that all of them have.
 */
#include "httpd/status.h"

#include "httpd/beside_proxy.h"
#include "httpd/manager.h"
#include "httpd/page.h"
#include "httpd/status_metrics.h"
#include "httpd/status_stream.h"

#include "ap_mpm.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"

#include "apr_strings.h"

#define POLICY "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

/* ---- which form ------------------------------------------------------------------------------------- */

/* What ?as= says; NULL: it is not there. */
static const char *as_of(request_rec *r)
{
    const char *args = r->args;

    while (args != NULL && *args != '\0') {
        const char *pair = ap_getword(r->pool, &args, '&');
        if (strncmp(pair, "as=", 3) == 0) {
            return pair + 3;
        }
    }
    return NULL;
}

static bool accepts(const request_rec *r, const char *type)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return accept != NULL && ap_strcasestr(accept, type) != NULL;
}

static const char *form_of(request_rec *r)
{
    const char *as = as_of(r);

    if (as != NULL) {
        return as;
    }
    return accepts(r, "text/html")                      ? "html"
           : accepts(r, "text/event-stream")            ? "stream"
           : accepts(r, "application/openmetrics-text") ? "metrics"
                                                        : "json";
}

/* ---- forms ------------------------------------------------------------------------------------------ */

static void write_out(void *to, const char *bytes, size_t len)
{
    (void)ap_rwrite(bytes, (int)len, to);
}

static int send_json(request_rec *r, const abl_steering_t *steering)
{
    abl_json_t json = {.write = write_out, .to = r};

    ap_set_content_type(r, "application/json");
    if (!r->header_only) {
        abl_status_json(&json, r->pool, r->server, steering, NULL);
        ap_rputs("\n", r);
    }
    return OK;
}

static int send_metrics(request_rec *r)
{
    abl_metrics_t metrics = {.write = write_out, .to = r, .open = accepts(r, "application/openmetrics-text")};

    ap_set_content_type(r, metrics.open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                        : "text/plain; version=0.0.4; charset=utf-8");
    if (!r->header_only) {
        abl_status_metrics(&metrics, r->pool);
    }
    return OK;
}

static int send_page(request_rec *r, const abl_page_t *page)
{
    int rc;

    apr_table_setn(r->headers_out, "Cache-Control", "no-cache");
    apr_table_set(r->headers_out, "ETag", page->etag);
    ap_set_content_type(r, page->type);
    rc = ap_meets_conditions(r);
    if (rc == OK) {
        ap_set_content_length(r, (apr_off_t)page->len);
        (void)ap_rwrite(page->bytes, (int)page->len, r);
    }
    return rc;
}

static int send_form(request_rec *r, const char *form, const abl_steering_t *steering)
{
    abl_page_t page;

    apr_table_setn(r->headers_out, "Vary", "Accept");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Referrer-Policy", "no-referrer");
    apr_table_setn(r->headers_out, "Content-Security-Policy", POLICY);
    if (abl_page_find(form, &page)) {
        return send_page(r, &page);
    }
    if (strcmp(form, "json") == 0) {
        return send_json(r, steering);
    }
    if (strcmp(form, "metrics") == 0) {
        return send_metrics(r);
    }
    if (strcmp(form, "stream") == 0) {
        return r->header_only ? OK : abl_status_stream(r, steering);
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "ABL0429: ?as=%s: there are html, json, metrics, stream, js and css", form);
    return HTTP_BAD_REQUEST;
}

/* Does this form say what a reader may do? */
static bool is_data(const char *form)
{
    return strcmp(form, "json") == 0 || strcmp(form, "stream") == 0;
}

static bool is_called(const request_rec *r, const char *name)
{
    return r->handler != NULL && ap_cstr_casecmp(r->handler, name) == 0;
}

/* The second name is for servers on which mod_proxy's page has the first one. */
static bool is_manager(const request_rec *r)
{
    return is_called(r, "appbalance-manager") ||
           (is_called(r, "balancer-manager") && !abl_beside_proxy_is_theirs());
}

int abl_status_handler(request_rec *r)
{
    bool manager = is_manager(r);
    abl_steering_t steering = {.manager = false};
    const char *form;

    if (!manager && !is_called(r, "balancer-status")) {
        return DECLINED;
    }
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, manager ? M_POST : -1, -1);
    if (manager && r->method_number == M_POST) {
        apr_table_setn(r->headers_out, "Cache-Control", "no-store");
        return abl_manager_post(r);
    }
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    form = form_of(r);
    if (manager && is_data(form)) {
        abl_manager_steering(r, &steering);
    }
    return send_form(r, form, &steering);
}
