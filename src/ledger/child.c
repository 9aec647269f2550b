/* SPDX-License-Identifier: Apache-2.0
 *
 * A child's beginning.
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

abl_ledger_t *abl_ledger_join(const abl_ledger_t *ledger, abl_child_t *child)
{
    abl_ledger_t *copy = malloc(sizeof(*copy));

    if (copy != NULL) {
        memcpy(copy, ledger, sizeof(*copy));
        copy->child = child;
    }
    return copy;
}
