/* SPDX-License-Identifier: Apache-2.0
 *
 * The idle connections that one httpd child keeps to one member, newest first. The sweeper closes them when
 * their time is over, even if no request ever comes again: an idle connection can occupy a server that
 * handles one connection at a time.
 *
 * Any thread of the child may call. Nothing here belongs to an APR pool, because a child may be told to exit
 * while the sweeper runs.
 */
#ifndef ABL_ENGINE_POOL_H
#define ABL_ENGINE_POOL_H

#include "engine/conn.h"

typedef struct abl_pool_t abl_pool_t;

/* Makes the empty pool of a member and registers it with the sweeper. The member's keepalive must be on.
 * NULL: no memory. Child, at its start. */
abl_pool_t *abl_pool_create(const abl_member_t *member);

/* Takes the connection that was used last, if one is fit; those that are not are closed on the way.
 * NULL: none. The caller owns the result. `now`: abl_clock_now(). */
abl_conn_t *abl_pool_take(abl_pool_t *pool, int64_t now);

/* Gives a connection with nothing unread to the pool, which owns it from here on (*conn becomes NULL), or
 * closes it when the pool is full or the connection old. */
void abl_pool_put(abl_pool_t *pool, abl_conn_t **conn, int64_t now);

/* Closes every connection that has been idle or open for too long. Returns when to look again (on
 * abl_clock_now()'s scale), INT64_MAX when nothing is left to look at. */
int64_t abl_pool_sweep(abl_pool_t *pool, int64_t now);

/* Idle connections now, for status and tests. */
int abl_pool_idle(abl_pool_t *pool);

#endif
