/* SPDX-License-Identifier: Apache-2.0
 *
 * Our part of mod_status's page.
 */
#include "httpd/status_extend.h"

#include "httpd/lifecycle.h"
#include "httpd/status_member.h"
#include "ledger/view.h"

#include "http_protocol.h"
#include "mod_status.h"

/* How many members may get requests, and how many requests are at all of them. */
static int count_members(apr_pool_t *pool, abl_segment_t *segment, int index, apr_uint32_t *busy)
{
    abl_member_view_t *members = apr_palloc(pool, ABL_VIEW_PORTION * sizeof(*members));
    abl_view_place_t from = {.balancer = index};
    int i, n, used = 0;

    *busy = 0;
    while ((n = abl_view_members(segment, &from, members, ABL_VIEW_PORTION)) > 0) {
        for (i = 0; i < n; i++) {
            *busy += members[i].busy;
            used += abl_status_is_up(&members[i]);
        }
    }
    return used;
}

/* One balancer in a line. */
static void write_line(request_rec *r, abl_segment_t *segment, int index, const abl_balancer_view_t *view,
                       bool brief)
{
    apr_uint32_t busy;
    int used = count_members(r->pool, segment, index, &busy);

    if (brief) {
        ap_rprintf(r, "AppbalanceBalancer[%s]: members=%d used=%d busy=%u queue=%u\n", view->name,
                   view->nmembers, used, busy, view->waiting);
    } else {
        ap_rprintf(r, "<tr><td>%s</td><td>%d of %d</td><td>%u</td><td>%u of %u</td></tr>\n", view->name, used,
                   view->nmembers, busy, view->waiting, view->queue_length);
    }
}

static void write_lines(request_rec *r, abl_segment_t *segment, bool brief)
{
    abl_balancer_view_t view;
    int i;

    if (!brief) {
        ap_rputs("<table border=\"0\"><tr><th>balancer</th><th>members in use</th><th>requests at "
                 "them</th><th>waiting</th></tr>\n",
                 r);
    }
    for (i = 1; segment != NULL && i <= abl_view_balancers(segment); i++) {
        if (abl_view_balancer(segment, i, &view)) {
            write_line(r, segment, i, &view, brief);
        }
    }
    if (!brief) {
        ap_rputs("</table>\n", r);
    }
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
    write_lines(r, segment, (flags & AP_STATUS_SHORT) != 0);
    return OK;
}
