/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment's one lock. Only rebuild.c calls the two functions that take and release it: everybody else
 * goes in by abl_enter(), which makes the caches right first if somebody died inside.
 */
#ifndef ABL_LEDGER_LOCK_H
#define ABL_LEDGER_LOCK_H

#include "ledger/layout.h"

/* Parent, once. Returns errno's reason. */
apr_status_t abl_lock_create(abl_shared_t *shared);

/* False: this thread has it already, because its process was told to exit inside; nothing may be touched. */
bool abl_lock_take(abl_shared_t *shared);

void abl_lock_release(abl_shared_t *shared);

#endif
