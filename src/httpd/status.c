/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger as JSON. What the fields mean stands in docs/directives.md; "version" goes up when one changes
 * its meaning, not when one is added.
 */
#include "httpd/status.h"

#include "base/json.h"
#include "httpd/lifecycle.h"
#include "httpd/status_apps.h"
#include "ledger/view.h"

#include "ap_mpm.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_status.h"

#include "apr_strings.h"

#define STATUS_VERSION 1

static void write_out(void *to, const char *bytes, size_t len)
{
    (void)ap_rwrite(bytes, (int)len, to);
}

static void number(abl_json_t *json, const char *name, apr_uint64_t value)
{
    abl_json_key(json, name);
    abl_json_number(json, (int64_t)value);
}

static void text(abl_json_t *json, const char *name, const char *value)
{
    abl_json_key(json, name);
    abl_json_text(json, value);
}

static void flag(abl_json_t *json, const char *name, bool value)
{
    abl_json_key(json, name);
    abl_json_bool(json, value);
}

static const char *status_name(abl_status_t status)
{
    static const char *const names[] = {[ABL_STATUS_ON] = "on",
                                        [ABL_STATUS_SPARE] = "spare",
                                        [ABL_STATUS_BACKUP] = "backup",
                                        [ABL_STATUS_DRAIN] = "drain",
                                        [ABL_STATUS_DISABLED] = "disabled"};

    return names[status];
}

/* Where a name is. */
static void write_site(abl_json_t *json, const abl_site_t *site)
{
    char address[ABL_IP_TEXT];
    int i;

    abl_json_key(json, "at");
    abl_json_open(json, '[');
    for (i = 0; i < site->n; i++) {
        abl_json_text(json, abl_ip_text(&site->ips[i], address));
    }
    abl_json_close(json, ']');
}

static void write_member(abl_json_t *json, const abl_member_view_t *member)
{
    abl_json_open(json, '{');
    text(json, "address", member->address);
    text(json, "route", member->route);
    if (member->named) {
        write_site(json, &member->site);
    }
    text(json, "status", status_name(member->status));
    number(json, "set", (apr_uint64_t)member->set);
    abl_json_key(json, "weight");
    abl_json_hundredths(json, member->weight);
    number(json, "share", member->share);
    number(json, "concurrency", member->concurrency);
    number(json, "busy", member->busy);
    number(json, "queued", member->queued);
    number(json, "requests", member->requests);
    number(json, "failures", member->failures);
    number(json, "bytes", member->bytes);
    abl_json_key(json, "latency_ms");
    if (member->latency == 0) {
        abl_json_null(json);
    } else {
        abl_json_millis(json, (int64_t)member->latency);
    }
    flag(json, "away", member->away);
    flag(json, "unfit", member->unfit);
    flag(json, "unproven", member->unproven);
    flag(json, "ejected", member->ejected);
    abl_json_key(json, "ejected_for_ms");
    abl_json_millis(json, member->ejected_for > 0 ? member->ejected_for : 0);
    flag(json, "draining", member->draining);
    flag(json, "removed", member->removed);
    abl_json_close(json, '}');
}

static void write_members(abl_json_t *json, abl_segment_t *segment, int index, abl_member_view_t *members)
{
    abl_view_place_t from = {.balancer = index};
    int i, n;

    while ((n = abl_view_members(segment, &from, members, ABL_VIEW_PORTION)) > 0) {
        for (i = 0; i < n; i++) {
            write_member(json, &members[i]);
        }
    }
}

/* `members`: room for a portion. */
static void write_balancer(abl_json_t *json, abl_segment_t *segment, int index,
                           const abl_balancer_view_t *view, abl_member_view_t *members)
{
    abl_json_open(json, '{');
    text(json, "name", view->name);
    text(json, "method", view->method);
    flag(json, "removed", view->removed);
    abl_json_key(json, "queue");
    abl_json_open(json, '{');
    number(json, "length", view->waiting);
    number(json, "limit", view->queue_length);
    number(json, "per_client", view->per_client);
    abl_json_key(json, "head_age_ms");
    abl_json_millis(json, view->head_age);
    abl_json_close(json, '}');
    abl_json_key(json, "members");
    abl_json_open(json, '[');
    write_members(json, segment, index, members);
    abl_json_close(json, ']');
    abl_json_close(json, '}');
}

static void write_balancers(abl_json_t *json, apr_pool_t *pool, abl_segment_t *segment)
{
    abl_member_view_t *members = apr_palloc(pool, ABL_VIEW_PORTION * sizeof(*members));
    abl_balancer_view_t view;
    int i;

    abl_json_key(json, "balancers");
    abl_json_open(json, '[');
    for (i = 1; segment != NULL && i <= abl_view_balancers(segment); i++) {
        if (abl_view_balancer(segment, i, &view)) {
            write_balancer(json, segment, i, &view, members);
        }
    }
    abl_json_close(json, ']');
}

static void write_seats(abl_json_t *json, apr_pool_t *pool, abl_segment_t *segment)
{
    abl_seat_view_t *seats = apr_palloc(pool, ABL_SEATS_MAX * sizeof(*seats));
    int n = segment != NULL ? abl_view_seats(segment, seats, ABL_SEATS_MAX) : 0;
    int i;

    abl_json_key(json, "seats");
    abl_json_open(json, '[');
    for (i = 0; i < n; i++) {
        abl_json_open(json, '{');
        number(json, "seat", (apr_uint64_t)seats[i].seat);
        number(json, "pid", (apr_uint64_t)seats[i].pid);
        number(json, "parked", seats[i].parked);
        number(json, "adopted", seats[i].adopted);
        abl_json_close(json, '}');
    }
    abl_json_close(json, ']');
}

static void write_status(request_rec *r)
{
    abl_segment_t *segment = abl_lifecycle_segment();
    abl_json_t json = {.write = write_out, .to = r};
    char verdict[ABL_CHECK_MAX] = "";
    bool sound = segment == NULL || abl_ledger_check(segment, verdict);

    abl_json_open(&json, '{');
    number(&json, "version", STATUS_VERSION);
    text(&json, "module", ABL_VERSION);
    text(&json, "check", sound ? "ok" : verdict);
    number(&json, "rebuilds", segment != NULL ? abl_view_rebuilds(segment) : 0);
    write_seats(&json, r->pool, segment);
    write_balancers(&json, r->pool, segment);
    abl_status_apps(&json);
    abl_json_close(&json, '}');
    ap_rputs("\n", r);
}

int abl_status_extend(request_rec *r, int flags)
{
    abl_segment_t *segment = abl_lifecycle_segment();
    abl_seat_view_t *seats = apr_palloc(r->pool, ABL_SEATS_MAX * sizeof(*seats));
    int n = segment != NULL ? abl_view_seats(segment, seats, ABL_SEATS_MAX) : 0;
    apr_uint32_t parked = 0, adopted = 0;

    while (n-- > 0) {
        parked += seats[n].parked;
        adopted += seats[n].adopted;
    }
    if (flags & AP_STATUS_SHORT) {
        ap_rprintf(r, "AppbalanceParkedRequests: %u\nAppbalanceAdoptedConnections: %u\n", parked, adopted);
    } else {
        ap_rprintf(
            r,
            "<hr />\n<h2>mod_appbalance</h2>\n<p>%u requests wait without a worker; %u connections are "
            "looked after without one, these included.</p>\n",
            parked, adopted);
    }
    return OK;
}

int abl_status_handler(request_rec *r)
{
    if (r->handler == NULL || ap_cstr_casecmp(r->handler, "balancer-status") != 0) {
        return DECLINED;
    }
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    ap_set_content_type(r, "application/json");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    if (!r->header_only) {
        write_status(r);
    }
    return OK;
}
