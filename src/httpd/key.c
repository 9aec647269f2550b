/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a request is hashed.
 */
#include "httpd/key.h"

#include "base/hash.h"
#include "httpd/cookie.h"

#include "apr_network_io.h"
#include "apr_strings.h"

#include <netinet/in.h>

/* ---- configuration ---------------------------------------------------------------------------------- */

static const struct {
    const char *word; /* a colon: something follows it */
    abl_key_kind_t kind;
} kinds[] = {{"header:", ABL_KEY_HEADER},
             {"cookie:", ABL_KEY_COOKIE},
             {"uri", ABL_KEY_URI},
             {"client", ABL_KEY_CLIENT},
             {"expr:", ABL_KEY_EXPR}};

/* What follows the word of a kind in `word`; NULL: it is not of this kind. */
static const char *rest_of(const char *word, const char *kind)
{
    apr_size_t len = strlen(kind);

    if (strlen(word) < len || ap_cstr_casecmpn(word, kind, len) != 0) {
        return NULL;
    }
    return kind[len - 1] == ':' || word[len] == '\0' ? word + len : NULL;
}

static const char *read_expr(cmd_parms *cmd, const char *text, abl_key_t *key)
{
    const char *error = NULL;

    /* No Vary field: which member answers is no business of a cache's. */
    key->expr =
        ap_expr_parse_cmd(cmd, text, AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY, &error, NULL);
    if (*text == '\0') {
        error = "it is empty; write one such as expr:%{HTTP:X-Tenant}";
    }
    return error == NULL
               ? NULL
               : ABL_CONFIG_ERROR(cmd->pool, "ABL0157", "BalancerMethod ... expr:%s: %s", text, error);
}

static const char *read_name(cmd_parms *cmd, const char *word, const char *name, abl_key_t *key)
{
    key->name = name;
    return abl_cookie_is_token(name)
               ? NULL
               : ABL_CONFIG_ERROR(cmd->pool, "ABL0158",
                                  "BalancerMethod ... %s: what follows the colon is not the name of a "
                                  "%s, as in %s",
                                  word, key->kind == ABL_KEY_HEADER ? "header field" : "cookie",
                                  key->kind == ABL_KEY_HEADER ? "header:X-Tenant" : "cookie:session");
}

const char *abl_key_parse(cmd_parms *cmd, const char *word, abl_key_t *key)
{
    const char *rest = NULL;
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rest == NULL; i++) {
        rest = rest_of(word, kinds[i].word);
        key->kind = kinds[i].kind;
    }
    if (rest == NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0156",
                                "BalancerMethod ... %s: expected what is hashed, one of " ABL_KEY_FORMS,
                                word);
    }
    switch (key->kind) {
    case ABL_KEY_HEADER:
    case ABL_KEY_COOKIE:
        return read_name(cmd, word, rest, key);
    case ABL_KEY_EXPR:
        return read_expr(cmd, rest, key);
    case ABL_KEY_URI:
    case ABL_KEY_CLIENT:
    case ABL_KEY_NONE:
        break;
    }
    return NULL;
}

/* ---- requests --------------------------------------------------------------------------------------- */

apr_uint64_t abl_key_of_client(const request_rec *r)
{
    const apr_sockaddr_t *sa = r->useragent_addr;
    apr_uint64_t hash;

    if (sa == NULL || sa->ipaddr_ptr == NULL) {
        hash = abl_hash_text(r->useragent_ip);
    } else if (sa->family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)sa->ipaddr_ptr)) {
        hash = abl_hash(sa->ipaddr_ptr, 8);
    } else {
        hash = abl_hash((const char *)sa->ipaddr_ptr + sa->ipaddr_len - 4, 4);
    }
    return hash != 0 ? hash : 1;
}

static const char *text_of(request_rec *r, const abl_key_t *key)
{
    const char *error = NULL, *at = NULL, *text;

    switch (key->kind) {
    case ABL_KEY_HEADER:
        return apr_table_get(r->headers_in, key->name);
    case ABL_KEY_COOKIE:
        return abl_cookie_next(r, key->name, &at);
    case ABL_KEY_URI:
        return r->args != NULL ? apr_pstrcat(r->pool, r->uri, "?", r->args, NULL) : r->uri;
    case ABL_KEY_EXPR:
        text = ap_expr_str_exec(r, key->expr, &error);
        return error == NULL ? text : NULL;
    case ABL_KEY_CLIENT:
    case ABL_KEY_NONE:
        break;
    }
    return NULL;
}

bool abl_key_of(request_rec *r, const abl_key_t *key, apr_uint64_t *hash)
{
    const char *text;

    if (key->kind == ABL_KEY_CLIENT) {
        *hash = abl_key_of_client(r);
        return true;
    }
    text = text_of(r, key);
    if (text == NULL || *text == '\0') {
        return false;
    }
    *hash = abl_hash_text(text);
    return true;
}
