/* SPDX-License-Identifier: Apache-2.0
 *
 * A child's beginning, and what it has of each balancer.
 */
#include "ledger/watch.h"

#include <stdlib.h>
#include <string.h>

apr_status_t abl_segment_join(abl_segment_t *segment, abl_child_t **child)
{
    abl_child_t *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return APR_ENOMEM;
    }
    c->segment = segment;
    c->fds = calloc(ABL_LEDGER_TICKETS + 1, sizeof(int)); /* touched only where it is used */
    if (c->fds == NULL) {
        free(c);
        return APR_ENOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    if (!abl_seats_take(c)) {
        return APR_ENOSPC;
    }
    *child = c;
    return abl_watch_start(c);
}

size_t abl_ledger_size(int n)
{
    return sizeof(abl_ledger_t) + (size_t)n * (sizeof(abl_home_t) + sizeof(uint32_t));
}

void abl_ledger_lay_out(abl_ledger_t *ledger)
{
    ledger->homes = (abl_home_t *)(ledger + 1);
    ledger->row_of = (uint32_t *)(ledger->homes + ledger->n);
}

abl_ledger_t *abl_ledger_join(const abl_ledger_t *ledger, abl_child_t *child)
{
    abl_ledger_t *copy = malloc(abl_ledger_size(ledger->n));

    if (copy != NULL) {
        memcpy(copy, ledger, abl_ledger_size(ledger->n));
        abl_ledger_lay_out(copy);
        copy->child = child;
    }
    return copy;
}
