/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread per child that calls back when a moment has come, and sleeps without a wake-up until then.
 */
#ifndef ABL_ENGINE_SWEEPER_H
#define ABL_ENGINE_SWEEPER_H

#include <apr_errno.h>
#include <stdint.h>

/* Called by the sweeper's thread. Returns when to be called again; INT64_MAX: only when
 * abl_sweeper_wake() asks for it. `now` and the result: abl_clock_now()'s scale. */
typedef int64_t abl_sweep_fn_t(void *ctx, int64_t now);

/* Registers a call. Only before abl_sweeper_start(). */
apr_status_t abl_sweeper_add(abl_sweep_fn_t *sweep, void *ctx);

/* Starts the thread of this process, if anything was registered. It blocks all signals, is never joined and
 * uses nothing that exit() tears down; the object code is pinned so that exit() cannot unmap it either. */
apr_status_t abl_sweeper_start(void);

/* Makes sure that the sweeper looks no later than `at`. Any thread; cheap when it will anyway. */
void abl_sweeper_wake(int64_t at);

#endif
