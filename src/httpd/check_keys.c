/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerHealthCheck.
 */
#include "httpd/check_keys.h"

#include "base/units.h"
#include "httpd/words.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <regex.h>

#define SEEN_BODY (1u << 28) /* of `seen`, beside the bits of keys with a = */
#define SEEN_TCP (1u << 29)
#define SEEN_MANDATORY (1u << 30)
#define SEEN_ANY (1u << 31)

#define URI_MAX 2048
#define HOST_MAX 255
#define BODY_MAX 1024
#define INTERVAL_MIN (100 * ABL_MS)
#define INTERVAL_MAX (3600 * ABL_SECOND)
#define TIMEOUT_MAX (60 * ABL_SECOND)
#define TIMES_MAX 100
#define JITTER_MAX 50

/* ---- keys ------------------------------------------------------------------------------------------- */

static const char *set_uri(void *conf, apr_pool_t *p, const char *value)
{
    const char *c = value;

    (void)p;
    while (apr_isgraph(*c) && *c != '#') {
        c++;
    }
    ((abl_check_conf_t *)conf)->uri = value;
    return *value == '/' && *c == '\0' && c - value <= URI_MAX
               ? NULL
               : "expected a path, perhaps with a query, such as /health, of at most 2048 characters";
}

static const char *set_host(void *conf, apr_pool_t *p, const char *value)
{
    const char *c = value;

    (void)p;
    while (apr_isalnum(*c) || (*c != '\0' && strchr("-._:[]", *c) != NULL)) {
        c++;
    }
    ((abl_check_conf_t *)conf)->host = value;
    return c > value && *c == '\0' && c - value <= HOST_MAX ? NULL
                                                            : "expected a host name, such as app.example.org";
}

/* "200" or "200-399"; NULL: neither. Returns what follows. */
static const char *read_range(const char *text, int *from, int *to)
{
    char *end;

    if (!apr_isdigit(*text)) {
        return NULL;
    }
    *from = *to = (int)strtol(text, &end, 10);
    if (*end == '-' && apr_isdigit(end[1])) {
        *to = (int)strtol(end + 1, &end, 10);
    }
    return *from >= ABL_CHECK_STATUS_MIN && *from <= *to && *to <= ABL_CHECK_STATUS_MAX ? end : NULL;
}

static const char *set_expect(void *conf, apr_pool_t *p, const char *value)
{
    abl_check_conf_t *check = conf;
    int from, to;

    (void)p;
    memset(check->expect, 0, sizeof(check->expect));
    do {
        value = read_range(value, &from, &to);
        for (; value != NULL && from <= to; from++) {
            check->expect[from / 64] |= UINT64_C(1) << (from % 64);
        }
    } while (value != NULL && *value++ == ',');
    return value != NULL && value[-1] == '\0'
               ? NULL
               : "expected statuses from 200 to 599 and ranges of them, such as 200-299,404";
}

static const char *set_interval(void *conf, apr_pool_t *p, const char *value)
{
    int64_t *time = &((abl_check_conf_t *)conf)->interval;
    const char *error = abl_units_time(value, time);

    (void)p;
    return error == NULL && (*time < INTERVAL_MIN || *time > INTERVAL_MAX)
               ? "expected a time from 100ms to 1h, such as 5s"
               : error;
}

static const char *set_timeout(void *conf, apr_pool_t *p, const char *value)
{
    int64_t *time = &((abl_check_conf_t *)conf)->timeout;
    const char *error = abl_units_time(value, time);

    (void)p;
    return error == NULL && (*time < 10 * ABL_MS || *time > TIMEOUT_MAX)
               ? "expected a time from 10ms to 60s, such as 2s"
               : error;
}

static const char *set_times(unsigned *times, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, TIMES_MAX, &n) != NULL) {
        return "expected a whole number from 1 to 100";
    }
    *times = (unsigned)n;
    return NULL;
}

static const char *set_rise(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return set_times(&((abl_check_conf_t *)conf)->rise, value);
}

static const char *set_fall(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return set_times(&((abl_check_conf_t *)conf)->fall, value);
}

static const char *set_jitter(void *conf, apr_pool_t *p, const char *value)
{
    uint32_t *jitter = &((abl_check_conf_t *)conf)->jitter;

    (void)p;
    return abl_units_percent(value, 0, jitter) != NULL || *jitter > JITTER_MAX
               ? "expected a percentage from 0% to 50%, such as 10%"
               : NULL;
}

static const abl_word_t words[] = {
    {"uri", set_uri},           {"host", set_host},       {"expect", set_expect},
    {"interval", set_interval}, {"timeout", set_timeout}, {"rise", set_rise},
    {"fall", set_fall},         {"jitter", set_jitter},   {NULL, NULL}};

static const abl_words_t check_words = {
    .directive = "BalancerHealthCheck",
    .keys = "uri= or tcp, interval=, timeout=, rise=, fall=, expect=, body~, host=, jitter=, mandatory",
    .none_id = "ABL0290",
    .unknown_id = "ABL0291",
    .twice_id = "ABL0292",
    .bad_id = "ABL0293",
    .words = words};

/* ---- words without a = ------------------------------------------------------------------------------ */

static const char *set_body(apr_pool_t *p, abl_check_conf_t *check, const char *value)
{
    regex_t regex;
    int error = *value != '\0' && strlen(value) <= BODY_MAX
                    ? regcomp(&regex, value, REG_EXTENDED | REG_NEWLINE | REG_NOSUB)
                    : REG_BADPAT;

    if (error != 0) {
        char why[128];
        (void)regerror(error, error == REG_BADPAT ? NULL : &regex, why, sizeof(why));
        return ABL_CONFIG_ERROR(p, "ABL0294",
                                "BalancerHealthCheck body~%s: %s; expected an extended regular expression of "
                                "POSIX, of at most %d characters",
                                value, why, BODY_MAX);
    }
    regfree(&regex);
    check->body = value;
    return NULL;
}

static unsigned bit_of(const char *word)
{
    return strncmp(word, "body~", 5) == 0            ? SEEN_BODY
           : ap_cstr_casecmp(word, "tcp") == 0       ? SEEN_TCP
           : ap_cstr_casecmp(word, "mandatory") == 0 ? SEEN_MANDATORY
                                                     : 0;
}

static const char *set_word(apr_pool_t *p, char *word, abl_check_conf_t *check, unsigned *seen)
{
    unsigned bit = bit_of(word);

    if (bit == 0) {
        return abl_words_set(p, &check_words, word, check, seen);
    }
    if (*seen & bit) {
        return ABL_CONFIG_ERROR(p, "ABL0295", "BalancerHealthCheck: %s is given twice",
                                bit == SEEN_BODY ? "body~" : word);
    }
    *seen |= bit;
    check->mandatory = check->mandatory || bit == SEEN_MANDATORY;
    return bit == SEEN_BODY ? set_body(p, check, word + 5) : NULL;
}

static void set_defaults(abl_check_conf_t *check)
{
    *check = (abl_check_conf_t){
        .interval = 5 * ABL_SECOND, .timeout = 2 * ABL_SECOND, .rise = 2, .fall = 3, .jitter = 10};
    (void)set_expect(check, NULL, "200-399");
}

const char *abl_check_keys_parse(apr_pool_t *p, const char *args, abl_check_conf_t *check, unsigned *seen)
{
    const char *error = NULL;

    if (!(*seen & SEEN_ANY)) {
        set_defaults(check);
    }
    *seen |= SEEN_ANY;
    if (*args == '\0') {
        return abl_words_parse(p, &check_words, args, check, seen); /* says what belongs there */
    }
    while (error == NULL && *args != '\0') {
        error = set_word(p, ap_getword_conf(p, &args), check, seen);
    }
    return error;
}

/* ---- together --------------------------------------------------------------------------------------- */

static bool has_member(const abl_balancer_t *balancer)
{
    int i;

    for (i = 0; i < balancer->nmembers && balancer->members[i].supervised; i++) {
    }
    return i < balancer->nmembers;
}

const char *abl_check_keys_finish(apr_pool_t *p, const abl_section_t *section)
{
    const abl_check_conf_t *check = &section->check;
    unsigned seen = section->check_seen;

    if ((check->uri != NULL) == ((seen & SEEN_TCP) != 0)) {
        return ABL_CONFIG_ERROR(
            p, "ABL0296",
            "BalancerHealthCheck in <Balancer %s>: one of uri=PATH (what is asked for) and "
            "tcp (accepting connections is enough) is needed, not both",
            section->balancer.name);
    }
    if (check->uri == NULL && (check->host != NULL || check->body != NULL || (seen & (1u << 2)))) {
        return ABL_CONFIG_ERROR(p, "ABL0297",
                                "BalancerHealthCheck in <Balancer %s>: with tcp nothing is asked, so host=, "
                                "expect= and body~ mean nothing; leave them out, or write uri=",
                                section->balancer.name);
    }
    if (!has_member(&section->balancer)) {
        return ABL_CONFIG_ERROR(p, "ABL0298",
                                "BalancerHealthCheck in <Balancer %s>: there is no BalancerMember to check; "
                                "instances of a BalancerApp are asked by its ready-uri=, and watched",
                                section->balancer.name);
    }
    return NULL;
}
