/* SPDX-License-Identifier: Apache-2.0
 *
 * The key=value words of BalancerMember: ours, and mod_proxy's with a word about what to write instead.
 */
#include "httpd/member_keys.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/units.h"
#include "httpd/name_keys.h"
#include "httpd/tls_keys.h"

#include "apr_lib.h"
#include "apr_strings.h"

/* What a key sets; two keys of the same line with the same bit contradict each other. */
enum {
    KEY_WEIGHT = 1,
    KEY_KEEPALIVE = 2,
    KEY_IDLE_MAX = 4,
    KEY_IDLE_TIMEOUT = 8,
    KEY_MAX_AGE = 16,
    KEY_CONCURRENCY = 32,
    KEY_STATUS = 64,
    KEY_SET = 128,
    KEY_ROUTE = 256,
    KEY_TLS_VERIFY = 512,
    KEY_TLS_CA = 1024,
    KEY_TLS_NAME = 2048,
    KEY_TLS_CERT = 4096,
    KEY_TLS_KEY = 8192,
    KEY_TLS_PROTOCOLS = 16384,
    KEY_PROXY = 32768,
    KEY_SLOW_START = 65536,
    KEY_EXPAND = 131072,
    KEY_RESOLVE = 262144
};

#define KEYS_TLS (KEY_TLS_VERIFY | KEY_TLS_CA | KEY_TLS_NAME | KEY_TLS_CERT | KEY_TLS_KEY | KEY_TLS_PROTOCOLS)

/* Up to this concurrency= an idle connection would take up a place at the member that others wait for. */
#define CONCURRENCY_CLOSES 4

/* ---- their values ----------------------------------------------------------------------------------- */

static const char *set_weight(abl_member_t *m, const char *value)
{
    return abl_units_weight(value, &m->weight);
}

static const char *set_flag(bool *flag, const char *value, bool on)
{
    if (ap_cstr_casecmp(value, "on") != 0 && ap_cstr_casecmp(value, "off") != 0) {
        return "expected on or off";
    }
    *flag = (ap_cstr_casecmp(value, "on") == 0) == on;
    return NULL;
}

static const char *set_keepalive(abl_member_t *m, const char *value)
{
    return set_flag(&m->keepalive, value, true);
}

static const char *set_disablereuse(abl_member_t *m, const char *value)
{
    return set_flag(&m->keepalive, value, false);
}

static const char *set_idle_max(abl_member_t *m, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, 10000, &n) != NULL) {
        return "expected a whole number from 1 to 10000";
    }
    m->idle_max = (int)n;
    return NULL;
}

static const char *set_positive_time(int64_t *time, const char *value)
{
    const char *error = abl_units_time(value, time);

    return error == NULL && *time == 0 ? "expected a time over 0, such as 500ms or 30s" : error;
}

static const char *set_idle_timeout(abl_member_t *m, const char *value)
{
    return set_positive_time(&m->idle_timeout, value);
}

/* mod_proxy's ttl: seconds without a unit. */
static const char *set_ttl(abl_member_t *m, const char *value)
{
    int64_t seconds;

    if (abl_units_number(value, 1, INT64_C(7) * 24 * 3600, &seconds) != NULL) {
        return "expected a whole number of seconds from 1 to 604800";
    }
    m->idle_timeout = seconds * ABL_SECOND;
    return NULL;
}

static const char *set_max_age(abl_member_t *m, const char *value)
{
    return set_positive_time(&m->max_age, value);
}

static const char *set_slow_start(abl_member_t *m, const char *value)
{
    return abl_units_time(value, &m->slow_start);
}

static const char *set_concurrency(abl_member_t *m, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, 100000, &n) != NULL) {
        return "expected a whole number from 1 to 100000; without concurrency= there is no limit";
    }
    m->concurrency = (apr_uint32_t)n;
    return NULL;
}

/* The words, with mod_proxy's letter for the same. */
static const struct {
    const char *word;
    char letter;
    abl_status_t status;
} statuses[] = {
    {"on", 0, ABL_STATUS_ON},
    {"spare", 'r', ABL_STATUS_SPARE},
    {"backup", 'h', ABL_STATUS_BACKUP},
    {"drain", 'n', ABL_STATUS_DRAIN},
    {"disabled", 'd', ABL_STATUS_DISABLED},
};

/* mod_proxy's letters that stand for nothing here. */
static const char *foreign_status(const char *value, char letter)
{
    static const char *const words = "expected one of on, spare, backup, drain, disabled";

    if (*value == '-') {
        return "leave it out: a member is on unless something else is written";
    }
    if (letter == 's') {
        return "write status=disabled";
    }
    if (letter == 'i' || letter == 'e') {
        return "leave it out: a member that fails is left out, and used again, by itself (BalancerEject)";
    }
    if (letter == 'c') {
        return "leave it out: checks are set by BalancerHealthCheck, and a member that fails them is left "
               "out by itself";
    }
    return *value == '+'
               ? "expected one of on, spare, backup, drain, disabled; or one of mod_proxy's +R (spare), "
                 "+H (backup), +N (drain) and +D (disabled), alone"
               : words;
}

static const char *set_status(abl_member_t *m, const char *value)
{
    const char *flag = *value == '+' || *value == '-' ? value + 1 : value;
    char letter = *flag != '\0' && flag[1] == '\0' ? (char)apr_tolower(*flag) : '\0';
    apr_size_t i;

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (ap_cstr_casecmp(value, statuses[i].word) == 0 ||
            (letter != '\0' && letter == statuses[i].letter && *value != '-')) {
            m->status = statuses[i].status;
            return NULL;
        }
    }
    return foreign_status(value, letter);
}

static const char *set_set(abl_member_t *m, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 0, ABL_SETS_MAX, &n) != NULL) {
        return "expected a whole number from 0 to 99";
    }
    m->set = (int)n;
    return NULL;
}

/* No dots: in session.route cookies the route begins behind the last one. */
static const char *set_route(abl_member_t *m, const char *value)
{
    const char *c = value;

    while (apr_isalnum(*c) || *c == '_' || *c == '-') {
        c++;
    }
    if (*c != '\0' || c == value || c - value > ABL_NAME_MAX) {
        return "a route has letters, digits, '_' and '-', at most 64 of them";
    }
    m->route = value;
    return NULL;
}

/* ---- their names ------------------------------------------------------------------------------------ */

static const struct {
    const char *key;
    const char *(*set)(abl_member_t *m, const char *value);
    unsigned bit;
} member_keys[] = {
    {"weight", set_weight, KEY_WEIGHT},
    {"loadfactor", set_weight, KEY_WEIGHT},
    {"keepalive", set_keepalive, KEY_KEEPALIVE},
    {"enablereuse", set_keepalive, KEY_KEEPALIVE},
    {"disablereuse", set_disablereuse, KEY_KEEPALIVE},
    {"idle-max", set_idle_max, KEY_IDLE_MAX},
    {"idle-timeout", set_idle_timeout, KEY_IDLE_TIMEOUT},
    {"ttl", set_ttl, KEY_IDLE_TIMEOUT},
    {"max-age", set_max_age, KEY_MAX_AGE},
    {"concurrency", set_concurrency, KEY_CONCURRENCY},
    {"status", set_status, KEY_STATUS},
    {"set", set_set, KEY_SET},
    {"lbset", set_set, KEY_SET},
    {"route", set_route, KEY_ROUTE},
    {"slow-start", set_slow_start, KEY_SLOW_START},
    {"expand", abl_name_set_expand, KEY_EXPAND},
    {"resolve", abl_name_set_resolve, KEY_RESOLVE},
    {"tls-verify", abl_tls_set_verify, KEY_TLS_VERIFY},
    {"tls-ca", abl_tls_set_ca, KEY_TLS_CA},
    {"tls-name", abl_tls_set_name, KEY_TLS_NAME},
    {"tls-cert", abl_tls_set_cert, KEY_TLS_CERT},
    {"tls-key", abl_tls_set_key, KEY_TLS_KEY},
    {"tls-protocols", abl_tls_set_protocols, KEY_TLS_PROTOCOLS},
    {"proxy-protocol", abl_tls_set_proxy, KEY_PROXY},
};

/* mod_proxy's keys that would mean something else here, or nothing. */
static const struct {
    const char *key;
    const char *instead;
} foreign_keys[] = {
    {"timeout", "write BalancerTimeout response=... gap=... in the section"},
    {"connectiontimeout", "write BalancerTimeout connect=... in the section"},
    {"acquire",
     "write BalancerQueue timeout=... in the section, which is how long a request waits for a member"},
    {"max", "there it limits the connections of one httpd process; write concurrency=N, the requests at the "
            "member at once, over all processes"},
    {"smax", "write idle-max=N, the idle connections each httpd process keeps"},
    {"min", "connections are made when they are needed; leave it out"},
    {"retry", "a member that cannot be reached is used again as soon as it can; leave it out, and see "
              "BalancerEject for="},
    {"redirect",
     "leave it out: with BalancerAffinity, unless it is strict, a request whose member is out of use "
     "goes to another one"},
    {"ping", "a dead kept connection is found out and replaced without it; leave it out"},
    {"flushpackets", "what the member sends is always passed on as it comes; leave it out"},
    {"flushwait", "what the member sends is always passed on as it comes; leave it out"},
    {"upgrade", "upgrades (WebSocket) are always passed on; leave it out"},
    {"iobuffersize", "the buffer's size is fixed; leave it out"},
    {"receivebuffersize", "the socket's buffer is left to the kernel; leave it out"},
    {"responsefieldsize", "the limit is on the whole head; leave it out"},
    {"addressttl", "write resolve=TIME, or leave it out: names are looked up again when the DNS says so"},
    {"failontimeout", "timeouts count in BalancerEject; leave it out"},
    {"failonstatus", "statuses from 500 on count in BalancerEject; leave it out"},
    {"growth", "leave it out"},
    {"flusher", "what the member sends is always passed on as it comes; leave it out"},
    {"hcmethod", "members are checked by BalancerHealthCheck, with uri= (GET) or tcp"},
    {"hcuri", "write BalancerHealthCheck uri= in the section"},
    {"hcinterval", "write BalancerHealthCheck interval= in the section"},
    {"hcpasses", "write BalancerHealthCheck rise= in the section"},
    {"hcfails", "write BalancerHealthCheck fall= in the section"},
    {"hcexpr", "write BalancerHealthCheck expect= or body~ in the section"},
    {"hctemplate", "write BalancerHealthCheck in the section"},
    {"secret", "it belongs to AJP, which is not spoken here"},
};

static const char *unknown_key(apr_pool_t *p, const char *key)
{
    const char *known = "";
    apr_size_t i;

    for (i = 0; i < sizeof(foreign_keys) / sizeof(foreign_keys[0]); i++) {
        if (ap_cstr_casecmp(foreign_keys[i].key, key) == 0) {
            return ABL_CONFIG_ERROR(p, "ABL0121", "%s= is mod_proxy's and means nothing here: %s",
                                    foreign_keys[i].key, foreign_keys[i].instead);
        }
    }
    for (i = 0; i < sizeof(member_keys) / sizeof(member_keys[0]); i++) {
        known = apr_pstrcat(p, known, i ? ", " : "", member_keys[i].key, "=", NULL);
    }
    return ABL_CONFIG_ERROR(p, "ABL0122", "unknown key '%s='; known are %s", key, known);
}

static const char *set_member_key(apr_pool_t *p, abl_member_t *m, char *word, unsigned *seen)
{
    char *value = strchr(word, '=');
    apr_size_t i;

    if (value == NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0123", "'%s' is not of the form key=value", word);
    }
    *value++ = '\0';
    for (i = 0; i < sizeof(member_keys) / sizeof(member_keys[0]); i++) {
        const char *error;
        if (ap_cstr_casecmp(member_keys[i].key, word) != 0) {
            continue;
        }
        if (*seen & member_keys[i].bit) {
            return ABL_CONFIG_ERROR(p, "ABL0124", "%s= sets what another key of this line has set already",
                                    word);
        }
        *seen |= member_keys[i].bit;
        error = member_keys[i].set(m, value);
        return error == NULL ? NULL : ABL_CONFIG_ERROR(p, "ABL0125", "%s=%s: %s", word, value, error);
    }
    return unknown_key(p, word);
}

/* ---- the line --------------------------------------------------------------------------------------- */

static const char *check_member_keys(apr_pool_t *p, const abl_member_t *m, unsigned seen)
{
    if (m->proxy != ABL_PROXY_OFF && m->keepalive) {
        return ABL_CONFIG_ERROR(p, "ABL0275",
                                "with proxy-protocol= each connection belongs to one client and is not kept; "
                                "leave out keepalive=on");
    }
    if (m->keepalive || !(seen & (KEY_IDLE_MAX | KEY_IDLE_TIMEOUT | KEY_MAX_AGE))) {
        return NULL;
    }
    if (m->proxy != ABL_PROXY_OFF) {
        return ABL_CONFIG_ERROR(p, "ABL0276",
                                "with proxy-protocol= no connection is kept, so idle-max=, idle-timeout= and "
                                "max-age= have nothing to limit; leave them out");
    }
    if (!(seen & KEY_KEEPALIVE)) {
        return ABL_CONFIG_ERROR(
            p, "ABL0149",
            "with concurrency= up to %d no connection is kept unless keepalive=on is written, "
            "so idle-max=, idle-timeout= and max-age= have nothing to limit",
            CONCURRENCY_CLOSES);
    }
    return ABL_CONFIG_ERROR(p, "ABL0126",
                            "with keepalive=off no connection is kept, so idle-max=, "
                            "idle-timeout= and max-age= have nothing to limit");
}

static void set_defaults(abl_member_t *m)
{
    m->weight = 100;
    m->keepalive = true;
    m->idle_max = 32;
    m->idle_timeout = 4 * ABL_SECOND;
    m->max_age = 300 * ABL_SECOND;
}

/* What depends on the other keys or on the address. */
static void set_late_defaults(apr_pool_t *p, abl_member_t *m, unsigned seen)
{
    if (!(seen & KEY_KEEPALIVE) &&
        (m->proxy != ABL_PROXY_OFF || (m->concurrency > 0 && m->concurrency <= CONCURRENCY_CLOSES))) {
        m->keepalive = false;
    }
    if (m->route == NULL) {
        m->route = apr_psprintf(p, "%016" APR_UINT64_T_HEX_FMT, abl_hash_text(m->url.text));
    }
}

const char *abl_member_keys_parse(apr_pool_t *p, const char *args, abl_member_t *member)
{
    const char *error = NULL;
    unsigned seen = 0;

    set_defaults(member);
    while (error == NULL && *args != '\0') {
        error = set_member_key(p, member, ap_getword_conf(p, &args), &seen);
    }
    set_late_defaults(p, member, seen);
    if (error == NULL) {
        error = check_member_keys(p, member, seen);
    }
    if (error == NULL) {
        error = abl_name_check(
            p, member,
            &(abl_name_seen_t){seen & KEY_EXPAND, seen & KEY_RESOLVE, seen & KEY_ROUTE, seen & KEY_WEIGHT});
    }
    return error != NULL ? error : abl_tls_finish(p, member, (seen & KEYS_TLS) != 0);
}
