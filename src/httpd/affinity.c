/* SPDX-License-Identifier: Apache-2.0
 *
 * Which member a request belongs to, and telling the client so.
 *
 * With cookie=NAME a request names its member in a cookie or in a parameter of its URL, in one of three ways:
 *   4f0c…       16 hex digits, the hash of the member's route: our own cookie, which gives no name away
 *   a           the route itself
 *   xyz.a       something of the application's, a dot, and one of the two: mod_proxy's convention
 */
#include "httpd/affinity.h"

#include "base/hash.h"
#include "httpd/cookie.h"
#include "httpd/forwarded.h"
#include "httpd/key.h"
#include "ledger/site.h"

#include "apr_strings.h"

#define ID_LEN 16

/* Values of one name that are looked at: looking costs time, and a client may send thousands. */
#define VALUES_MAX 16

#define FORMS "cookie=NAME [param=NAME], header=NAME or client; then perhaps strict"

/* ---- configuration ---------------------------------------------------------------------------------- */

static const char *read_name(apr_pool_t *p, const char *word, const char *name, const char **into)
{
    if (!abl_cookie_is_token(name)) {
        return ABL_CONFIG_ERROR(p, "ABL0188",
                                "BalancerAffinity %s: expected a name of letters, digits, '-' and '_'", word);
    }
    if (*into != NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0190", "BalancerAffinity %s: it is %s already", word, *into);
    }
    *into = name;
    return NULL;
}

static const char *set_kind(apr_pool_t *p, const char *word, abl_affinity_t *a, abl_affinity_kind_t kind)
{
    if (a->kind != ABL_AFFINITY_NONE && a->kind != kind) {
        return ABL_CONFIG_ERROR(p, "ABL0187", "BalancerAffinity %s: only one of cookie=, header= and client",
                                word);
    }
    a->kind = kind;
    return NULL;
}

static const char *read_word(apr_pool_t *p, const char *word, abl_affinity_t *a)
{
    const char *error;

    if (ap_cstr_casecmp(word, "strict") == 0) {
        a->strict = true;
        return NULL;
    }
    if (ap_cstr_casecmp(word, "client") == 0) {
        return set_kind(p, word, a, ABL_AFFINITY_CLIENT);
    }
    if (ap_cstr_casecmpn(word, "param=", 6) == 0) {
        return read_name(p, word, word + 6, &a->param);
    }
    if (ap_cstr_casecmpn(word, "cookie=", 7) == 0) {
        error = set_kind(p, word, a, ABL_AFFINITY_COOKIE);
    } else if (ap_cstr_casecmpn(word, "header=", 7) == 0) {
        error = set_kind(p, word, a, ABL_AFFINITY_HEADER);
    } else {
        return ABL_CONFIG_ERROR(p, "ABL0186", "BalancerAffinity %s: expected " FORMS, word);
    }
    return error != NULL ? error : read_name(p, word, word + 7, &a->name);
}

const char *abl_affinity_parse(apr_pool_t *p, const char *args, abl_affinity_t *affinity)
{
    const char *error = NULL;

    if (affinity->kind != ABL_AFFINITY_NONE) {
        return ABL_CONFIG_ERROR(p, "ABL0189", "BalancerAffinity %s: this balancer has one already", args);
    }
    while (error == NULL && *args != '\0') {
        error = read_word(p, ap_getword_conf(p, &args), affinity);
    }
    if (error == NULL && affinity->kind == ABL_AFFINITY_NONE) {
        error = ABL_CONFIG_ERROR(p, "ABL0191", "BalancerAffinity: expected " FORMS);
    }
    if (error == NULL && affinity->param != NULL && affinity->kind != ABL_AFFINITY_COOKIE) {
        error = ABL_CONFIG_ERROR(p, "ABL0192", "BalancerAffinity param=%s: it goes with cookie=NAME only",
                                 affinity->param);
    }
    return error;
}

static bool is_slot(const abl_section_t *section, int member)
{
    return section->balancer.members[member].naming >= ABL_NAMING_SLOT;
}

/* The first of those that are called the same is meant. */
static void add_name(apr_hash_t *members, const char *name, const int *member)
{
    if (apr_hash_get(members, name, APR_HASH_KEY_STRING) == NULL) {
        apr_hash_set(members, name, APR_HASH_KEY_STRING, member);
    }
}

static void add_names(apr_pool_t *p, abl_section_t *section)
{
    const abl_balancer_t *b = &section->balancer;
    const char **ids = apr_palloc(p, (apr_size_t)b->nmembers * sizeof(*ids));
    int *numbers = apr_palloc(p, (apr_size_t)b->nmembers * sizeof(*numbers));
    int *slots = apr_palloc(p, (apr_size_t)b->nmembers * sizeof(*slots));
    abl_affinity_t *a = &section->affinity;
    int i;

    a->members = apr_hash_make(p);
    a->nslots = 0;
    for (i = 0; i < b->nmembers; i++) {
        numbers[i] = i;
        ids[i] = apr_psprintf(p, "%016" APR_UINT64_T_HEX_FMT, abl_hash_text(b->members[i].route));
        if (is_slot(section, i)) {
            slots[a->nslots++] = i;
        } else {
            add_name(a->members, ids[i], &numbers[i]);
            add_name(a->members, b->members[i].route, &numbers[i]);
        }
    }
    a->ids = ids;
    a->slots = slots;
}

void abl_affinity_prepare(apr_pool_t *p, abl_section_t *section)
{
    if (section->affinity.kind == ABL_AFFINITY_NONE) {
        return;
    }
    add_names(p, section);
    if (section->affinity.param == NULL) {
        section->affinity.param = section->affinity.name;
    }
}

/* ---- which member a value names --------------------------------------------------------------------- */

/* There may be thousands: quicker than printf. */
static void write_id(char *to, apr_uint64_t id)
{
    int i;

    for (i = ID_LEN - 1; i >= 0; i--, id >>= 4) {
        to[i] = "0123456789abcdef"[id & 15];
    }
    to[ID_LEN] = '\0';
}

static bool is_our_form(const char *value)
{
    return strlen(value) == ID_LEN && strspn(value, "0123456789abcdef") == ID_LEN;
}

/* What a slot is called follows from who is there. NULL: nobody is. */
static const char *name_slot(const abl_section_t *section, int member, char route[ID_LEN + 1],
                             char id[ID_LEN + 1])
{
    apr_uint64_t who = abl_site_id(section->balancer.ledger, member);

    if (who == 0) {
        return NULL;
    }
    write_id(route, who);
    write_id(id, abl_hash(route, ID_LEN));
    return id;
}

static bool is_slot_called(const abl_section_t *section, int member, const char *text)
{
    char route[ID_LEN + 1], id[ID_LEN + 1];

    return name_slot(section, member, route, id) != NULL &&
           (strcmp(id, text) == 0 || strcmp(route, text) == 0);
}

static int find_member(const abl_section_t *section, const char *text)
{
    const abl_affinity_t *a = &section->affinity;
    const int *member = apr_hash_get(a->members, text, APR_HASH_KEY_STRING);
    int i = 0, n = member == NULL && is_our_form(text) ? a->nslots : 0;

    while (i < n && !is_slot_called(section, a->slots[i], text)) {
        i++;
    }
    return i < n ? a->slots[i] : member != NULL ? *member : -1;
}

static int named_by(const abl_section_t *section, const char *value)
{
    const char *dot = strrchr(value, '.');

    return find_member(section, dot != NULL ? dot + 1 : value);
}

/* The value of the next ;NAME=, ?NAME= or &NAME= of the URL, from *at on; NULL: there is none any more. */
static const char *next_param(request_rec *r, const char *name, const char **at)
{
    apr_size_t len = strlen(name);
    const char *found;

    while ((found = ap_strstr_c(*at, name)) != NULL) {
        const char *value = found + len + 1;
        *at = found + len;
        if (found > r->unparsed_uri && strchr(";?&", found[-1]) != NULL && found[len] == '=') {
            return apr_pstrmemdup(r->pool, value, strcspn(value, ";?&/#"));
        }
    }
    return NULL;
}

static int named_in_url(request_rec *r, const abl_section_t *section)
{
    const char *at = r->unparsed_uri != NULL ? r->unparsed_uri : "";
    const char *value;
    int member = -1, n = 0;

    while (member < 0 && n++ < VALUES_MAX && (value = next_param(r, section->affinity.param, &at)) != NULL) {
        member = named_by(section, value);
    }
    return member;
}

/* A browser may send several cookies of one name, of other paths or domains. */
static int named_by_cookie(request_rec *r, const abl_section_t *section)
{
    const char *at = NULL, *value;
    int member = -1, n = 0;

    while (member < 0 && n++ < VALUES_MAX &&
           (value = abl_cookie_next(r, section->affinity.name, &at)) != NULL) {
        member = named_by(section, value);
    }
    return member;
}

/* The URL first: it is of this page, the cookie of the browser's whole history. */
static int named_by_session(request_rec *r, const abl_section_t *section)
{
    int member = named_in_url(r, section);

    return member >= 0 ? member : named_by_cookie(r, section);
}

/* The value of the field may be anything that is the same for requests that belong together. */
static int named_by_header(request_rec *r, const abl_section_t *section, bool *home)
{
    const char *value = apr_table_get(r->headers_in, section->affinity.name);
    int member;

    if (value == NULL || *value == '\0') {
        return -1;
    }
    member = find_member(section, value);
    *home = member < 0;
    return *home ? abl_ledger_home(section->balancer.ledger, abl_hash_text(value)) : member;
}

static int named_member(request_rec *r, const abl_section_t *section, bool *home)
{
    switch (section->affinity.kind) {
    case ABL_AFFINITY_COOKIE:
        return named_by_session(r, section);
    case ABL_AFFINITY_HEADER:
        return named_by_header(r, section, home);
    case ABL_AFFINITY_CLIENT:
        *home = true;
        return abl_ledger_home(section->balancer.ledger, abl_key_of_client(r));
    case ABL_AFFINITY_NONE:
        break;
    }
    return -1;
}

void abl_affinity_want(request_rec *r, const abl_section_t *section, abl_want_t *want)
{
    memset(want, 0, sizeof(*want));
    want->only = named_member(r, section, &want->home);
    want->strict = section->affinity.strict;
    if (section->method_key.kind != ABL_KEY_NONE) {
        want->has_key = abl_key_of(r, &section->method_key, &want->key);
    }
    if (section->balancer.queue.per_client > 0 || !section->balancer.eject.off) {
        want->client = abl_key_of_client(r);
    }
}

/* ---- the answer ------------------------------------------------------------------------------------- */

/* Has the client a cookie of this name that somebody else made, such as the application its session's? */
static bool has_foreign_cookie(request_rec *r, const char *name)
{
    const char *at = NULL, *value;

    while ((value = abl_cookie_next(r, name, &at)) != NULL) {
        /* mod_proxy's users set ".route"; with a route that is no more it is of no use to anybody. */
        if (!is_our_form(value) && value[0] != '.') {
            return true;
        }
    }
    return false;
}

static bool sets_cookie(const apr_table_t *fields, const char *name)
{
    const apr_array_header_t *all = apr_table_elts(fields);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);
        if (ap_cstr_casecmp(field->key, "Set-Cookie") == 0 && abl_cookie_is_set_by(field->val, name)) {
            return true;
        }
    }
    return false;
}

void abl_affinity_respond(request_rec *r, const abl_section_t *section, int member, apr_table_t *fields)
{
    const abl_affinity_t *a = &section->affinity;
    char route[ID_LEN + 1], slot[ID_LEN + 1];
    const char *id;
    bool secure;

    /* A part of another answer (r->main) has no head of its own. */
    if (a->kind != ABL_AFFINITY_COOKIE || r->main != NULL || named_by_session(r, section) == member ||
        has_foreign_cookie(r, a->name) || sets_cookie(fields, a->name)) {
        return;
    }
    id = is_slot(section, member) ? name_slot(section, member, route, slot) : a->ids[member];
    if (id == NULL) {
        return; /* it has just gone */
    }
    secure = ap_cstr_casecmp(abl_forwarded_scheme(r), "https") == 0;
    apr_table_addn(fields, "Set-Cookie",
                   apr_pstrcat(r->pool, a->name, "=", id, "; Path=/; HttpOnly; SameSite=Lax",
                               secure ? "; Secure" : "", NULL));
    /* A cache that kept this cookie would send all its clients to one member. */
    apr_table_mergen(fields, "Cache-Control", "no-cache=\"set-cookie\"");
}
