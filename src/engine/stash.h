/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer that is kept until somebody has time for it, or the client takes more: it takes the exchange's
 * events, and plays them back later in the same order. So the member's side of a request needs neither a
 * worker nor the client.
 *
 * A stash belongs to whoever owns the exchange.
 */
#ifndef ABL_ENGINE_STASH_H
#define ABL_ENGINE_STASH_H

#include "engine/exchange_types.h"
#include "engine/spool.h"

#define ABL_STASH_PIECE ABL_SPOOL_BLOCK /* the most that is played back at once */

typedef struct abl_stash_head_t abl_stash_head_t;

typedef struct abl_stash_t {
    apr_pool_t *pool;                /* for heads */
    const abl_exchange_events_t *to; /* whom it is played back to */
    void *ctx;                       /* theirs */
    abl_spool_t body;                /* the owner sets its limits */
    abl_stash_head_t *first, **last; /* heads that come before the body, in their order */
    abl_stash_head_t *trailers;
    bool upgrades;    /* one of these heads changes the protocol */
    bool finished;    /* the answer is complete */
    bool on_worker;   /* the owner's: this thread may read the request's body */
    bool wants_body;  /* the exchange has asked for it on a thread that may not, or too early */
    apr_status_t why; /* the body could not be kept, or not be read back, which is not the client's fault;
                       * what there was of it is lost. APR_SUCCESS: it could */
} abl_stash_t;

/* Prepares; the owner sets the body's limits afterwards. */
void abl_stash_init(abl_stash_t *stash, apr_pool_t *pool, const abl_exchange_events_t *to, void *ctx);

/* The events that fill a stash; their ctx is the stash. read_body, body_trailers and on_retry are passed on
 * at once; read_body on a worker only: elsewhere it says APR_EAGAIN and sets wants_body, which the owner
 * takes back. After an upgrade it says so, too, until that has been played back, which sets wants_body. */
extern const abl_exchange_events_t abl_stash_events;

/* Is there nothing to play back? */
bool abl_stash_is_empty(const abl_stash_t *stash);

/* Plays back one step: all heads that wait, or a piece of the body and on_pass, or the end. What an event
 * says about the client is returned; also why the body cannot be read back, and then `why` is set. */
apr_status_t abl_stash_play(abl_stash_t *stash);

/* Frees what is not in the pool. */
void abl_stash_clear(abl_stash_t *stash);

#endif
