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

/* What was handed on but may still be held back is flushed only after the member has been silent for so long:
 * an answer that comes in several pieces shortly after each other goes out in one. */
#define ABL_INLINE_FLUSH_AFTER (1 * ABL_MS)

/* The longest single wait. In between the driver looks whether httpd is ending the process: it closes the
 * client's descriptor then, and that wakes no poll that is already under way. */
#define ABL_INLINE_SLICE (1 * ABL_SECOND)

/* The same where nothing that could be polled tells that the client has left. Six microseconds of CPU time
 * each. */
#define ABL_INLINE_SLICE_UNTOLD (200 * ABL_MS)

/* The client's side of an exchange, as far as waiting is concerned. */
typedef struct abl_inline_client_t {
    int fd;      /* to be polled; -1: it cannot be, and read_body blocks instead of saying APR_EAGAIN */
    bool untold; /* `fd` does not tell when it leaves: an HTTP/2 stream that is reset just becomes aborted */
    bool (*unflushed)(void *ctx);
    apr_status_t (*flush)(void *ctx); /* an error: the client is gone */
    bool (*aborted)(void *ctx);       /* httpd has given the client's connection up */
    void *ctx;
} abl_inline_client_t;

/* Waits for what `wait` names, and when `writing` also until the client takes more, but not longer than
 * `until` (abl_clock_now()'s scale). What has happened; 0: nothing, until then. */
unsigned abl_inline_wait(const abl_wait_t *wait, const abl_inline_client_t *client, bool writing,
                         int64_t until);

/* Runs the exchange to its end. The thread that calls owns the exchange and its events' context. */
void abl_inline_run(abl_exchange_t *x, const abl_inline_client_t *client);

#endif
