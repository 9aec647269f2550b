/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerRetry.
 */
#include "httpd/retry_keys.h"

#include "base/units.h"
#include "httpd/cookie.h"
#include "httpd/words.h"

#include "apr_lib.h"
#include "apr_strings.h"

#define ATTEMPTS_MAX 10
#define OFF (1u << 31) /* of `seen`, beside the words' own bits */

/* ---- lists ------------------------------------------------------------------------------------------ */

/* The next item of a list with commas; NULL: an empty one. */
static const char *next_item(apr_pool_t *p, const char **list)
{
    const char *end = strchr(*list, ',');
    const char *item = end != NULL ? apr_pstrmemdup(p, *list, (apr_size_t)(end - *list)) : *list;

    /* After a comma something has to follow. */
    *list = end != NULL ? end + 1 : NULL;
    return *item != '\0' ? item : NULL;
}

static const struct {
    const char *word;
    unsigned on;
} events[] = {{"connect", ABL_RETRY_CONNECT}, {"reset", ABL_RETRY_RESET}, {"timeout", ABL_RETRY_TIMEOUT},
              {"500", ABL_RETRY_500},         {"502", ABL_RETRY_502},     {"503", ABL_RETRY_503},
              {"504", ABL_RETRY_504},         {"429", ABL_RETRY_429}};

static unsigned event_of(const char *word)
{
    apr_size_t i;

    for (i = 0; word != NULL && i < sizeof(events) / sizeof(events[0]); i++) {
        if (ap_cstr_casecmp(events[i].word, word) == 0) {
            return events[i].on;
        }
    }
    return 0;
}

static const char *set_on(void *conf, apr_pool_t *p, const char *value)
{
    abl_retry_conf_t *retry = conf;

    retry->on = 0;
    while (value != NULL) {
        unsigned on = event_of(next_item(p, &value));
        if (on == 0) {
            return "expected a list such as connect,reset,503, of connect, reset, timeout, 500, 502, 503, "
                   "504 "
                   "and 429; BalancerRetry off is none of them";
        }
        retry->on |= on;
    }
    return NULL;
}

/* A method is a token, and case counts: "get" is another one than GET, which no client means. */
static bool is_method(const char *word)
{
    const char *c = word;

    while (c != NULL && *c != '\0' && !apr_islower(*c)) {
        c++;
    }
    return word != NULL && *c == '\0' && abl_cookie_is_token(word);
}

static const char *set_methods(void *conf, apr_pool_t *p, const char *value)
{
    apr_array_header_t *methods = apr_array_make(p, 8, sizeof(const char *));

    while (value != NULL) {
        const char *method = next_item(p, &value);
        if (!is_method(method)) {
            return "expected a list of methods in capital letters, such as GET,HEAD,PUT; without methods= "
                   "all "
                   "that may be done twice";
        }
        APR_ARRAY_PUSH(methods, const char *) = method;
    }
    APR_ARRAY_PUSH(methods, const char *) = NULL;
    ((abl_retry_conf_t *)conf)->methods = (const char *const *)methods->elts;
    return NULL;
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

static const char *set_attempts(void *conf, apr_pool_t *p, const char *value)
{
    int64_t n;

    (void)p;
    if (abl_units_number(value, 0, ATTEMPTS_MAX, &n) != NULL) {
        return "expected a whole number from 0 to 10";
    }
    ((abl_retry_conf_t *)conf)->attempts = (int)n;
    return NULL;
}

static const char *set_time(void *conf, apr_pool_t *p, const char *value)
{
    abl_retry_conf_t *retry = conf;
    const char *error = abl_units_time(value, &retry->time);

    (void)p;
    return error == NULL && retry->time == 0
               ? "expected a time over 0, such as 500ms or 10s; BalancerRetry off is no retry at all"
               : error;
}

static const char *set_budget(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return abl_units_percent(value, 0, &((abl_retry_conf_t *)conf)->percent) == NULL
               ? NULL
               : "expected a share of the requests from 0% to 100%, such as 20%; 100% is no limit";
}

/* ---- the line --------------------------------------------------------------------------------------- */

static const char *set_respect(void *conf, apr_pool_t *p, const char *value)
{
    bool on = ap_cstr_casecmp(value, "on") == 0;

    (void)p;
    ((abl_retry_conf_t *)conf)->respect = on;
    return on || ap_cstr_casecmp(value, "off") == 0 ? NULL : "expected on or off";
}

static const abl_word_t words[] = {{"attempts", set_attempts},
                                   {"on", set_on},
                                   {"time", set_time},
                                   {"budget", set_budget},
                                   {"methods", set_methods},
                                   {"respect-retry-after", set_respect},
                                   {NULL, NULL}};

static const abl_words_t retry_words = {
    .directive = "BalancerRetry",
    .keys = "off, attempts=, on=, time=, budget=, methods=, respect-retry-after=",
    .none_id = "ABL0280",
    .unknown_id = "ABL0281",
    .twice_id = "ABL0282",
    .bad_id = "ABL0283",
    .words = words};

const char *abl_retry_keys_parse(apr_pool_t *p, const char *args, abl_retry_conf_t *retry, unsigned *seen)
{
    const char *rest = args;
    bool off = ap_cstr_casecmp(ap_getword_conf(p, &rest), "off") == 0;
    bool is_beside = off ? *rest != '\0' || *seen != 0 : (*seen & OFF) != 0;

    if (is_beside) {
        return ABL_CONFIG_ERROR(p, "ABL0284",
                                "BalancerRetry %s: off stands alone, without another word or another "
                                "BalancerRetry",
                                args);
    }
    if (off) {
        *seen = OFF;
        retry->on = 0;
        retry->attempts = 0;
        return NULL;
    }
    return abl_words_parse(p, &retry_words, args, retry, seen);
}
