/* SPDX-License-Identifier: Apache-2.0
 *
 * A second try beside the first: when, and how two exchanges are waited for as one. What becomes of the two
 * is exchange.c's business.
 *
 * The second try, the **rival**, is an exchange of its own with a lease of its own. It stops when the head of
 * an answer is there (x->unwanted), so that nothing of it is passed on before it has won. Both belong to the
 * owner of the first.
 */
#ifndef ABL_ENGINE_HEDGE_H
#define ABL_ENGINE_HEDGE_H

#include "engine/transfer.h"

/* When a second try may begin, abl_clock_now()'s scale; INT64_MAX: never. `x` waits for an answer. */
int64_t abl_hedge_due(const abl_exchange_t *x);

/* Makes the rival that goes to `member`, whose lease is taken: x->rival. The caller gives it its first step.
 */
void abl_hedge_begin(abl_exchange_t *x, int member);

/* Makes x->wait stand for what both wait for. Whose descriptor was x->wait.fd is told by x->conn. */
void abl_hedge_wait(abl_exchange_t *x);

/* Makes x->wait stand for x alone again, after its transfer has said what it waits for. */
void abl_hedge_unwait(abl_exchange_t *x);

/* What has happened since: to x, and to its rival; as abl_exchange_run()'s `ready`. */
void abl_hedge_look(abl_exchange_t *x, unsigned *own, unsigned *rivals);

/* The rival takes the place of `x`, which has given back all that it held, and whose rival is none then. */
void abl_hedge_win(abl_exchange_t *x);

/* Has the rival an answer that is as good as any? It has one. */
bool abl_hedge_is_good(const abl_exchange_t *rival);

#endif
