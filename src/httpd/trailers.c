/* SPDX-License-Identifier: Apache-2.0
 *
 * An output filter behind httpd's CHUNK filter. It looks for the bucket with which CHUNK ends a body, exactly
 * "0 CRLF CRLF", right before the end of the stream, and puts the trailers between the two line ends. If it
 * finds anything else there, it changes nothing.
 */
#include "httpd/trailers.h"

#include "apr_buckets.h"
#include "apr_strings.h"
#include "util_filter.h"

#define FILTER_NAME "ABL_TRAILERS"
#define LAST_CHUNK "0\r\n\r\n"

static ap_filter_rec_t *filter_rec;

static bool is_last_chunk(apr_bucket *e)
{
    const char *data;
    apr_size_t len;

    return !APR_BUCKET_IS_METADATA(e) && e->length == sizeof(LAST_CHUNK) - 1 &&
           apr_bucket_read(e, &data, &len, APR_BLOCK_READ) == APR_SUCCESS &&
           memcmp(data, LAST_CHUNK, len) == 0;
}

/* The last chunk with the trailers in it. */
static apr_bucket *make_end(request_rec *r, apr_bucket_alloc_t *alloc)
{
    const apr_array_header_t *fields = apr_table_elts(r->trailers_out);
    const char *text = "0\r\n";
    int i;

    for (i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);
        text = apr_pstrcat(r->pool, text, field->key, ": ", field->val, "\r\n", NULL);
    }
    text = apr_pstrcat(r->pool, text, "\r\n", NULL);
    return apr_bucket_pool_create(text, strlen(text), r->pool, alloc);
}

static apr_status_t filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *e;

    for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb); e = APR_BUCKET_NEXT(e)) {
        apr_bucket *before = APR_BUCKET_PREV(e);
        if (!APR_BUCKET_IS_EOS(e)) {
            continue;
        }
        if (before != APR_BRIGADE_SENTINEL(bb) && is_last_chunk(before)) {
            APR_BUCKET_INSERT_BEFORE(before, make_end(f->r, bb->bucket_alloc));
            apr_bucket_delete(before);
        }
        ap_remove_output_filter(f);
        break;
    }
    return ap_pass_brigade(f->next, bb);
}

void abl_trailers_register(void)
{
    /* One type behind CHUNK's own, so that it sees what CHUNK has written. */
    filter_rec = ap_register_output_filter(FILTER_NAME, filter, NULL, AP_FTYPE_TRANSCODE + 1);
}

void abl_trailers_send(request_rec *r)
{
    if (r->chunked && r->connection->master == NULL) {
        (void)ap_add_output_filter_handle(filter_rec, NULL, r, r->connection);
    }
}
