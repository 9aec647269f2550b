/* SPDX-License-Identifier: Apache-2.0
 *
 * One request's trip to a member and back, retries included.
 *
 * The engine never waits and never blocks. A driver calls abl_exchange_run(); when that says that the
 * exchange waits, the driver waits for what abl_exchange_wait() names, in whatever way it likes, and calls
 * run again with what has happened. At any moment exactly one thread owns an exchange: only the owner may
 * call any of these functions, and every event is called on it, inside run. Nothing is locked, because
 * nothing is shared.
 */
#ifndef ABL_ENGINE_EXCHANGE_H
#define ABL_ENGINE_EXCHANGE_H

#include "engine/exchange_types.h"

typedef struct abl_exchange_t abl_exchange_t;

/* Prepares an exchange. `timeouts` and everything else stays the caller's; `client_timeout` (µs) bounds a
 * silence of the client while its body is awaited. Memory from `pool`. */
abl_exchange_t *abl_exchange_make(apr_pool_t *pool, const abl_balancer_t *balancer,
                                  const abl_timeouts_t *timeouts, int64_t client_timeout,
                                  const abl_request_t *request, const abl_exchange_events_t *events,
                                  void *ctx);

/* From now on the answer's events go elsewhere. What the old ones were given and asked to hold until on_pass
 * is passed on to them first. Between two runs only. False: the client is gone, and the exchange has ended.
 */
bool abl_exchange_redirect(abl_exchange_t *x, const abl_exchange_events_t *events, void *ctx);

/* Goes on as far as possible without waiting. `ready`: what has happened since the last call, 0 the first
 * time. True: it waits, see abl_exchange_wait(). False: it has ended, see abl_exchange_end(). */
bool abl_exchange_run(abl_exchange_t *x, unsigned ready);

/* What it waits for, after run said true. Valid until the next run. */
const abl_wait_t *abl_exchange_wait(const abl_exchange_t *x);

/* How long the member took lately until the first byte of an answer, µs, if that is what is waited for; else
 * 0.
 */
int64_t abl_exchange_expects(const abl_exchange_t *x);

/* How it ended; *member: index of the last member tried or -1, *why: text that lives as long as the
 * exchange's pool, or NULL, *rv: a reason or APR_SUCCESS. The pointers may be NULL. */
abl_end_t abl_exchange_end(const abl_exchange_t *x, int *member, const char **why, apr_status_t *rv);

/* What it has met on its way so far. */
void abl_exchange_facts(const abl_exchange_t *x, abl_facts_t *facts);

/* Gives back whatever the exchange still holds: its lease, its connection, and with that the memory of bytes
 * that on_data has brought and nobody has passed on. Must be called once, always. */
void abl_exchange_close(abl_exchange_t *x);

#endif
