/* SPDX-License-Identifier: Apache-2.0
 *
 * The request body, out of httpd's input filters.
 */
#include "httpd/body.h"

#include "httpd/route.h"
#include "wire/h1_fields.h"

#include "http_core.h"
#include "http_protocol.h"

#include "apr_strings.h"

#define RESET_SHOWS 5000      /* µs until an HTTP/2 stream that was reset is said to be aborted */
#define EMPTY_HANDED_MAX 1000 /* times in a row that a filter has nothing to give */

bool abl_body_is_filtered(const request_rec *r)
{
    const ap_filter_t *f;

    for (f = r->input_filters; f != NULL && f != r->proto_input_filters; f = f->next) {
        if (f->frec->ftype < AP_FTYPE_PROTOCOL) {
            return true;
        }
    }
    return false;
}

void abl_body_init(abl_body_t *body, request_rec *r, bool pollable)
{
    memset(body, 0, sizeof(*body));
    body->r = r;
    body->pollable = pollable;
}

/* ---- framing ---------------------------------------------------------------------------------------- */

bool abl_body_is_absent(const request_rec *r)
{
    return r->main != NULL || (r->prev != NULL && r->prev->status != HTTP_OK);
}

/* Malformed (RFC 9112 section 6.1), where any other list is only not understood. */
static bool chunked_twice(const char *encoding)
{
    const char *first = ap_strcasestr(encoding, "chunked");

    return first != NULL && ap_strcasestr(first + 1, "chunked") != NULL;
}

static int set_length(request_rec *r, const char *value, abl_h1_request_t *head)
{
    apr_off_t limit = ap_get_limit_req_body(r);
    apr_off_t length;

    if (!ap_parse_strict_length(&length, value)) {
        return HTTP_BAD_REQUEST;
    }
    if (limit > 0 && length > limit) {
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    head->body = length > 0 && abl_body_is_filtered(r) ? ABL_H1_REQUEST_CHUNKED : ABL_H1_REQUEST_LENGTH;
    head->length = (uint64_t)length;
    return OK;
}

int abl_body_framing(request_rec *r, abl_h1_request_t *head)
{
    const char *encoding = apr_table_get(r->headers_in, "Transfer-Encoding");
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    head->body = ABL_H1_REQUEST_NO_BODY;
    head->length = 0;
    if (abl_route_ambiguous(r)) {
        return HTTP_BAD_REQUEST;
    }
    if (abl_body_is_absent(r)) {
        return OK;
    }
    if (encoding != NULL) {
        if (length != NULL || r->proto_num < HTTP_VERSION(1, 1) || chunked_twice(encoding)) {
            return HTTP_BAD_REQUEST;
        }
        if (ap_cstr_casecmp(encoding, "chunked") != 0) {
            return HTTP_NOT_IMPLEMENTED;
        }
        head->body = ABL_H1_REQUEST_CHUNKED;
        return OK;
    }
    if (length != NULL) {
        return set_length(r, length, head);
    }
    return OK;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* mod_http2 ends the body of a stream that the client has reset as it ends any other, and says only a moment
 * later that the stream is aborted (h2_mplx.c, h2_stream.c: close_input()). Where no Content-Length tells
 * that something is missing, the member would take what has come for all of it. HTTP/2 has its own threads:
 * this one may wait. */
static bool is_cut(const abl_body_t *body)
{
    const conn_rec *c = body->r->connection;

    if (c->master == NULL || apr_table_get(body->r->headers_in, "Content-Length") != NULL) {
        return false;
    }
    apr_sleep(RESET_SHOWS);
    return c->aborted;
}

/* Copies out of the brigade. Sets `ended` at the end of the body. */
static apr_status_t copy_out(abl_body_t *body, char *buffer, size_t room, size_t *len)
{
    while (!body->ended && *len < room && !APR_BRIGADE_EMPTY(body->bb)) {
        apr_bucket *e = APR_BRIGADE_FIRST(body->bb);
        const char *data;
        apr_size_t n;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(e)) {
            if (is_cut(body)) {
                return APR_ECONNABORTED;
            }
            body->ended = true;
            break;
        }
        if (AP_BUCKET_IS_ERROR(e)) {
            body->error = ((ap_bucket_error *)e->data)->status;
            return APR_EGENERAL;
        }
        rv = apr_bucket_read(e, &data, &n, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (n > room - *len) {
            n = room - *len;
            apr_bucket_split(e, n);
        }
        memcpy(buffer + *len, data, n);
        *len += n;
        body->taken += n;
        apr_bucket_delete(e);
    }
    return APR_SUCCESS;
}

static apr_status_t fill_brigade(abl_body_t *body, size_t room, apr_read_type_e block)
{
    request_rec *r = body->r;
    ap_filter_t *filters = body->tunnel ? r->connection->input_filters : r->input_filters;

    if (body->bb == NULL) {
        body->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    }
    if (!APR_BRIGADE_EMPTY(body->bb)) {
        return APR_SUCCESS;
    }
    return ap_get_brigade(filters, body->bb, AP_MODE_READBYTES, block, (apr_off_t)room);
}

/* What the client is told about a failed read. */
static int status_of(const abl_body_t *body, apr_status_t rv)
{
    if (body->error != 0) {
        return body->error;
    }
    if (body->r->connection->aborted || APR_STATUS_IS_EOF(rv) || APR_STATUS_IS_INCOMPLETE(rv) ||
        APR_STATUS_IS_ECONNRESET(rv) || APR_STATUS_IS_ECONNABORTED(rv) || APR_STATUS_IS_EPIPE(rv)) {
        return ABL_HTTP_CLIENT_GONE;
    }
    return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
}

/* Reads from the filters until there is something in the brigade. Empty-handed success means that a filter
 * has eaten what came, a header of what it unpacks, say: there may be more, of which no poll of the socket
 * tells. It is asked again until it says APR_EAGAIN; but one that never says so is not asked for ever. */
static apr_status_t fill(abl_body_t *body, size_t room, apr_read_type_e block)
{
    int rounds = body->tunnel ? 1 : EMPTY_HANDED_MAX;
    apr_status_t rv;

    do {
        rv = fill_brigade(body, room, block);
    } while (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(body->bb) && (block == APR_BLOCK_READ || --rounds > 0));
    return rv == APR_SUCCESS && APR_BRIGADE_EMPTY(body->bb) ? APR_EAGAIN : rv;
}

static apr_status_t read_some(abl_body_t *body, char *buffer, size_t room, size_t *len, apr_read_type_e block)
{
    apr_status_t rv = fill(body, room - *len, block);

    if (APR_STATUS_IS_EAGAIN(rv) && block == APR_NONBLOCK_READ) {
        return APR_EAGAIN;
    }
    if (rv == APR_SUCCESS) {
        rv = copy_out(body, buffer, room, len);
    }
    if (rv != APR_SUCCESS) {
        body->error = status_of(body, rv);
    }
    return rv;
}

int abl_body_prefetch(abl_body_t *body, char *buffer, apr_size_t room, apr_size_t *len, bool *all)
{
    apr_status_t rv = APR_SUCCESS;

    *len = 0;
    while (rv == APR_SUCCESS && !body->ended && *len < room) {
        rv = read_some(body, buffer, room, len, APR_NONBLOCK_READ);
    }
    *all = body->ended;
    if (rv == APR_SUCCESS || APR_STATUS_IS_EAGAIN(rv)) {
        return OK;
    }
    return body->error != 0 ? body->error : ABL_HTTP_CLIENT_GONE;
}

/* ---- collecting ------------------------------------------------------------------------------------- */

static int cannot_keep(const abl_body_t *body, apr_status_t rv)
{
    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, body->r,
                  "ABL0020: the request's body cannot be kept in %s (BalancerBuffer)", body->spool.folder);
    return HTTP_INSUFFICIENT_STORAGE;
}

static int add_to_spool(abl_body_t *body, const char *bytes, size_t len, uint64_t max)
{
    apr_status_t rv;

    if (body->spool.failed != APR_SUCCESS) {
        return cannot_keep(body, body->spool.failed);
    }
    if ((max != 0 && abl_spool_length(&body->spool) + len > max) ||
        (len > 0 && !abl_spool_has_room(&body->spool))) {
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    rv = abl_spool_write(&body->spool, bytes, len);
    return rv == APR_SUCCESS ? OK : cannot_keep(body, rv);
}

int abl_body_collect(abl_body_t *body, uint64_t enough, uint64_t max)
{
    char piece[ABL_BODY_PIECE];
    int status = OK;

    while (status == OK && !body->ended && abl_spool_length(&body->spool) < enough) {
        size_t len;
        bool end;
        apr_status_t rv = abl_body_read(body, piece, sizeof(piece), &len, &end);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            return SUSPENDED;
        }
        if (rv != APR_SUCCESS) {
            return body->error != 0 ? body->error : ABL_HTTP_CLIENT_GONE;
        }
        status = add_to_spool(body, piece, len, max);
    }
    body->collected = status == OK && body->ended;
    return status;
}

apr_status_t abl_body_take(abl_body_t *body, char *buffer, size_t room, size_t *len)
{
    const char *bytes;
    apr_status_t rv = abl_spool_peek(&body->spool, &bytes, len);

    if (rv == APR_SUCCESS) {
        *len = *len < room ? *len : room;
        memcpy(buffer, bytes, *len);
        abl_spool_drop(&body->spool, *len);
    } else {
        body->error = HTTP_INTERNAL_SERVER_ERROR;
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, body->r,
                      "ABL0025: the request's body cannot be read back from %s (BalancerBuffer)",
                      body->spool.folder);
    }
    return rv;
}

/* ---- for the exchange ------------------------------------------------------------------------------- */

/* httpd sends 100 Continue by itself only to a blocking read. */
static void send_continue(request_rec *r)
{
    int status = r->status;
    const char *line = r->status_line;

    r->status = HTTP_CONTINUE;
    r->status_line = NULL;
    ap_send_interim_response(r, 0);
    r->status = status;
    r->status_line = line;
}

/* The end of a tunnel's client side is no error. */
static bool tunnel_ended(const abl_body_t *body, apr_status_t rv)
{
    return body->tunnel && APR_STATUS_IS_EOF(rv);
}

apr_status_t abl_body_read(abl_body_t *body, char *buffer, size_t room, size_t *len, bool *end)
{
    apr_status_t rv = APR_SUCCESS;

    *len = 0;
    if (body->collected && !body->tunnel) {
        rv = abl_body_take(body, buffer, room, len);
        *end = abl_spool_length(&body->spool) == 0;
        return rv;
    }
    if (body->r->expecting_100) {
        send_continue(body->r);
    }
    if (!body->ended) {
        rv = read_some(body, buffer, room, len, body->pollable ? APR_NONBLOCK_READ : APR_BLOCK_READ);
    }
    if (tunnel_ended(body, rv)) {
        body->ended = true;
        rv = APR_SUCCESS;
    }
    /* All of a body with a length often comes together with its end: say so now and spare a read. */
    if (rv == APR_SUCCESS && !body->ended && *len > 0 && !APR_BRIGADE_EMPTY(body->bb) &&
        APR_BUCKET_IS_EOS(APR_BRIGADE_FIRST(body->bb))) {
        body->ended = !body->tunnel;
    }
    *end = body->ended;
    return rv == APR_SUCCESS && *len == 0 && !*end ? APR_EAGAIN : rv;
}

void abl_body_rewind(abl_body_t *body)
{
    abl_spool_rewind(&body->spool);
}

/* ---- trailers --------------------------------------------------------------------------------------- */

const abl_h1_pair_t *abl_body_trailers(abl_body_t *body, int *n)
{
    const apr_array_header_t *fields = apr_table_elts(body->r->trailers_in);
    abl_h1_pair_t *pairs = apr_palloc(body->r->pool, ((apr_size_t)fields->nelts + 1) * sizeof(*pairs));
    int i;

    *n = 0;
    for (i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);
        apr_size_t len = strlen(field->key);

        /* Nothing that decides about framing, routing or trust may come late (RFC 9110 section 6.5.1). */
        if (!abl_h1_field_is_hop(field->key, len) && !abl_h1_field_is_protected(field->key, len) &&
            abl_h1_value_ok(field->val, strlen(field->val))) {
            pairs[*n].name = field->key;
            pairs[(*n)++].value = field->val;
        }
    }
    return pairs;
}
