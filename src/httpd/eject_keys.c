/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerEject.
 */
#include "httpd/eject_keys.h"

#include "base/units.h"
#include "httpd/words.h"

#include "apr_strings.h"

#define SEEN_OFF 0x80000000u
#define OVER_MAX (3600 * ABL_SECOND)

static const char *read_percent(const char *value, apr_uint32_t *percent)
{
    return abl_units_percent(value, 1, percent) == NULL
               ? NULL
               : "expected a percentage from 1% to 100%, such as 50%";
}

static const char *read_time(const char *value, int64_t most, int64_t *time)
{
    const char *error = abl_units_time(value, time);

    if (error == NULL && (*time < 100 * ABL_MS || *time > most)) {
        error = "expected a time from 100ms to 1h, such as 10s";
    }
    return error;
}

static const char *set_failures(void *conf, apr_pool_t *p, const char *value)
{
    int64_t n;

    (void)p;
    if (abl_units_number(value, 1, 1000, &n) != NULL) {
        return "expected a whole number from 1 to 1000; BalancerEject off ejects nobody";
    }
    ((abl_eject_conf_t *)conf)->failures = (apr_uint32_t)n;
    return NULL;
}

static const char *set_rate(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_percent(value, &((abl_eject_conf_t *)conf)->rate);
}

static const char *set_max_share(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_percent(value, &((abl_eject_conf_t *)conf)->max_share);
}

static const char *set_over(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_time(value, OVER_MAX, &((abl_eject_conf_t *)conf)->over);
}

static const char *set_for(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_time(value, OVER_MAX, &((abl_eject_conf_t *)conf)->duration);
}

static const abl_word_t words[] = {{"failures", set_failures},   {"rate", set_rate},
                                   {"over", set_over},           {"for", set_for},
                                   {"max-share", set_max_share}, {NULL, NULL}};

static const abl_words_t eject_words = {.directive = "BalancerEject",
                                        .keys = "failures=, rate=, over=, for=, max-share=; or off alone",
                                        .none_id = "ABL0260",
                                        .unknown_id = "ABL0261",
                                        .twice_id = "ABL0262",
                                        .bad_id = "ABL0263",
                                        .words = words};

const char *abl_eject_keys_parse(apr_pool_t *p, const char *args, abl_eject_conf_t *eject, unsigned *seen)
{
    const char *rest = args;
    const char *word = ap_getword_conf(p, &rest);
    bool is_off = ap_cstr_casecmp(word, "off") == 0;

    if ((is_off && (*rest != '\0' || *seen != 0)) || (*seen & SEEN_OFF)) {
        return ABL_CONFIG_ERROR(p, "ABL0264", "BalancerEject %s: off stands alone: with it nobody is ejected",
                                args);
    }
    if (is_off) {
        *seen = SEEN_OFF;
        eject->off = true;
        return NULL;
    }
    return abl_words_parse(p, &eject_words, args, eject, seen);
}
