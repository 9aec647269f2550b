/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter in front of the core's.
 */
#include "httpd/unblock.h"

#include "httpd/connection.h"

#include "util_filter.h"

static ap_filter_rec_t *handle;

/* Takes the flushes out. Was there one? */
static bool take_flushes(apr_bucket_brigade *bb)
{
    apr_bucket *e = APR_BRIGADE_FIRST(bb), *next;
    bool any = false;

    for (; e != APR_BRIGADE_SENTINEL(bb); e = next) {
        next = APR_BUCKET_NEXT(e);
        if (APR_BUCKET_IS_FLUSH(e)) {
            apr_bucket_delete(e);
            any = true;
        }
    }
    return any;
}

static apr_status_t pass_without_waiting(ap_filter_t *f, apr_bucket_brigade *bb)
{
    bool flush = abl_connection_of(f->c)->unblocked && take_flushes(bb);
    apr_status_t rv = APR_SUCCESS;

    if (!flush || !APR_BRIGADE_EMPTY(bb)) {
        rv = ap_pass_brigade(f->next, bb);
    }
    return flush && rv == APR_SUCCESS ? abl_unblock_send(f->c) : rv;
}

void abl_unblock_register(void)
{
    handle = ap_register_output_filter("ABL_UNBLOCK", pass_without_waiting, NULL,
                                       (ap_filter_type)(AP_FTYPE_NETWORK - 1));
}

void abl_unblock(request_rec *r, bool on)
{
    conn_rec *c = r->connection;
    abl_connection_t *connection = abl_connection_of(c);

    if (on && !connection->has_unblock) {
        connection->has_unblock = true;
        /* With the request: its own filters lead to the connection's first one already. */
        ap_add_output_filter_handle(handle, NULL, r, c);
    }
    connection->unblocked = on;
}

/* No brigade at all is what the MPM gives the core to have it write. */
apr_status_t abl_unblock_send(conn_rec *c)
{
    ap_filter_t *f = c->output_filters;

    while (f->next != NULL) {
        f = f->next;
    }
    return f->frec->filter_func.out_func(f, NULL);
}
