/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's own address in its answers.
 */
#include "httpd/rewrite.h"

#include "httpd/forwarded.h"

#include "http_protocol.h"

#include "apr_lib.h"
#include "apr_strings.h"

/* ---- URLs ------------------------------------------------------------------------------------------- */

static bool ends_segment(char c)
{
    return c == '\0' || c == '/' || c == '?' || c == '#';
}

/* The path behind the member's own scheme and host; NULL: another host, or none. */
static const char *behind_own_host(const abl_member_url_t *own, const char *url)
{
    const char *authority = own->authority;
    const char *port = own->tls ? ":443" : ":80";
    apr_size_t len = strlen(authority), scheme_len = strlen(own->scheme);

    if (ap_cstr_casecmpn(url, own->scheme, scheme_len) != 0 || strncmp(url + scheme_len, "://", 3) != 0) {
        return NULL;
    }
    url += scheme_len + 3;
    if (ap_cstr_casecmpn(url, authority, len) != 0) {
        return NULL;
    }
    url += len;
    if (strchr(authority, ']') != NULL ? url[-1] == ']' : strchr(authority, ':') == NULL) {
        apr_size_t port_len = strlen(port);
        url += strncmp(url, port, port_len) == 0 && ends_segment(url[port_len]) ? port_len : 0;
    }
    return ends_segment(*url) ? url : NULL;
}

/* The path without the member's own; NULL: it lies outside. */
static const char *behind_own_path(const abl_member_url_t *own, const char *path)
{
    apr_size_t len = strlen(own->path);

    return strncmp(path, own->path, len) == 0 && ends_segment(path[len]) ? path + len : NULL;
}

/* A path without a host; it needs a change only where the member has a path of its own. */
static const char *rewrite_path(request_rec *r, const abl_member_url_t *own, const char *url)
{
    const char *path = NULL;

    if (url[0] == '/' && url[1] != '/' && own->path[0] != '\0') {
        path = behind_own_path(own, url);
    }
    if (path == NULL) {
        return url;
    }
    return *path == '/' ? path : apr_pstrcat(r->pool, "/", path, NULL);
}

static const char *rewrite_url(request_rec *r, const abl_member_url_t *own, const char *url)
{
    const char *path = behind_own_host(own, url);
    const char *host = abl_forwarded_host(r);

    if (path == NULL) {
        return rewrite_path(r, own, url);
    }
    path = behind_own_path(own, path);
    if (path == NULL || host == NULL) {
        return url;
    }
    return apr_pstrcat(r->pool, abl_forwarded_scheme(r), "://", host, *path == '/' ? "" : "/", path, NULL);
}

/* Refresh: 5; url=http://… */
static const char *rewrite_refresh(request_rec *r, const abl_member_url_t *own, const char *value)
{
    const char *url = ap_strcasestr(value, "url=");
    const char *changed;
    apr_size_t quote;

    if (url == NULL) {
        return value;
    }
    url += 4;
    quote = *url == '"' || *url == '\'' ? 1 : 0;
    changed = rewrite_url(r, own, url + quote);
    if (changed == url + quote) {
        return value;
    }
    return apr_pstrcat(r->pool, apr_pstrmemdup(r->pool, value, (apr_size_t)(url + quote - value)), changed,
                       NULL);
}

/* ---- cookies ---------------------------------------------------------------------------------------- */

static bool is_attribute(const char *attribute, apr_size_t len, const char *name)
{
    apr_size_t name_len = strlen(name);

    return len > name_len && ap_cstr_casecmpn(attribute, name, name_len) == 0 && attribute[name_len] == '=';
}

static bool is_own_domain(const abl_member_url_t *own, const char *domain, apr_size_t len)
{
    if (len > 0 && *domain == '.') {
        domain++;
        len--;
    }
    return strlen(own->host) == len && ap_cstr_casecmpn(domain, own->host, len) == 0;
}

/* One attribute of a cookie, with the "; " before it, as the client should see it. */
static const char *rewrite_attribute(request_rec *r, const abl_member_url_t *own, const char *attribute,
                                     apr_size_t len)
{
    char *copy = apr_pstrmemdup(r->pool, attribute, len);

    if (is_attribute(attribute, len, "Domain") && is_own_domain(own, attribute + 7, len - 7)) {
        return "";
    }
    if (is_attribute(attribute, len, "Path") && own->path[0] != '\0') {
        const char *path = behind_own_path(own, copy + 5);
        if (path != NULL) {
            return apr_pstrcat(r->pool, "; Path=", *path == '/' ? "" : "/", path, NULL);
        }
    }
    return apr_pstrcat(r->pool, "; ", copy, NULL);
}

static bool names_own_address(const abl_member_url_t *own, const char *value)
{
    return ap_strcasestr(value, own->host) != NULL ||
           (own->path[0] != '\0' && ap_strstr_c(value, own->path) != NULL);
}

static const char *rewrite_cookie(request_rec *r, const abl_member_url_t *own, const char *value)
{
    apr_size_t len = strcspn(value, ";");
    const char *cookie = apr_pstrmemdup(r->pool, value, len);

    if (!names_own_address(own, value + len)) {
        return value;
    }
    for (value += len; *value == ';'; value += len) {
        value++;
        value += strspn(value, " \t");
        len = strcspn(value, ";");
        cookie = apr_pstrcat(r->pool, cookie, rewrite_attribute(r, own, value, len), NULL);
    }
    return cookie;
}

const char *abl_rewrite_value(request_rec *r, const abl_member_url_t *own, const char *name,
                              const char *value)
{
    switch (*name | 0x20) {
    case 'l':
        return ap_cstr_casecmp(name, "Location") == 0 ? rewrite_url(r, own, value) : value;
    case 'c':
        return ap_cstr_casecmp(name, "Content-Location") == 0 ? rewrite_url(r, own, value) : value;
    case 'u':
        return ap_cstr_casecmp(name, "URI") == 0 ? rewrite_url(r, own, value) : value;
    case 'r':
        return ap_cstr_casecmp(name, "Refresh") == 0 ? rewrite_refresh(r, own, value) : value;
    case 's':
        return ap_cstr_casecmp(name, "Set-Cookie") == 0 ? rewrite_cookie(r, own, value) : value;
    default:
        return value;
    }
}
