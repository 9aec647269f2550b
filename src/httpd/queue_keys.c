/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerQueue.
 */
#include "httpd/queue_keys.h"

#include "base/units.h"
#include "httpd/words.h"

#define QUEUE_MAX 100000

static const char *read_count(const char *value, apr_uint32_t *count)
{
    int64_t n;

    if (abl_units_number(value, 0, QUEUE_MAX, &n) != NULL) {
        return "expected a whole number from 0 to 100000";
    }
    *count = (apr_uint32_t)n;
    return NULL;
}

static const char *set_length(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_count(value, &((abl_queue_conf_t *)conf)->length);
}

static const char *set_per_client(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_count(value, &((abl_queue_conf_t *)conf)->per_client);
}

static const char *set_timeout(void *conf, apr_pool_t *p, const char *value)
{
    abl_queue_conf_t *queue = conf;
    const char *error = abl_units_time(value, &queue->timeout);

    (void)p;
    return error == NULL && queue->timeout == 0
               ? "expected a time over 0, such as 500ms or 30s; length=0 is a queue in which nobody waits"
               : error;
}

static const abl_word_t words[] = {
    {"length", set_length}, {"timeout", set_timeout}, {"per-client", set_per_client}, {NULL, NULL}};

static const abl_words_t queue_words = {.directive = "BalancerQueue",
                                        .keys = "length=, timeout=, per-client=",
                                        .none_id = "ABL0159",
                                        .unknown_id = "ABL0183",
                                        .twice_id = "ABL0184",
                                        .bad_id = "ABL0185",
                                        .words = words};

const char *abl_queue_keys_parse(apr_pool_t *p, const char *args, abl_queue_conf_t *queue, unsigned *seen)
{
    return abl_words_parse(p, &queue_words, args, queue, seen);
}
