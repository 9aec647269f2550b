/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that each child has for the ledger.
 */
#ifndef ABL_LEDGER_WATCH_H
#define ABL_LEDGER_WATCH_H

#include "ledger/seats.h"

/* Starts it. It never ends, and keeps the module's code in memory. Child, once. */
apr_status_t abl_watch_start(abl_child_t *child);

#endif
