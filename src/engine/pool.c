/* SPDX-License-Identifier: Apache-2.0
 *
 * Idle connections of one child to one member.
 */
#include "engine/pool.h"

#include "base/clock.h"
#include "engine/sweeper.h"

#include <pthread.h>
#include <stdlib.h>

struct abl_pool_t {
    pthread_mutex_t lock; /* protects newest and idle */
    /* Copies: the sweeper may still run while exit() destroys the memory of the configuration. */
    int idle_max;
    int64_t idle_timeout;
    int64_t max_age;
    abl_conn_t *newest; /* the others behind it, by age of idleness */
    int idle;
};

static int64_t sweep(void *pool, int64_t now)
{
    return abl_pool_sweep(pool, now);
}

abl_pool_t *abl_pool_create(const abl_member_t *member)
{
    abl_pool_t *pool = calloc(1, sizeof(*pool));

    if (pool == NULL) {
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pool->idle_max = member->idle_max;
    pool->idle_timeout = member->idle_timeout;
    pool->max_age = member->max_age;
    if (abl_sweeper_add(sweep, pool) != APR_SUCCESS) {
        free(pool);
        return NULL;
    }
    return pool;
}

/* When this idle connection has to go. */
static int64_t expiry(const abl_pool_t *pool, const abl_conn_t *conn)
{
    int64_t by_idleness = conn->idle_since + pool->idle_timeout;
    int64_t by_age = conn->born + pool->max_age;

    return by_idleness < by_age ? by_idleness : by_age;
}

static abl_conn_t *pop(abl_pool_t *pool)
{
    abl_conn_t *conn;

    pthread_mutex_lock(&pool->lock);
    conn = pool->newest;
    if (conn != NULL) {
        pool->newest = conn->next;
        pool->idle--;
    }
    pthread_mutex_unlock(&pool->lock);
    return conn;
}

abl_conn_t *abl_pool_take(abl_pool_t *pool, int64_t now)
{
    abl_conn_t *conn;

    while ((conn = pop(pool)) != NULL) {
        if (now < expiry(pool, conn) && abl_conn_fit(conn, now)) {
            conn->next = NULL;
            conn->start = conn->end = 0;
            conn->bytes = 0;
            return conn;
        }
        abl_conn_close(&conn);
    }
    return NULL;
}

void abl_pool_put(abl_pool_t *pool, abl_conn_t **conn, int64_t now)
{
    bool kept = false;

    abl_conn_rest(*conn);
    (*conn)->idle_since = now;
    (*conn)->reused = true;
    int64_t until = expiry(pool, *conn);
    if (now < until) {
        pthread_mutex_lock(&pool->lock);
        kept = pool->idle < pool->idle_max;
        if (kept) {
            (*conn)->next = pool->newest;
            pool->newest = *conn;
            pool->idle++;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    if (kept) {
        *conn = NULL;
        abl_sweeper_wake(until);
    } else {
        abl_conn_close(conn);
    }
}

/* Unlinks what has expired; returns it as a list. */
static abl_conn_t *unlink_expired_locked(abl_pool_t *pool, int64_t now, int64_t *next)
{
    abl_conn_t *expired = NULL;
    abl_conn_t **link = &pool->newest;

    *next = INT64_MAX;
    while (*link != NULL) {
        abl_conn_t *conn = *link;
        int64_t until = expiry(pool, conn);
        if (until <= now) {
            *link = conn->next;
            conn->next = expired;
            expired = conn;
            pool->idle--;
        } else {
            *next = until < *next ? until : *next;
            link = &conn->next;
        }
    }
    return expired;
}

int64_t abl_pool_sweep(abl_pool_t *pool, int64_t now)
{
    abl_conn_t *expired;
    int64_t next;

    pthread_mutex_lock(&pool->lock);
    expired = unlink_expired_locked(pool, now, &next);
    pthread_mutex_unlock(&pool->lock);
    while (expired != NULL) {
        abl_conn_t *conn = expired;
        expired = conn->next;
        abl_conn_close(&conn);
    }
    return next;
}

int abl_pool_idle(abl_pool_t *pool)
{
    int idle;

    pthread_mutex_lock(&pool->lock);
    idle = pool->idle;
    pthread_mutex_unlock(&pool->lock);
    return idle;
}
