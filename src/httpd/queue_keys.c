/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerQueue.
 */
#include "httpd/queue_keys.h"

#include "base/units.h"

#include "apr_strings.h"

#define QUEUE_MAX 100000

#define KEYS "length=, timeout=, per-client="

static const char *read_count(const char *value, apr_uint32_t *count)
{
    int64_t n;

    if (abl_units_number(value, 0, QUEUE_MAX, &n) != NULL) {
        return "expected a whole number from 0 to 100000";
    }
    *count = (apr_uint32_t)n;
    return NULL;
}

static const char *set_length(abl_queue_conf_t *queue, const char *value)
{
    return read_count(value, &queue->length);
}

static const char *set_per_client(abl_queue_conf_t *queue, const char *value)
{
    return read_count(value, &queue->per_client);
}

static const char *set_timeout(abl_queue_conf_t *queue, const char *value)
{
    const char *error = abl_units_time(value, &queue->timeout);

    return error == NULL && queue->timeout == 0
               ? "expected a time over 0, such as 500ms or 30s; length=0 is a queue in which nobody waits"
               : error;
}

static const struct {
    const char *key;
    const char *(*set)(abl_queue_conf_t *queue, const char *value);
} keys[] = {{"length", set_length}, {"timeout", set_timeout}, {"per-client", set_per_client}};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static const char *set_key(apr_pool_t *p, char *word, abl_queue_conf_t *queue, unsigned *seen)
{
    char *value = strchr(word, '=');
    const char *error;
    apr_size_t i = 0;

    if (value != NULL) {
        *value++ = '\0';
    }
    while (i < NKEYS && ap_cstr_casecmp(word, keys[i].key) != 0) {
        i++;
    }
    if (value == NULL || i == NKEYS) {
        return ABL_CONFIG_ERROR(p, "ABL0183", "BalancerQueue: '%s' is not one of " KEYS, word);
    }
    if (*seen & 1u << i) {
        return ABL_CONFIG_ERROR(p, "ABL0184", "BalancerQueue: %s= is given twice", word);
    }
    *seen |= 1u << i;
    error = keys[i].set(queue, value);
    return error == NULL ? NULL
                         : ABL_CONFIG_ERROR(p, "ABL0185", "BalancerQueue %s=%s: %s", word, value, error);
}

const char *abl_queue_keys_parse(apr_pool_t *p, const char *args, abl_queue_conf_t *queue, unsigned *seen)
{
    const char *error = NULL;

    if (*args == '\0') {
        return ABL_CONFIG_ERROR(p, "ABL0159", "BalancerQueue takes at least one of " KEYS);
    }
    while (error == NULL && *args != '\0') {
        error = set_key(p, ap_getword_conf(p, &args), queue, seen);
    }
    return error;
}
