/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges that nobody waits for any more, at members whose concurrency is limited: the answer is read and
 * thrown away, and the lease is given back when the member has answered or closed. However long it takes
 * until the answer begins: a place that is still taken must not look free. An answer that has begun is read
 * on for a few seconds only, or an endless one would be read for ever.
 */
#ifndef ABL_ENGINE_ORPHANS_H
#define ABL_ENGINE_ORPHANS_H

#include "engine/transfer.h"

/* Child, at its start, before abl_sweeper_start(). */
apr_status_t abl_orphans_start(void);

/* Takes over the exchange's connection and lease: for *x there is nothing left to give back. If it cannot (no
 * memory, no thread), both are given back at once. Any thread of the child. */
void abl_orphans_adopt(abl_exchange_t *x);

/* How many there are in this child. May be called from a signal's handler. */
int abl_orphans_count(void);

/* This child is about to end: its orphans, and its seat with their leases, go to a process of their own, the
 * keeper, which ends with the last of them or with httpd's parent. So a restart neither waits for a slow
 * member nor takes it for free. Main thread of the child, when no other thread serves requests; not from a
 * signal's handler. */
void abl_orphans_move_out(abl_child_t *child);

#endif
