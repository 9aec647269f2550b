/* SPDX-License-Identifier: Apache-2.0
 *
 * Tickets and the lists they are in. All of it inside the lock.
 *
 *     free ──► waiting ──────────────► granted ──► free
 *               │ in one queue, and      │ or refused; in its seat's mail until its owner is told
 *               │ in its client's chain  │
 *               └────────────────────────┴──► free, when its owner leaves or dies
 *
 * A ticket that may take any member is in its balancer's queue, one that waits for a certain member in that
 * member's. Both are in the order of `place`.
 */
#ifndef ABL_LEDGER_QUEUE_H
#define ABL_LEDGER_QUEUE_H

#include "ledger/layout.h"

/* A free ticket, not yet anybody's: the caller fills it in and sets `seat` last. 0: there is none. */
uint32_t abl_queue_ticket(abl_segment_t *segment);

/* Puts it among the free. It must be in no list. */
void abl_queue_free(abl_segment_t *segment, uint32_t ticket);

/* Puts a waiting ticket where its place says. `after`: a ticket of the same queue that is known to be older,
 * to save looking; 0: none is. */
void abl_queue_insert(abl_segment_t *segment, uint32_t ticket, uint32_t after);

/* Takes a waiting ticket out of its queue. */
void abl_queue_remove(abl_segment_t *segment, uint32_t ticket);

/* How many tickets of this balancer a client has waiting, counted no further than `most`. */
uint32_t abl_queue_of_client(const abl_segment_t *segment, uint32_t balancer, uint64_t client, uint32_t most);

/* How long the oldest ticket in any of a balancer's queues has waited, µs; 0: nobody waits. */
int64_t abl_queue_head_age(const abl_segment_t *segment, uint32_t balancer);

/* Puts a ticket that no longer waits into its seat's mail, or takes it out if it is there. */
void abl_queue_mail(abl_segment_t *segment, uint32_t ticket);
void abl_queue_unmail(abl_segment_t *segment, uint32_t ticket);

/* Adds at the end, whatever the place. For rebuilding. */
void abl_queue_append(abl_segment_t *segment, uint32_t ticket);

#endif
