/* SPDX-License-Identifier: Apache-2.0
 *
 * Routing.
 *
 * A route is found by the longest prefix, over the server's BalancerPass and BalancerStatic lines and the
 * <Location> that applies. It is looked up before httpd looks at the file system: a dynamic request then
 * costs no stat() and meets no <Directory>. Only where a directory could overrule the route (a SetHandler, a
 * route or BalancerTryFiles inside a <Directory> or <Files>) does httpd walk as usual, and the fixup decides.
 */
#include "httpd/route.h"

#include "http_core.h"
#include "http_request.h"

#include "apr_fnmatch.h"
#include "apr_strings.h"

static abl_note_t *note_of(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &appbalance_module);
}

abl_note_t *abl_route_note(request_rec *r)
{
    abl_note_t *note = note_of(r);

    if (note == NULL) {
        note = apr_pcalloc(r->pool, sizeof(*note));
        ap_set_module_config(r->request_config, &appbalance_module, note);
    }
    return note;
}

/* ---- framing ---------------------------------------------------------------------------------------- */

int abl_route_note_framing(request_rec *r)
{
    /* httpd drops Content-Length when Transfer-Encoding is there too, and marks the connection. Nothing else
     * marks it so early, except mod_http2, whose streams are framed by HTTP/2. */
    if (r->connection->master == NULL && r->connection->keepalive == AP_CONN_CLOSE &&
        apr_table_get(r->headers_in, "Transfer-Encoding") != NULL) {
        abl_route_note(r)->ambiguous = true;
    }
    if (r->connection->master == NULL && r->method_number == M_CONNECT && r->proxyreq == PROXYREQ_NONE) {
        /* What follows may be meant for the tunnel that is refused. */
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    return DECLINED;
}

bool abl_route_ambiguous(const request_rec *r)
{
    const abl_note_t *note;

    while (r->prev != NULL) {
        r = r->prev;
    }
    note = note_of(r);
    return note != NULL && note->ambiguous;
}

/* ---- finding ---------------------------------------------------------------------------------------- */

static bool has_prefix(const char *path, const abl_route_t *route)
{
    return strncmp(path, route->prefix, route->length) == 0 &&
           (path[route->length] == '\0' || path[route->length] == '/');
}

/* The route of a path; NULL: none. */
static const abl_route_t *find(const request_rec *r, const char *path)
{
    const abl_route_t *scope = abl_dir_conf(r)->route;
    const abl_route_t *route = abl_server_conf(r->server)->routes;

    while (route != NULL && !has_prefix(path, route)) {
        route = route->next;
    }
    return scope != NULL && (route == NULL || scope->length >= route->length) ? scope : route;
}

/* Did the administrator name a handler for this scope? */
static bool has_handler(const request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);

    return core->expr_handler != NULL || (core->handler != NULL && strcmp(core->handler, "none") != 0);
}

bool abl_route_likely(const request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const abl_note_t *note = note_of(r);

    return (note != NULL && note->candidate) || abl_dir_conf(r)->route != NULL ||
           abl_handler_balancer(core->handler) != NULL;
}

/* ---- before the file system ------------------------------------------------------------------------- */

static bool section_applies(const ap_conf_vector_t *section, const char *path)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    apr_size_t len = strlen(core->d);

    if (core->r != NULL) {
        return ap_regexec(core->r, path, 0, NULL, 0) == 0;
    }
    if (core->d_is_fnmatch) {
        return apr_fnmatch(core->d, path, APR_FNM_PATHNAME) == APR_SUCCESS;
    }
    return strncmp(core->d, path, len) == 0 &&
           (len == 0 || core->d[len - 1] == '/' || path[len] == '/' || path[len] == '\0');
}

/* Do the same route and the same <Location> sections apply to both paths? */
static bool same_place(const request_rec *r, const char *one, const char *other)
{
    const core_server_config *core = ap_get_core_module_config(r->server->module_config);
    int i;

    for (i = 0; i < core->sec_url->nelts; i++) {
        const ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        if (section_applies(section, one) != section_applies(section, other)) {
            return false;
        }
    }
    return find(r, one) == find(r, other);
}

int abl_route_keep_slashes(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *path = r->parsed_uri.path;
    const abl_route_t *route;
    char *kept, *decoded;

    if (path == NULL || ap_strcasestr(path, "%2f") == NULL || core->allow_encoded_slashes || has_handler(r)) {
        return DECLINED;
    }
    kept = apr_pstrdup(r->pool, path);
    decoded = apr_pstrdup(r->pool, path);
    if (ap_unescape_url_keep2f(kept, 0) != OK || ap_unescape_url_keep2f(decoded, 1) != OK ||
        !ap_normalize_path(decoded, AP_NORMALIZE_NOT_ABOVE_ROOT | AP_NORMALIZE_MERGE_SLASHES)) {
        return DECLINED;
    }
    route = find(r, kept);
    if (route == NULL || route->to == NULL || !same_place(r, kept, decoded)) {
        return DECLINED;
    }
    memcpy(r->parsed_uri.path, kept,
           strlen(kept) + 1); /* in place: r->uri is the same memory, and kept is no longer */
    return DONE;
}

/* A file's name has its limits; beyond them httpd would answer 403 for what cannot be a file. */
static bool could_be_file(const char *path)
{
    apr_size_t segment;

    if (strlen(path) > 2048) {
        return false;
    }
    for (; *path != '\0'; path += segment) {
        path += strspn(path, "/");
        segment = strcspn(path, "/");
        if (segment > 255) {
            return false;
        }
    }
    return true;
}

int abl_route_translate(request_rec *r)
{
    const abl_route_t *route;

    if (r->uri == NULL || r->uri[0] != '/' || r->method_number == M_TRACE) {
        return DECLINED;
    }
    route = find(r, r->uri);
    if (route == NULL || route->to == NULL || has_handler(r)) {
        return DECLINED;
    }
    abl_route_note(r)->candidate = true;
    if ((abl_server_conf(r->server)->walk || abl_dir_conf(r)->try_files == 1) && could_be_file(r->uri)) {
        return DECLINED;
    }
    abl_route_note(r)->to = route->to;
    r->filename = apr_pstrcat(r->pool, route->to->handler, r->uri, NULL); /* nobody takes this for a file */
    return OK;
}

int abl_route_map(request_rec *r)
{
    const abl_note_t *note = note_of(r);

    return note != NULL && note->to != NULL ? OK : DECLINED;
}

/* ---- after it --------------------------------------------------------------------------------------- */

int abl_route_type(request_rec *r)
{
    return abl_route_map(r);
}

static bool is_file(const request_rec *r)
{
    return r->finfo.filetype == APR_REG && (r->path_info == NULL || r->path_info[0] == '\0');
}

int abl_route_fixup(request_rec *r)
{
    const abl_note_t *note = note_of(r);
    const abl_route_t *route;

    if (r->uri == NULL || r->uri[0] != '/' || has_handler(r) || abl_handler_balancer(r->handler) != NULL) {
        return DECLINED;
    }
    route = find(r, r->uri);
    if (route == NULL || route->to == NULL || (abl_dir_conf(r)->try_files == 1 && is_file(r))) {
        return DECLINED;
    }
    if (route->length != ABL_ROUTE_SCOPE && (note == NULL || !note->candidate)) {
        return DECLINED;
    }
    r->handler = route->to->handler;
    /* mod_dir would send a directory's URL elsewhere; and where it asks (FallbackResource, DirectoryIndex) it
     * takes an answer only from what looks like a file. */
    r->finfo.filetype = r->main != NULL ? APR_REG : APR_NOFILE;
    return OK;
}
