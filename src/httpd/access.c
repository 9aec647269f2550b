/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd has no way to ask which Require lines hold, and they may come from anywhere, .htaccess included. So
 * its access control is asked, once more, about others: the hooks that decided about this request decide
 * about it as if a stranger had sent it. (httpd's own ap_some_authn_required() asks in the same way.)
 */
#include "httpd/access.h"

#include "http_core.h"
#include "http_request.h"
#include "http_ssl.h"

#include "apr_strings.h"

/* Who is let in as one of them is nobody in particular: an address of examples, which however stands on lists
 * of addresses that are refused; and public resolvers, where no administrator sits. */
static const char *const strangers[] = {"192.0.2.1", "8.8.8.8", "2001:4860:4860::8888"};

#define STRANGERS (sizeof(strangers) / sizeof(strangers[0]))

/* Is it a connection as everybody may have one over TLS? With a certificate it is somebody's. */
static bool has_tls_as_anybody(request_rec *r)
{
    const char *verified;

    if (!ap_ssl_conn_is_ssl(r->connection)) {
        return false;
    }
    verified = ap_ssl_var_lookup(r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");
    return verified == NULL || strcmp(verified, "SUCCESS") != 0;
}

/* Nobody's certificate: what modules know of a connection is not known of this one. But `by_tls` that it is
 * encrypted, which is what some configurations ask for and everybody has. */
static conn_rec *strange_connection(const request_rec *r, apr_sockaddr_t *addr, const char *ip, bool by_tls)
{
    conn_rec *c = apr_pmemdup(r->pool, r->connection, sizeof(*c));

    if (!by_tls) {
        c->conn_config = ap_create_conn_config(r->pool);
        ap_set_core_module_config(c->conn_config, ap_get_core_module_config(r->connection->conn_config));
        c->master = NULL;
    }
    c->notes = apr_table_make(r->pool, 1);
    c->client_addr = addr;
    c->client_ip = apr_pstrdup(r->pool, ip);
    c->remote_host = apr_pstrdup(r->pool, "");
    return c;
}

/* What is refused now is no news for the log. */
static const struct ap_logconf *silence(apr_pool_t *p)
{
    struct ap_logconf *log = apr_pcalloc(p, sizeof(*log));

    log->level = APLOG_EMERG;
    return log;
}

/* The same request, as somebody at that address would have sent it. NULL: it cannot be made. */
static request_rec *strange_request(const request_rec *r, const char *ip, bool by_tls)
{
    request_rec *stranger = apr_pmemdup(r->pool, r, sizeof(*r));

    if (apr_sockaddr_info_get(&stranger->useragent_addr, ip, APR_UNSPEC, 9, 0, r->pool) != APR_SUCCESS) {
        return NULL;
    }
    stranger->useragent_ip = apr_pstrdup(r->pool, ip);
    stranger->connection = strange_connection(r, stranger->useragent_addr, ip, by_tls);
    stranger->user = stranger->ap_auth_type = NULL;
    stranger->headers_in = apr_table_make(r->pool, 1);
    stranger->subprocess_env = apr_table_make(r->pool, 1);
    stranger->notes = apr_table_make(r->pool, 1);
    stranger->err_headers_out = apr_table_make(r->pool, 1);
    stranger->log = silence(r->pool);
    return stranger;
}

/* DECLINED of the second hook: a user is needed, if there was one. */
static bool lets_in(request_rec *r, bool had_user)
{
    int by_address = ap_run_access_checker(r);
    int without_user;

    if (ap_satisfies(r) == SATISFY_ANY) {
        return by_address == OK || ap_run_access_checker_ex(r) == OK;
    }
    if (by_address != OK && by_address != DECLINED) {
        return false;
    }
    without_user = ap_run_access_checker_ex(r);
    return without_user == OK || (without_user == DECLINED && !had_user);
}

static bool is_open_to(const request_rec *r, const char *ip, bool by_tls)
{
    request_rec *stranger = strange_request(r, ip, by_tls);

    /* where nothing is known nothing is allowed */
    return stranger == NULL || lets_in(stranger, r->user != NULL);
}

bool abl_access_is_open(request_rec *r)
{
    bool tls = has_tls_as_anybody(r);
    apr_size_t i = 0;

    while (i < STRANGERS && !is_open_to(r, strangers[i], false) &&
           !(tls && is_open_to(r, strangers[i], true))) {
        i++;
    }
    return i < STRANGERS;
}
