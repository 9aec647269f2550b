/* SPDX-License-Identifier: Apache-2.0
 *
 * Handing an answer to the client.
 */
#include "httpd/respond.h"

#include "engine/reach.h"
#include "httpd/affinity.h"
#include "httpd/rewrite.h"
#include "httpd/trailers.h"
#include "httpd/unblock.h"
#include "wire/h1_fields.h"

#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"

#include "apr_strings.h"

#include <sys/socket.h>

/* An answer that is replaced by an error document is read to its end, so that the connection can be used
 * again, but not longer than this. */
#define OVERRIDE_READ_MAX 65536

/* ---- fields ----------------------------------------------------------------------------------------- */

/* A copy of the head's bytes in which every name and value ends with a NUL. */
static char *copy_head(apr_pool_t *p, const abl_answer_t *answer)
{
    const abl_h1_head_t *head = answer->head;
    char *bytes = apr_pmemdup(p, answer->bytes, head->length);
    int i;

    for (i = 0; i < head->nfields; i++) {
        /* The byte after a name is its colon, the byte after a value white space or CR. */
        bytes[head->fields[i].name + head->fields[i].name_len] = '\0';
        bytes[head->fields[i].value + head->fields[i].value_len] = '\0';
    }
    if (head->reason_len > 0) {
        bytes[head->reason + head->reason_len] = '\0';
    }
    return bytes;
}

/* All Connection fields of the answer as one list; NULL: none. */
static const char *connection_of(apr_pool_t *p, const abl_h1_head_t *head, const char *bytes)
{
    const char *list = NULL;
    int i;

    for (i = 0; i < head->nfields; i++) {
        if (ap_cstr_casecmp(bytes + head->fields[i].name, "Connection") == 0) {
            const char *value = bytes + head->fields[i].value;
            list = list == NULL ? value : apr_pstrcat(p, list, ",", value, NULL);
        }
    }
    return list;
}

static bool is_passed_on(const char *name, apr_size_t len, const char *connection)
{
    if (abl_h1_field_is_hop(name, len)) {
        return false;
    }
    return connection == NULL || abl_h1_field_is_protected(name, len) ||
           !abl_h1_list_has(connection, strlen(connection), name);
}

/* Adds the answer's end-to-end fields to `table`. */
static void add_fields(abl_respond_t *respond, const abl_answer_t *answer, char *bytes, apr_table_t *table)
{
    abl_member_url_t own;
    const abl_member_url_t *url = abl_reach_url(respond->balancer, answer->member, respond->r->pool, &own);
    const char *connection = connection_of(respond->r->pool, answer->head, bytes);
    int i;

    for (i = 0; i < answer->head->nfields; i++) {
        const abl_h1_field_t *field = &answer->head->fields[i];
        const char *name = bytes + field->name;

        if (is_passed_on(name, field->name_len, connection)) {
            apr_table_addn(table, name, abl_rewrite_value(respond->r, url, name, bytes + field->value));
        }
    }
}

/* ---- heads ------------------------------------------------------------------------------------------ */

static void set_status(request_rec *r, const abl_answer_t *answer, const char *bytes)
{
    r->status_line = NULL;
    if (r->status != HTTP_OK && answer->head->status == HTTP_OK) {
        return; /* this is an error's document, and the error stays one */
    }
    r->status = answer->head->status;
    if (answer->head->reason_len > 0) {
        r->status_line = apr_psprintf(r->pool, "%d %s", r->status, bytes + answer->head->reason);
    } else {
        /* httpd would take a status that it does not know for 500. */
        r->status_line = ap_get_status_line_ex(r->pool, r->status);
    }
}

static apr_status_t client_status(const request_rec *r)
{
    return r->connection->aborted ? APR_ECONNABORTED : APR_SUCCESS;
}

/* Sends a 1xx head now. */
static apr_status_t send_interim(abl_respond_t *respond, const abl_answer_t *answer, const char *upgrade)
{
    request_rec *r = respond->r;
    apr_table_t *headers = r->headers_out;
    int status = r->status;
    const char *line = r->status_line;
    char *bytes = copy_head(r->pool, answer);

    r->headers_out = apr_table_make(r->pool, answer->head->nfields + 2);
    set_status(r, answer, bytes);
    add_fields(respond, answer, bytes, r->headers_out);
    apr_table_unset(r->headers_out, "Content-Length");
    if (upgrade != NULL) {
        apr_table_setn(r->headers_out, "Connection", "Upgrade");
        apr_table_setn(r->headers_out, "Upgrade", upgrade);
    }
    ap_send_interim_response(r, 1);
    r->headers_out = headers;
    r->status_line = line;
    r->status = upgrade != NULL ? HTTP_SWITCHING_PROTOCOLS : status;
    return client_status(r);
}

apr_status_t abl_respond_interim(void *ctx, const abl_answer_t *answer)
{
    if (((abl_respond_t *)ctx)->r->main != NULL) {
        return APR_SUCCESS; /* a part of another answer has no head of its own */
    }
    return send_interim(ctx, answer, NULL);
}

/* Which answers does the administrator want to word himself? */
static bool is_overridden(const request_rec *r, int status)
{
    const abl_dir_conf_t *conf = abl_dir_conf(r);
    int i;

    if (conf->error_override != 1 || status < 400) {
        return false;
    }
    for (i = 0; i < conf->error_codes->nelts; i++) {
        if (APR_ARRAY_IDX(conf->error_codes, i, int) == status) {
            return true;
        }
    }
    return conf->error_codes->nelts == 0;
}

/* What an error document must still say. */
static void keep_error_fields(request_rec *r, const apr_table_t *fields)
{
    static const char *const names[] = {"WWW-Authenticate", "Retry-After", "Allow", "Set-Cookie", NULL};
    const apr_array_header_t *all = apr_table_elts(fields);
    int i, k;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);
        for (k = 0; names[k] != NULL; k++) {
            if (ap_cstr_casecmp(field->key, names[k]) == 0) {
                apr_table_addn(r->err_headers_out, field->key, field->val);
            }
        }
    }
}

/* The member's word alone: mod_mime may have guessed something from the URL's extension. */
static void set_content_type(request_rec *r)
{
    const char *type = apr_table_get(r->headers_out, "Content-Type");

    r->content_type = NULL;
    r->content_encoding = NULL;
    r->content_languages = NULL;
    if (type != NULL) {
        ap_set_content_type(r, type);
    }
}

apr_status_t abl_respond_head(void *ctx, const abl_answer_t *answer)
{
    abl_respond_t *respond = ctx;
    request_rec *r = respond->r;
    char *bytes = copy_head(r->pool, answer);

    if (is_overridden(r, answer->head->status)) {
        apr_table_t *fields = apr_table_make(r->pool, answer->head->nfields);
        add_fields(respond, answer, bytes, fields);
        keep_error_fields(r, fields);
        abl_affinity_respond(r, respond->section, answer->member, r->err_headers_out);
        abl_account_head(r, respond->account, *respond->x, answer->member);
        respond->override_status = answer->head->status;
        return APR_SUCCESS;
    }
    respond->unflushed = true;
    r->proxyreq = PROXYREQ_REVERSE; /* so that httpd lets Date and Server stand */
    set_status(r, answer, bytes);
    add_fields(respond, answer, bytes, r->headers_out);
    abl_affinity_respond(r, respond->section, answer->member, r->headers_out);
    abl_account_head(r, respond->account, *respond->x, answer->member);
    set_content_type(r);
    return APR_SUCCESS;
}

apr_status_t abl_respond_upgrade(void *ctx, const abl_answer_t *answer)
{
    abl_respond_t *respond = ctx;
    request_rec *r = respond->r;
    conn_rec *c = r->connection;
    apr_status_t rv;

    r->expecting_100 = 0;
    rv = send_interim(respond, answer, answer->upgrade);
    /* From here on the connection speaks something else: HTTP's filters and limits are out of the way. */
    ap_remove_input_filter_byhandle(c->input_filters, "reqtimeout");
    r->input_filters = r->proto_input_filters = c->input_filters;
    r->output_filters = r->proto_output_filters = c->output_filters;
    c->keepalive = AP_CONN_CLOSE;
    r->sent_bodyct = 1; /* or %B would not believe bytes_sent */
    respond->body->tunnel = true;
    respond->body->ended = false;
    respond->tunnel = true;
    respond->head_passed = true;
    return rv;
}

/* ---- bodies ----------------------------------------------------------------------------------------- */

static apr_bucket_brigade *brigade(abl_respond_t *respond)
{
    if (respond->bb == NULL) {
        respond->bb = apr_brigade_create(respond->r->pool, respond->r->connection->bucket_alloc);
    }
    return respond->bb;
}

apr_status_t abl_respond_data(void *ctx, const char *bytes, size_t len)
{
    abl_respond_t *respond = ctx;
    apr_bucket_brigade *bb;

    if (respond->override_status != 0) {
        respond->overridden += len;
        return respond->overridden > OVERRIDE_READ_MAX ? APR_ENOSPC : APR_SUCCESS;
    }
    if (respond->tunnel) {
        respond->r->bytes_sent += (apr_off_t)len; /* the filter that counts them is out of the way */
    }
    bb = brigade(respond);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_transient_create(bytes, len, bb->bucket_alloc));
    respond->unflushed = true;
    return APR_SUCCESS;
}

/* The filters say whether they took it. */
static apr_status_t hand_over(abl_respond_t *respond)
{
    apr_bucket_brigade *bb = brigade(respond);
    apr_status_t rv = ap_pass_brigade(respond->r->output_filters, bb);

    apr_brigade_cleanup(bb);
    respond->head_passed = true;
    return rv;
}

static apr_status_t pass(abl_respond_t *respond)
{
    apr_status_t rv = hand_over(respond);

    return rv != APR_SUCCESS ? rv : client_status(respond->r);
}

static void append_flush(abl_respond_t *respond)
{
    apr_bucket_brigade *bb = brigade(respond);

    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(bb->bucket_alloc));
}

apr_status_t abl_respond_pass(void *ctx)
{
    abl_respond_t *respond = ctx;

    if (respond->override_status != 0 || respond->bb == NULL || APR_BRIGADE_EMPTY(respond->bb)) {
        return APR_SUCCESS;
    }
    return pass(respond);
}

bool abl_respond_has_room(void *ctx)
{
    const abl_respond_t *respond = ctx;

    return !respond->unblocked || !abl_unblock_is_full(respond->r->connection);
}

bool abl_respond_unflushed(void *ctx)
{
    return ((abl_respond_t *)ctx)->unflushed;
}

apr_status_t abl_respond_flush(void *ctx)
{
    abl_respond_t *respond = ctx;

    if (!respond->unflushed) {
        return APR_SUCCESS;
    }
    respond->unflushed = false;
    append_flush(respond);
    return pass(respond);
}

apr_status_t abl_respond_trailers(void *ctx, const abl_answer_t *answer)
{
    abl_respond_t *respond = ctx;
    request_rec *r = respond->r;
    const abl_h1_head_t *head = answer->head;
    char *bytes = copy_head(r->pool, answer);
    apr_status_t rv;
    int i;

    if (respond->override_status != 0) {
        return APR_SUCCESS;
    }
    for (i = 0; i < head->nfields; i++) {
        const char *name = bytes + head->fields[i].name;
        apr_size_t len = head->fields[i].name_len;
        if (!abl_h1_field_is_hop(name, len) && !abl_h1_field_is_protected(name, len)) {
            apr_table_addn(r->trailers_out, name, bytes + head->fields[i].value);
        }
    }
    /* The body so far decides whether the answer is chunked; the filter goes in behind that decision. */
    rv = pass(respond);
    if (rv == APR_SUCCESS) {
        abl_trailers_send(r);
    }
    return rv;
}

apr_status_t abl_respond_finish(void *ctx)
{
    abl_respond_t *respond = ctx;
    apr_bucket_brigade *bb;

    if (respond->override_status != 0) {
        return APR_SUCCESS;
    }
    bb = brigade(respond);
    if (!respond->tunnel) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    }
    respond->unflushed = false;
    /* mod_http2 calls the connection of a stream aborted when the stream is over and we are still here, which
     * is no sign that the client has left (h2_mplx.c, m_stream_cleanup()). */
    return respond->r->connection->master != NULL ? hand_over(respond) : pass(respond);
}

/* ---- breaking off ----------------------------------------------------------------------------------- */

/* An HTTP/1.0 client sees the end of the body in the end of the connection: only a reset tells it that this
 * was no end. */
static void reset_on_close(conn_rec *c)
{
    apr_socket_t *socket = ap_get_conn_socket(c);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    int fd;

    if (c->master == NULL && socket != NULL && apr_os_sock_get(&fd, socket) == APR_SUCCESS) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
}

void abl_respond_abort(abl_respond_t *respond)
{
    request_rec *r = respond->r;
    apr_bucket_brigade *bb = brigade(respond);

    r->connection->keepalive = AP_CONN_CLOSE;
    if (!respond->tunnel) {
        /* The error bucket keeps CHUNK from writing its last chunk, and makes mod_http2 reset the stream. */
        (void)pass(respond);
        APR_BRIGADE_INSERT_TAIL(bb,
                                ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, bb->bucket_alloc));
        append_flush(respond);
        (void)pass(respond);
        if (!r->chunked && apr_table_get(r->headers_out, "Content-Length") == NULL) {
            reset_on_close(r->connection);
        }
    }
    if (r->connection->master == NULL) {
        r->connection->aborted = 1;
    }
}
