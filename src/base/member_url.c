/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the address of a member as a directive writes it.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>

#include "base/member_url.h"
#include "base/units.h"

#define UNIX_PREFIX "unix:"
#define SRV_PREFIX "srv:"
#define FORMS                                                                                                \
    "http://host[:port][/path], https://..., unix:/path/of/socket|http://name[/path] or "                    \
    "srv:_http._tcp.domain[/path]"
#define SRV_FORM "srv:_http._tcp.domain[/path]"
#define NAME_MAX_BYTES 253 /* of a name in the DNS */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static const char *lower(apr_pool_t *pool, const char *text)
{
    char *copy = apr_pstrdup(pool, text);

    for (char *p = copy; *p; p++) {
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    }
    return copy;
}

/* A byte that would end a line or a word of the request or of the log. It is not echoed. */
static const char *check_bytes(apr_pool_t *pool, const char *text)
{
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7f) {
            return apr_psprintf(pool, "the address has a space or control character after %d characters",
                                (int)(p - text));
        }
    }
    return *text ? NULL : "the address is empty; write " FORMS;
}

/* Takes "/path/of/socket|" off the front and leaves *rest at the URL behind it. */
static const char *split_socket(apr_pool_t *pool, const char *text, abl_member_url_t *url, const char **rest)
{
    const char *bar = strchr(text, '|');

    if (text[0] != '/') {
        return apr_psprintf(pool,
                            "the socket path \"%s\" is not absolute; write unix:/path/of/socket|http://name",
                            bar ? apr_pstrmemdup(pool, text, (apr_size_t)(bar - text)) : text);
    }
    if (!bar) {
        return apr_psprintf(pool, "\"|http://name\" is missing after the socket path \"%s\"", text);
    }
    if ((size_t)(bar - text) > SOCKET_PATH_MAX) {
        return apr_psprintf(pool, "the socket path has %d characters; the system takes at most %d",
                            (int)(bar - text), (int)SOCKET_PATH_MAX);
    }
    url->socket_path = apr_pstrmemdup(pool, text, (apr_size_t)(bar - text));
    *rest = bar + 1;
    return NULL;
}

/* The parts a member's address does not have. The text is not echoed: it may hold a password. */
static const char *check_parts(apr_pool_t *pool, const apr_uri_t *uri)
{
    if (!uri->scheme) {
        return "the address begins with neither http:// nor https:// nor unix: nor srv:; write " FORMS;
    }
    if (strcasecmp(uri->scheme, "http") != 0 && strcasecmp(uri->scheme, "https") != 0) {
        return apr_psprintf(pool, "the scheme \"%s\" is not supported; write " FORMS, uri->scheme);
    }
    if (uri->user || uri->password) {
        return "the address has a user or password (before the @), which is not supported; leave it out";
    }
    if (uri->query) {
        return apr_psprintf(pool, "the address has a query (\"?%s\"); only a path may follow the host",
                            uri->query);
    }
    if (uri->fragment) {
        return apr_psprintf(pool, "the address has a fragment (\"#%s\"); only a path may follow the host",
                            uri->fragment);
    }
    return NULL;
}

static const char *read_ipv6(apr_pool_t *pool, const char *literal, abl_member_url_t *url)
{
    struct in6_addr address;
    char shortest[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, literal, &address) != 1 ||
        !inet_ntop(AF_INET6, &address, shortest, sizeof(shortest))) {
        return apr_psprintf(pool, "\"[%s]\" is not an IPv6 address in brackets", literal);
    }
    url->host = apr_pstrdup(pool, shortest);
    return NULL;
}

static const char *check_name(apr_pool_t *p, const char *name)
{
    const char *c;

    for (c = name; *c; c++) {
        if (!apr_isascii(*c) || (!apr_isalnum(*c) && !strchr("-._", *c))) {
            return apr_psprintf(p, "\"%s\" is not a host name: letters, digits, '-', '.' and '_' only", name);
        }
    }
    return c - name > NAME_MAX_BYTES
               ? apr_psprintf(p, "the host name has %d characters; a name in the DNS has at most %d",
                              (int)(c - name), NAME_MAX_BYTES)
               : NULL;
}

static int is_ipv4(const char *text)
{
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1;
}

static const char *read_host(apr_pool_t *pool, const apr_uri_t *uri, abl_member_url_t *url)
{
    const char *written = uri->hostinfo ? uri->hostinfo : "";
    const char *why;

    if (written[0] == '[') {
        return read_ipv6(pool, uri->hostname ? uri->hostname : written + 1, url);
    }
    if (strchr(written, ':') != strrchr(written, ':')) {
        return apr_psprintf(
            pool, "\"%s\" has more than one colon; an IPv6 address needs brackets: http://[::1]:80", written);
    }
    if (!uri->hostname || !uri->hostname[0]) {
        return "the address has no host; write " FORMS;
    }
    why = check_name(pool, uri->hostname);
    if (why) {
        return why;
    }
    if (strspn(uri->hostname, "0123456789.") == strlen(uri->hostname) && !is_ipv4(uri->hostname)) {
        return apr_psprintf(pool, "\"%s\" is not an IPv4 address", uri->hostname);
    }
    url->host = lower(pool, uri->hostname);
    url->named =
        !is_ipv4(uri->hostname) && !url->socket_path && strcasecmp(uri->hostname, ABL_LOCALHOST) != 0;
    return NULL;
}

static apr_port_t default_port(const abl_member_url_t *url)
{
    return url->tls ? APR_URI_HTTPS_DEFAULT_PORT : APR_URI_HTTP_DEFAULT_PORT;
}

static const char *read_port(apr_pool_t *pool, const apr_uri_t *uri, abl_member_url_t *url)
{
    int64_t port = default_port(url);

    if (uri->port_str && abl_units_number(uri->port_str, 1, 65535, &port)) {
        return apr_psprintf(pool, "the port \"%s\" is not a number from 1 to 65535", uri->port_str);
    }
    url->port = (apr_port_t)port;
    return NULL;
}

static const char *trimmed_path(apr_pool_t *pool, const char *path)
{
    apr_size_t len = path ? strlen(path) : 0;

    while (len > 0 && path[len - 1] == '/') {
        len--;
    }
    return len > 0 ? apr_pstrmemdup(pool, path, len) : "";
}

static const char *check_path(apr_pool_t *pool, const char *path)
{
    const char *at;

    if (strstr(path, "/./") || strstr(path, "/../")) {
        return apr_psprintf(pool, "the path \"%s\" has a '.' or '..' segment; write it without", path);
    }
    for (at = strchr(path, '%'); at; at = strchr(at + 1, '%')) {
        if (!apr_isxdigit(at[1]) || !apr_isxdigit(at[2])) {
            return apr_psprintf(pool, "in the path \"%s\" a '%%' is not followed by two hexadecimal digits",
                                path);
        }
    }
    return NULL;
}

static const char *read_http(apr_pool_t *pool, const char *text, abl_member_url_t *url)
{
    apr_uri_t uri;
    apr_status_t rv = apr_uri_parse(pool, text, &uri);
    const char *why = check_parts(pool, &uri);

    if (!why) {
        url->tls = strcasecmp(uri.scheme, "https") == 0;
        why = read_host(pool, &uri, url);
    }
    if (!why) {
        why = read_port(pool, &uri, url);
    }
    if (!why && rv != APR_SUCCESS) {
        why = "the address cannot be read; write " FORMS;
    }
    url->path = trimmed_path(pool, uri.path);
    return why ? why : check_path(pool, url->path);
}

/* The domain is what the service belongs to: behind "_http._tcp.". */
static const char *domain_of(const char *name)
{
    while (name[0] == '_' && strchr(name, '.')) {
        name = strchr(name, '.') + 1;
    }
    return name;
}

static const char *read_srv(apr_pool_t *pool, const char *text, abl_member_url_t *url)
{
    const char *slash = strchr(text, '/');
    const char *name = slash ? apr_pstrmemdup(pool, text, (apr_size_t)(slash - text)) : text;
    const char *why;

    if (strchr(name, ':')) {
        return apr_psprintf(pool, "\"%s\" has a ':'; the records say the ports: write " SRV_FORM, name);
    }
    why = check_name(pool, name);
    if (!why && (!*name || !*domain_of(name))) {
        why = "the name whose records are meant is missing; write " SRV_FORM;
    }
    if (!why && slash && strpbrk(slash, "?#")) {
        why = "the address has a query or a fragment; only a path may follow the name";
    }
    url->srv = url->named = true;
    url->host = lower(pool, name);
    url->tls = strncmp(url->host, "_https._tcp.", 12) == 0;
    url->path = trimmed_path(pool, slash);
    return why ? why : check_path(pool, url->path);
}

static void compose_srv(apr_pool_t *pool, abl_member_url_t *url)
{
    url->scheme = url->tls ? "https" : "http";
    url->authority = domain_of(url->host);
    url->text = apr_pstrcat(pool, SRV_PREFIX, url->host, url->path, NULL);
}

/* Sets what follows from host, port and path. */
static void compose(apr_pool_t *pool, abl_member_url_t *url)
{
    const char *name = strchr(url->host, ':') ? apr_pstrcat(pool, "[", url->host, "]", NULL) : url->host;
    const char *name_port = apr_psprintf(pool, "%s:%d", name, (int)url->port);

    url->scheme = url->tls ? "https" : "http";
    url->authority = url->port == default_port(url) ? name : name_port;
    url->text = url->socket_path ? apr_pstrcat(pool, UNIX_PREFIX, url->socket_path, "|", url->scheme, "://",
                                               url->authority, url->path, NULL)
                                 : apr_pstrcat(pool, url->scheme, "://", name_port, url->path, NULL);
}

const char *abl_member_url_parse(apr_pool_t *pool, const char *text, abl_member_url_t *url)
{
    const char *rest = text;
    const char *why = check_bytes(pool, text);

    memset(url, 0, sizeof(*url));
    if (!why && strncasecmp(text, SRV_PREFIX, strlen(SRV_PREFIX)) == 0) {
        why = read_srv(pool, text + strlen(SRV_PREFIX), url);
        if (!why) {
            compose_srv(pool, url);
        }
        return why;
    }
    if (!why && strncasecmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        why = split_socket(pool, text + strlen(UNIX_PREFIX), url, &rest);
    }
    if (!why) {
        why = read_http(pool, rest, url);
    }
    if (!why) {
        compose(pool, url);
    }
    return why;
}
