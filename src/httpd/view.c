/* SPDX-License-Identifier: Apache-2.0
 *
 * The request as a member gets it.
 */
#include "httpd/view.h"

#include "httpd/forwarded.h"
#include "wire/h1_fields.h"

#include "http_core.h"
#include "http_protocol.h"

#include "apr_strings.h"

/* ---- target ----------------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Has nobody (such as mod_rewrite) changed what the client asked for? */
static bool is_original(const request_rec *r)
{
    return r->main == NULL && r->prev == NULL && same(r->uri, r->parsed_uri.path) &&
           same(r->args, r->parsed_uri.query);
}

/* The target out of the request line, without a scheme and authority before it. NULL: not to be found. */
static const char *original_target(request_rec *r)
{
    const char *begin = r->the_request != NULL ? strchr(r->the_request, ' ') : NULL;
    const char *end = begin != NULL ? strrchr(r->the_request, ' ') : NULL;

    if (begin == NULL) {
        return NULL;
    }
    begin++;
    if (end < begin) {
        end = begin + strlen(begin); /* HTTP/0.9: no version */
    }
    if (*begin != '/') { /* absolute form: http://host/path?query */
        const char *authority = ap_strstr_c(begin, "://");
        if (authority == NULL || authority >= end) {
            return NULL;
        }
        begin = authority + 3;
        begin += strcspn(begin, "/?# ");
        if (*begin != '/') {
            return apr_pstrcat(r->pool, "/", apr_pstrmemdup(r->pool, begin, (apr_size_t)(end - begin)), NULL);
        }
    }
    return apr_pstrmemdup(r->pool, begin, (apr_size_t)(end - begin));
}

/* Escaping makes %252F of the %2F that was kept when the path was decoded: back again. */
static void unescape_slashes(char *path)
{
    char *at;

    while ((at = ap_strcasestr(path, "%252f")) != NULL) {
        memmove(at + 1, at + 3, strlen(at + 3) + 1);
        path = at + 3;
    }
}

static const char *rewritten_target(request_rec *r)
{
    char *path = ap_escape_uri(r->pool, r->uri);

    if (r->unparsed_uri != NULL && ap_strcasestr(r->unparsed_uri, "%2f") != NULL) {
        unescape_slashes(path);
    }

    return r->args != NULL ? apr_pstrcat(r->pool, path, "?", r->args, NULL) : path;
}

static const char *target_of(request_rec *r)
{
    const char *target = is_original(r) ? original_target(r) : NULL;

    return target != NULL ? target : rewritten_target(r);
}

/* ---- host ------------------------------------------------------------------------------------------- */

/* The host the client named: in an absolute target, else in Host (RFC 9112 section 3.2.2). */
static const char *host_of(request_rec *r)
{
    if (r->parsed_uri.hostname != NULL && r->parsed_uri.hostname[0] != '\0') {
        return apr_uri_unparse(r->pool, &r->parsed_uri, APR_URI_UNP_OMITPATHINFO | APR_URI_UNP_OMITUSERINFO) +
               strlen(r->parsed_uri.scheme) + 3;
    }
    return apr_table_get(r->headers_in, "Host");
}

/* ---- fields ----------------------------------------------------------------------------------------- */

/* Fields that are written anew, never copied. */
static bool is_ours(const char *name)
{
    return ap_cstr_casecmp(name, "Host") == 0 || ap_cstr_casecmp(name, "Content-Length") == 0 ||
           ap_cstr_casecmp(name, "Expect") == 0 || ap_cstr_casecmp(name, "HTTP2-Settings") == 0;
}

static bool among(const abl_h1_pair_t *pairs, int n, const char *name)
{
    int i;

    for (i = 0; i < n; i++) {
        if (ap_cstr_casecmp(pairs[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A part of another answer, or an error's document, is wanted whole and now, whatever the client has. */
static bool is_conditional(const char *name)
{
    return ap_cstr_casecmpn(name, "If-", 3) == 0 || ap_cstr_casecmp(name, "Range") == 0;
}

static void add_fields(request_rec *r, abl_request_t *request)
{
    const apr_array_header_t *in = apr_table_elts(r->headers_in);
    bool derived = abl_body_is_absent(r);
    abl_h1_pair_t *pairs =
        apr_palloc(r->pool, ((apr_size_t)in->nelts + ABL_FORWARDED_PAIRS) * sizeof(*pairs));
    int told = abl_forwarded_add(r, host_of(r), pairs);
    int n = told;
    int i;

    for (i = 0; i < in->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(in, i, apr_table_entry_t);
        apr_size_t len = strlen(field->key);

        if (abl_h1_field_is_hop(field->key, len) || is_ours(field->key) ||
            (derived && is_conditional(field->key))) {
            continue;
        }
        if (abl_h1_field_is_forwarded(field->key, len) &&
            (among(pairs, told, field->key) || strchr(field->key, '_') != NULL)) {
            continue;
        }
        pairs[n].name = field->key;
        pairs[n++].value = field->val;
    }
    request->head.fields = pairs;
    request->head.nfields = n;
}

/* ---- what else is asked for ------------------------------------------------------------------------- */

static bool has_body(const abl_h1_request_t *head)
{
    return head->body == ABL_H1_REQUEST_CHUNKED || (head->body == ABL_H1_REQUEST_LENGTH && head->length > 0);
}

/* HTTP/2 or TLS inside the tunnel would carry requests past httpd's access control; they are between the
 * client and httpd. */
static bool changes_transport(const char *upgrade)
{
    return ap_strcasestr(upgrade, "h2") != NULL || ap_strcasestr(upgrade, "tls") != NULL ||
           ap_strcasestr(upgrade, "http") != NULL;
}

/* The protocols to switch to, if the client asks for that in a way that can be passed on. A request with a
 * body would have to be read to its end first. */
static const char *upgrade_of(request_rec *r, const abl_h1_request_t *head)
{
    const char *upgrade = apr_table_get(r->headers_in, "Upgrade");
    const char *connection = apr_table_get(r->headers_in, "Connection");

    if (has_body(head) || upgrade == NULL || connection == NULL || r->connection->master != NULL ||
        r->main != NULL || r->proto_num < HTTP_VERSION(1, 1) ||
        !abl_h1_list_has(connection, strlen(connection), "upgrade") || changes_transport(upgrade)) {
        return NULL;
    }
    return upgrade;
}

static bool wants_trailers(const request_rec *r)
{
    const char *te = apr_table_get(r->headers_in, "TE");

    return te != NULL && abl_h1_list_has(te, strlen(te), "trailers");
}

/* RFC 9110 section 9.2.2, with WebDAV's and other registered methods. */
static const char *const idempotent[] = {"GET",    "HEAD",   "PUT",   "DELETE", "OPTIONS", "PROPFIND",
                                         "REPORT", "SEARCH", "QUERY", "TRACE",  NULL};

/* May a request of this method be sent again? */
static bool is_repeatable(const request_rec *r, const abl_retry_conf_t *retry)
{
    const char *const *method = retry->methods != NULL ? retry->methods : idempotent;

    while (*method != NULL && strcmp(r->method, *method) != 0) {
        method++;
    }
    return *method != NULL;
}

/* ---- the body's beginning --------------------------------------------------------------------------- */

/* What has come so far; a body that turns out to be all here gets a length, which every server understands.
 */
static int read_first(request_rec *r, abl_body_t *body, abl_request_t *request)
{
    char *buffer;
    apr_size_t len;
    int status;

    if (r->expecting_100) {
        request->head.expect = true; /* the member says whether it wants the body */
        return OK;
    }
    buffer = apr_palloc(r->pool, ABL_BODY_PIECE);
    status = abl_body_prefetch(body, buffer, ABL_BODY_PIECE, &len, &request->first_is_all);
    request->first = buffer;
    request->first_len = len;
    return status;
}

/* What has been collected. A body that is not long goes back into one piece, so that it can be sent again;
 * so does the beginning of one that goes on. */
static apr_status_t take_collected(request_rec *r, abl_body_t *body, abl_request_t *request)
{
    uint64_t length = abl_spool_length(&body->spool);
    char *buffer;
    apr_status_t rv = APR_SUCCESS;

    request->first_is_all = body->collected && length <= ABL_BODY_AHEAD;
    if (body->collected && !request->first_is_all) {
        request->rewindable = request->repeatable && abl_spool_keep(&body->spool);
        return APR_SUCCESS;
    }
    buffer = apr_palloc(r->pool, (apr_size_t)length + 1);
    request->first = buffer;
    while (rv == APR_SUCCESS && request->first_len < length) {
        apr_size_t len;
        rv = abl_body_take(body, buffer + request->first_len, (apr_size_t)length - request->first_len, &len);
        request->first_len += len;
    }
    return rv;
}

static int begin_body(request_rec *r, abl_body_t *body, abl_request_t *request)
{
    request->first_is_all = !has_body(&request->head);
    if (request->first_is_all) {
        body->ended = true;
        return OK;
    }
    if (body->collected || abl_spool_length(&body->spool) > 0) {
        return take_collected(r, body, request) == APR_SUCCESS ? OK : HTTP_INTERNAL_SERVER_ERROR;
    }
    return read_first(r, body, request);
}

/* A body whose length is known by now has one, which every server understands. */
static void set_length(const request_rec *r, const abl_body_t *body, abl_request_t *request)
{
    abl_h1_request_t *head = &request->head;

    if (head->body == ABL_H1_REQUEST_CHUNKED && (request->first_is_all || body->collected) &&
        apr_is_empty_table(r->trailers_in)) {
        head->body = ABL_H1_REQUEST_LENGTH;
        head->length = request->first_is_all ? request->first_len : abl_spool_length(&body->spool);
    }
}

int abl_view_begin(request_rec *r, abl_request_t *request)
{
    int status = abl_body_framing(r, &request->head);

    if (status == OK && !abl_forwarded_stripped(r)) {
        abl_forwarded_strip(r);
    }
    return status;
}

bool abl_view_has_body(const abl_request_t *request)
{
    return has_body(&request->head);
}

int abl_view_finish(request_rec *r, const abl_retry_conf_t *retry, abl_body_t *body, abl_request_t *request)
{
    int status;

    request->head.method = r->method;
    request->head.target = target_of(r);
    request->head.host = abl_dir_conf(r)->preserve_host != 0 ? host_of(r) : NULL;
    request->head.upgrade = upgrade_of(r, &request->head);
    request->head.te_trailers = wants_trailers(r);
    request->client = r->useragent_addr != NULL ? (const struct sockaddr *)&r->useragent_addr->sa : NULL;
    request->local =
        r->connection->local_addr != NULL ? (const struct sockaddr *)&r->connection->local_addr->sa : NULL;
    request->to_head = strcmp(r->method, "HEAD") == 0;
    request->repeatable = is_repeatable(r, retry);
    status = begin_body(r, body, request);
    set_length(r, body, request);
    add_fields(r, request); /* after reading: a filter that unpacks the body takes Content-Encoding away */
    return status;
}
