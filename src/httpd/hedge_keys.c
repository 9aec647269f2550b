/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerHedge.
 */
#include "httpd/hedge_keys.h"

#include "base/units.h"
#include "httpd/words.h"

#include "apr_strings.h"

#define OFF (1u << 31) /* of `seen`, beside the words' own bits */
#define PERCENTILE 95  /* the defaults */
#define BUDGET 5
#define AFTER_MAX (60 * ABL_SECOND)

static const char *set_after(void *conf, apr_pool_t *p, const char *value)
{
    abl_hedge_conf_t *hedge = conf;
    int64_t n;

    (void)p;
    if (*value == 'p' && abl_units_number(value + 1, 1, 99, &n) == NULL) {
        hedge->percentile = (apr_uint32_t)n;
        hedge->after = 0;
        return NULL;
    }
    if (abl_units_time(value, &n) == NULL && n >= ABL_MS && n <= AFTER_MAX) {
        hedge->percentile = 0;
        hedge->after = n;
        return NULL;
    }
    return "expected a percentile of how long answers take, from p1 to p99, or a time from 1ms to 60s";
}

static const char *set_budget(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return abl_units_percent(value, 1, &((abl_hedge_conf_t *)conf)->percent) == NULL
               ? NULL
               : "expected a share of the requests from 1% to 100%, such as 5%; BalancerHedge off is none";
}

static const char *set_limited(void *conf, apr_pool_t *p, const char *value)
{
    bool on = ap_cstr_casecmp(value, "on") == 0;

    (void)p;
    ((abl_hedge_conf_t *)conf)->limited = on;
    return on || ap_cstr_casecmp(value, "off") == 0 ? NULL : "expected on or off";
}

static const abl_word_t words[] = {
    {"after", set_after}, {"budget", set_budget}, {"limited", set_limited}, {NULL, NULL}};

static const abl_words_t hedge_words = {.directive = "BalancerHedge",
                                        .keys = "off, after=, budget=, limited=",
                                        .none_id = "ABL0285",
                                        .unknown_id = "ABL0286",
                                        .twice_id = "ABL0287",
                                        .bad_id = "ABL0288",
                                        .words = words};

const char *abl_hedge_keys_parse(apr_pool_t *p, const char *args, abl_hedge_conf_t *hedge, unsigned *seen)
{
    const char *rest = args;
    bool off = ap_cstr_casecmp(ap_getword_conf(p, &rest), "off") == 0;
    bool is_beside = off ? *rest != '\0' || *seen != 0 : (*seen & OFF) != 0;

    if (is_beside) {
        return ABL_CONFIG_ERROR(p, "ABL0289",
                                "BalancerHedge %s: off stands alone, without another word or another "
                                "BalancerHedge",
                                args);
    }
    if (off) {
        *seen = OFF;
        return NULL;
    }
    if (*seen == 0) {
        hedge->percentile = PERCENTILE;
        hedge->percent = BUDGET;
    }
    return abl_words_parse(p, &hedge_words, args, hedge, seen);
}
