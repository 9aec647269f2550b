/* SPDX-License-Identifier: Apache-2.0
 *
 * What a balancer needs in each child.
 */
#include "engine/balancer.h"

#include <stdlib.h>

static apr_status_t make_pools(abl_balancer_t *balancer)
{
    int i;

    balancer->pools = calloc((size_t)balancer->nmembers, sizeof(abl_pool_t *));
    balancer->first_bytes = calloc((size_t)balancer->nmembers, sizeof(*balancer->first_bytes));
    balancer->connecting = calloc((size_t)balancer->nmembers, sizeof(*balancer->connecting));
    if (balancer->connecting == NULL || balancer->pools == NULL || balancer->first_bytes == NULL) {
        return APR_ENOMEM;
    }
    for (i = 0; i < balancer->nmembers; i++) {
        if (!balancer->members[i].keepalive) {
            continue;
        }
        balancer->pools[i] = abl_pool_create(&balancer->members[i]);
        if (balancer->pools[i] == NULL) {
            return APR_ENOMEM;
        }
    }
    return APR_SUCCESS;
}

static abl_ledger_conf_t conf_of(const abl_balancer_t *balancer, apr_pool_t *pool)
{
    abl_member_conf_t *members = apr_palloc(pool, (apr_size_t)balancer->nmembers * sizeof(*members));
    int i;

    for (i = 0; i < balancer->nmembers; i++) {
        const abl_member_t *m = &balancer->members[i];
        members[i] = (abl_member_conf_t){.address = m->url.text,
                                         .route = m->route,
                                         .weight = m->weight,
                                         .concurrency = m->concurrency,
                                         .status = m->status,
                                         .set = m->set,
                                         .supervised = m->supervised,
                                         .slow_start = m->slow_start,
                                         .naming = m->naming};
    }
    return (abl_ledger_conf_t){.name = balancer->name,
                               .method = balancer->method,
                               .queue_length = balancer->queue.length,
                               .per_client = balancer->queue.per_client,
                               .outage_wait = balancer->queue.timeout,
                               .eject = balancer->eject,
                               .checked = balancer->checked,
                               .mandatory = balancer->mandatory,
                               .members = members,
                               .nmembers = balancer->nmembers,
                               .retry_percent = balancer->retry.percent,
                               .hedge = balancer->hedge};
}

static bool has_limit(const abl_balancer_t *balancer)
{
    int i;

    for (i = 0; i < balancer->nmembers && balancer->members[i].concurrency == 0; i++) {
    }
    return i < balancer->nmembers;
}

apr_status_t abl_balancers_configure(abl_segment_t *segment, abl_balancer_t *const *balancers, int n,
                                     apr_pool_t *pool, int *left_out)
{
    abl_ledger_conf_t *confs = apr_palloc(pool, (apr_size_t)n * sizeof(*confs));
    abl_ledger_t **ledgers = apr_palloc(pool, (apr_size_t)n * sizeof(abl_ledger_t *));
    apr_status_t rv;
    int i;

    for (i = 0; i < n; i++) {
        confs[i] = conf_of(balancers[i], pool);
        balancers[i]->limited = has_limit(balancers[i]);
    }
    rv = abl_segment_configure(segment, confs, n, pool, ledgers, left_out);
    for (i = 0; i < n; i++) {
        balancers[i]->ledger = ledgers[i];
    }
    return rv;
}

apr_status_t abl_balancer_start(abl_balancer_t *balancer, abl_child_t *child)
{
    balancer->ledger = abl_ledger_join(balancer->ledger, child);
    return balancer->ledger != NULL ? make_pools(balancer) : APR_ENOMEM;
}
