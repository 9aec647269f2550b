/* SPDX-License-Identifier: Apache-2.0
 *
 * A token is the keyed hash of its session's cookie and of the user. The key is in the segment: it is the
 * same for all children, and for as long as httpd runs.
 */
#include "httpd/session.h"

#include "base/ip.h"
#include "httpd/cookie.h"
#include "httpd/forwarded.h"
#include "httpd/lifecycle.h"
#include "ledger/secret.h"

#include "http_vhost.h"

#include "apr_escape.h"
#include "apr_strings.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define COOKIE "balancer-session"
#define ID_BYTES 16
#define ID_LEN ((size_t)2 * ID_BYTES)

static bool is_id(const char *text)
{
    return strlen(text) == ID_LEN && strspn(text, "0123456789abcdef") == ID_LEN;
}

static const char *session_of(request_rec *r)
{
    const char *at = NULL, *value;

    while ((value = abl_cookie_next(r, COOKIE, &at)) != NULL) {
        if (is_id(value)) {
            return value;
        }
    }
    return NULL;
}

static const char *token_of(request_rec *r, const char *session)
{
    const abl_segment_t *segment = abl_lifecycle_segment();
    const char *text = apr_pstrcat(r->pool, session, ":", r->user != NULL ? r->user : "", NULL);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len = sizeof(mac);

    if (segment == NULL || !abl_secret_is_known(segment) ||
        HMAC(EVP_sha256(), abl_secret_of(segment), ABL_SECRET_BYTES, (const unsigned char *)text,
             strlen(text), mac, &len) == NULL) {
        return NULL;
    }
    return apr_pescape_hex(r->pool, mac, len, 0);
}

/* What stands behind a semicolon would be read as the cookie's attributes. */
static const char *path_of(request_rec *r)
{
    const char *at = ap_escape_uri(r->pool, r->uri), *path = "";
    size_t len;

    while (at[len = strcspn(at, ";")] != '\0') {
        path = apr_pstrcat(r->pool, path, apr_pstrmemdup(r->pool, at, len), "%3B", NULL);
        at += len + 1;
    }
    return apr_pstrcat(r->pool, path, at, NULL);
}

static void send_cookie(request_rec *r, const char *id)
{
    bool secure = ap_cstr_casecmp(abl_forwarded_scheme(r), "https") == 0;

    apr_table_addn(r->err_headers_out, "Set-Cookie",
                   apr_pstrcat(r->pool, COOKIE "=", id, "; Path=", path_of(r), "; HttpOnly; SameSite=Strict",
                               secure ? "; Secure" : "", NULL));
}

const char *abl_session_token(request_rec *r)
{
    const char *session = session_of(r);

    if (session == NULL) {
        unsigned char id[ID_BYTES];
        if (apr_generate_random_bytes(id, sizeof(id)) != APR_SUCCESS) {
            return NULL;
        }
        session = apr_pescape_hex(r->pool, id, sizeof(id), 0);
        send_cookie(r, session);
    }
    return token_of(r, session);
}

/* Without the port. */
static char *name_of(apr_pool_t *p, const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : strrchr(host, ':');

    return end == NULL ? apr_pstrdup(p, host)
                       : apr_pstrmemdup(p, host, (apr_size_t)(end - host) + (*host == '['));
}

/* Is it a name of this server's, or no name at all but an address? Whoever owns another name may let it lead
 * here, and his page is of that origin then (DNS rebinding). */
static bool is_own_name(request_rec *r, const char *host)
{
    const char *name = name_of(r->pool, host);
    abl_ip_t ip;

    return *name == '[' || abl_ip_read(name, 1, &ip) || ap_cstr_casecmp(name, "localhost") == 0 ||
           ap_cstr_casecmp(name, r->server->server_hostname) == 0 ||
           ap_matches_request_vhost(r, name, r->server->port) != 0;
}

/* "https://host:port", as the request's Host. */
static bool is_own_origin(request_rec *r, const char *origin)
{
    const char *host = apr_table_get(r->headers_in, "Host");
    const char *authority = ap_strstr_c(origin, "://");

    return host != NULL && authority != NULL && ap_cstr_casecmp(authority + 3, host) == 0 &&
           is_own_name(r, host);
}

const char *abl_session_refusal(request_rec *r)
{
    const char *origin = apr_table_get(r->headers_in, "Origin");
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *given = apr_table_get(r->headers_in, ABL_TOKEN_FIELD);
    const char *session = session_of(r);
    const char *token = session != NULL ? token_of(r, session) : NULL;

    if ((origin != NULL && !is_own_origin(r, origin)) || (site != NULL && strcmp(site, "same-origin") != 0)) {
        return "the request comes from a page of another origin, or of a name that is not this server's "
               "(ServerName, ServerAlias)";
    }
    if (token == NULL) {
        return "there is no session: get the JSON form first, and send the cookie " COOKIE
               " that comes with it";
    }
    if (given == NULL || strlen(given) != strlen(token) || CRYPTO_memcmp(given, token, strlen(token)) != 0) {
        return "the field " ABL_TOKEN_FIELD
               " must have the steering.token of the JSON form, of the same session and user";
    }
    return NULL;
}
