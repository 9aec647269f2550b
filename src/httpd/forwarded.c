/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the application who the client is (RFC 7239 and its X- ancestors).
 *
 * Who the client is: r->useragent_ip, which is the peer's address, or what mod_remoteip found behind proxies
 * that it was told to trust. What the peer says is believed only when the peer is BalancerTrusted:
 * otherwise it is removed in fixups, before mod_headers, so that what is there later was put there by the
 * administrator (RequestHeader), who is believed too.
 */
#include "httpd/forwarded.h"

#include "httpd/route.h"
#include "wire/h1_fields.h"

#include "http_core.h"
#include "http_protocol.h"

#include "apr_network_io.h"
#include "apr_strings.h"

/* Is the peer of this connection one of BalancerTrusted? */
static bool is_trusted(const request_rec *r)
{
    const apr_array_header_t *trusted = abl_dir_conf(r)->trusted;
    int i;

    for (i = 0; trusted != NULL && i < trusted->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(trusted, i, apr_ipsubnet_t *), r->connection->client_addr)) {
            return true;
        }
    }
    return false;
}

/* ---- what the client says about itself --------------------------------------------------------------- */

/* Does the client's Connection field take this field away? What belongs to the connection by its nature is
 * left: it is still looked at, and never passed on. */
static bool is_named(const char *connection, const char *name, apr_size_t len)
{
    return connection != NULL && !abl_h1_field_is_hop(name, len) && !abl_h1_field_is_protected(name, len) &&
           abl_h1_list_has(connection, strlen(connection), name);
}

static void collect(request_rec *r, bool trusted, apr_array_header_t *names)
{
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    const char *connection = apr_table_get(r->headers_in, "Connection");
    int i;

    for (i = 0; i < fields->nelts; i++) {
        const char *name = APR_ARRAY_IDX(fields, i, apr_table_entry_t).key;
        apr_size_t len = strlen(name);
        if ((!trusted && abl_h1_field_is_forwarded(name, len)) || is_named(connection, name, len)) {
            APR_ARRAY_PUSH(names, const char *) = name;
        }
    }
}

void abl_forwarded_strip(request_rec *r)
{
    apr_array_header_t *names = apr_array_make(r->pool, 1, sizeof(const char *));
    int i;

    abl_route_note(r)->stripped = true;
    collect(r, is_trusted(r), names);
    for (i = 0; i < names->nelts; i++) {
        apr_table_unset(r->headers_in, APR_ARRAY_IDX(names, i, const char *));
    }
}

bool abl_forwarded_stripped(request_rec *r)
{
    for (; r != NULL; r = r->main != NULL ? r->main : r->prev) {
        if (abl_route_note(r)->stripped) {
            return true;
        }
    }
    return false;
}

int abl_forwarded_fixup(request_rec *r)
{
    if (abl_route_likely(r) && !abl_forwarded_stripped(r)) {
        abl_forwarded_strip(r);
    }
    return DECLINED;
}

/* ---- what the application is told --------------------------------------------------------------------- */

/* The field as it was sent by somebody who may, else `own`. */
static const char *believed(const request_rec *r, const char *name, const char *own)
{
    const char *sent = apr_table_get(r->headers_in, name);

    return sent != NULL && *sent != '\0' ? sent : own;
}

static int add_pair(abl_h1_pair_t *pair, const char *name, const char *value)
{
    pair->name = name;
    pair->value = value;
    return 1;
}

static const char *append(request_rec *r, const char *chain, const char *element)
{
    return chain != NULL ? apr_pstrcat(r->pool, chain, ", ", element, NULL) : element;
}

static int add_x(request_rec *r, const char *host, abl_h1_pair_t *pairs)
{
    const char *chain = believed(r, "X-Forwarded-For", NULL);
    const char *port =
        ap_get_server_port(r) == 80 ? "80" : apr_psprintf(r->pool, "%u", ap_get_server_port(r));
    int n = 0;

    n += add_pair(&pairs[n], "X-Forwarded-For", append(r, chain, r->useragent_ip));
    n += add_pair(&pairs[n], "X-Forwarded-Proto", believed(r, "X-Forwarded-Proto", ap_http_scheme(r)));
    host = believed(r, "X-Forwarded-Host", host);
    if (host != NULL) {
        n += add_pair(&pairs[n], "X-Forwarded-Host", host);
    }
    n += add_pair(&pairs[n], "X-Forwarded-Port", believed(r, "X-Forwarded-Port", port));
    return n;
}

/* A value that is no token, such as one with a colon, goes in quotes; httpd accepted it as a host, so there
 * is nothing in it to escape but for the sake of safety. */
static const char *quoted(request_rec *r, const char *value)
{
    return apr_pstrcat(r->pool, "\"", ap_escape_quotes(r->pool, value), "\"", NULL);
}

static int add_rfc(request_rec *r, const char *host, abl_h1_pair_t *pairs)
{
    const char *ip = r->useragent_ip;
    const char *node = strchr(ip, ':') != NULL ? apr_pstrcat(r->pool, "\"[", ip, "]\"", NULL) : ip;
    const char *element = apr_pstrcat(r->pool, "for=", node, ";proto=", ap_http_scheme(r), NULL);

    if (host != NULL) {
        element = apr_pstrcat(r->pool, element, ";host=", quoted(r, host), NULL);
    }
    return add_pair(pairs, "Forwarded", append(r, believed(r, "Forwarded", NULL), element));
}

int abl_forwarded_add(request_rec *r, const char *host, abl_h1_pair_t *pairs)
{
    abl_forwarded_t mode = abl_dir_conf(r)->forwarded;
    int n = 0;

    if (mode == ABL_FORWARDED_UNSET) {
        mode = ABL_FORWARDED_X;
    }
    if (mode & ABL_FORWARDED_X) {
        n += add_x(r, host, pairs);
    }
    if (mode & ABL_FORWARDED_RFC) {
        n += add_rfc(r, host, pairs + n);
    }
    return n;
}

const char *abl_forwarded_scheme(const request_rec *r)
{
    return believed(r, "X-Forwarded-Proto", ap_http_scheme(r));
}

const char *abl_forwarded_host(const request_rec *r)
{
    return believed(r, "X-Forwarded-Host", apr_table_get(r->headers_in, "Host"));
}
