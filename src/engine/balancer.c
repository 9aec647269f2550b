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
    if (balancer->pools == NULL) {
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

apr_status_t abl_balancer_start(abl_balancer_t *balancer)
{
    apr_uint32_t weights[ABL_MEMBERS_MAX];
    int i;

    for (i = 0; i < balancer->nmembers; i++) {
        weights[i] = balancer->members[i].weight;
    }
    balancer->ledger = abl_ledger_create(balancer->method, weights, balancer->nmembers);
    if (balancer->ledger == NULL) {
        return APR_ENOMEM;
    }
    return make_pools(balancer);
}
