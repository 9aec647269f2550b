/* SPDX-License-Identifier: Apache-2.0
 *
 * The address of a member as a directive writes it: http://host[:port][/path], IPv6 in brackets, or
 * unix:/path/of/socket|http://name[/path]; https:// instead of http:// for TLS; srv:name[/path], whose
 * records say where. Parsing only: nothing is resolved or opened.
 */
#ifndef ABL_BASE_MEMBER_URL_H
#define ABL_BASE_MEMBER_URL_H

#include <apr_network_io.h> /* apr_port_t */
#include <apr_pools.h>
#include <stdbool.h>

#define ABL_LOCALHOST "localhost" /* no name to be looked up: it is this machine (RFC 6761 section 6.3) */

typedef struct abl_member_url_t {
    const char *text;      /* canonical form, the member's name in logs: lower-case host, IPv6 in its
                            * shortest form, port always (unix: unless it is the scheme's),
                            * no trailing slash: "http://127.0.0.1:39564", "http://[::1]:80/base",
                            * "unix:/run/app.sock|http://app", "srv:_http._tcp.app.internal/base" */
    const char *scheme;    /* "http", "https" */
    const char *host;      /* to resolve; without brackets */
    const char *authority; /* for Host: host, brackets for IPv6, ":port" unless 80, with https 443; unix: the
                            * name */
    const char *path;      /* prefix of every request target: "" or "/base", never a trailing '/' */
    const char *socket_path; /* NULL for TCP */
    apr_port_t port;         /* srv: 0 */
    bool tls;                /* https://, or srv:_https._tcp. */
    bool srv;                /* `host` is what SRV records are asked for; `authority` the domain in it */
    bool named;              /* `host` is a name to be looked up, and no address */
} abl_member_url_t;

/* Parses with apr_uri_parse(). Everything is allocated from `pool`. Returns NULL, or a message in the
 * user's words that says what was found and what would be right (allocated from `pool` too). Refused:
 * other schemes (the message names http://, https:// and unix:), user:password, query, fragment, an empty
 * host, a host name over 253 bytes or with anything but letters, digits, '-', '.' and '_', port 0 or over
 * 65535 or not a number, a unix path that is not absolute or longer than sun_path holds, spaces and control
 * characters anywhere. */
const char *abl_member_url_parse(apr_pool_t *pool, const char *text, abl_member_url_t *url);

#endif
