/* SPDX-License-Identifier: Apache-2.0
 *
 * The inline driver: the thread that owns an exchange polls its descriptors until the exchange has ended.
 */
#ifndef ABL_ENGINE_INLINE_H
#define ABL_ENGINE_INLINE_H

#include "engine/exchange.h"

/* How long a member may be silent before the driver begins to watch whether the client is still there. A fast
 * answer does not pay for that. */
#define ABL_INLINE_WATCH_AFTER (20 * ABL_MS)

/* Runs the exchange to its end. `client_fd`: the client's socket, or -1 where it cannot be polled; then
 * read_body must block instead of saying APR_EAGAIN. `before_wait` is called with `ctx` before every wait, so
 * that what was handed on so far can be flushed; an error from it means that the client is gone. */
void abl_inline_run(abl_exchange_t *x, int client_fd, apr_status_t (*before_wait)(void *ctx), void *ctx);

#endif
