/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerTimeout, which stands inside and outside <Balancer>.
 */
#include "httpd/timeouts.h"

#include "base/units.h"

#include "apr_strings.h"

#include <stddef.h>

static const struct {
    const char *key;
    apr_size_t offset;
} fields[] = {
    {"connect", offsetof(abl_timeouts_t, connect)},
    {"response", offsetof(abl_timeouts_t, response)},
    {"gap", offsetof(abl_timeouts_t, gap)},
    {"tunnel", offsetof(abl_timeouts_t, tunnel)},
};

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static apr_size_t find_field(const char *key)
{
    apr_size_t i = 0;

    while (i < NFIELDS && ap_cstr_casecmp(key, fields[i].key) != 0) {
        i++;
    }
    return i;
}

static const char *set_timeout(apr_pool_t *p, abl_timeouts_t *timeouts, char *word)
{
    char *value = strchr(word, '=');
    int64_t *field;
    apr_size_t i;
    const char *error;

    if (value != NULL) {
        *value++ = '\0';
    }
    i = find_field(word);
    if (value == NULL || i == NFIELDS) {
        return ABL_CONFIG_ERROR(
            p, "ABL0150", "BalancerTimeout: '%s' is not one of connect=, response=, gap=, tunnel=", word);
    }
    field = (int64_t *)(void *)((char *)timeouts + fields[i].offset);
    if (*field != ABL_UNSET) { /* in this line, or in one before it */
        return ABL_CONFIG_ERROR(p, "ABL0151", "BalancerTimeout: %s= is given twice", word);
    }
    error = abl_units_time(value, field);
    if (error == NULL && *field == 0) {
        error = "expected a time over 0, such as 500ms or 30s";
    }
    return error == NULL ? NULL
                         : ABL_CONFIG_ERROR(p, "ABL0152", "BalancerTimeout %s=%s: %s", word, value, error);
}

const char *abl_timeouts_parse(apr_pool_t *p, const char *args, abl_timeouts_t *timeouts)
{
    const char *error = NULL;

    if (*args == '\0') {
        return ABL_CONFIG_ERROR(p, "ABL0153",
                                "BalancerTimeout takes at least one of connect=, response=, gap=, tunnel=");
    }
    while (error == NULL && *args != '\0') {
        error = set_timeout(p, timeouts, ap_getword_conf(p, &args));
    }
    return error;
}
