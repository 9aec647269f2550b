/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads are copied into the pool, bodies into the spool.
 */
#include "engine/stash.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

typedef apr_status_t head_event_t(void *ctx, const abl_answer_t *answer);

struct abl_stash_head_t {
    abl_stash_head_t *next;
    bool interim;
    abl_answer_t answer;
};

void abl_stash_init(abl_stash_t *stash, apr_pool_t *pool, const abl_exchange_events_t *to, void *ctx)
{
    memset(stash, 0, sizeof(*stash));
    stash->pool = pool;
    stash->to = to;
    stash->ctx = ctx;
    stash->last = &stash->first;
}

/* ---- filling ---------------------------------------------------------------------------------------- */

/* The fields in use and the bytes they point to. */
static abl_stash_head_t *copy_of(abl_stash_t *stash, const abl_answer_t *answer)
{
    size_t size =
        offsetof(abl_h1_head_t, fields) + (size_t)answer->head->nfields * sizeof(answer->head->fields[0]);
    abl_stash_head_t *copy = apr_pcalloc(stash->pool, sizeof(*copy));

    copy->answer = *answer;
    copy->answer.head = apr_pmemdup(stash->pool, answer->head, size);
    copy->answer.bytes = apr_pmemdup(stash->pool, answer->bytes, answer->head->length);
    return copy;
}

static abl_stash_head_t *append(abl_stash_t *stash, const abl_answer_t *answer)
{
    abl_stash_head_t *head = copy_of(stash, answer);

    *stash->last = head;
    stash->last = &head->next;
    return head;
}

static apr_status_t keep_interim(void *ctx, const abl_answer_t *answer)
{
    append(ctx, answer)->interim = true;
    return APR_SUCCESS;
}

static apr_status_t keep_head(void *ctx, const abl_answer_t *answer)
{
    append(ctx, answer);
    return APR_SUCCESS;
}

static apr_status_t keep_upgrade(void *ctx, const abl_answer_t *answer)
{
    ((abl_stash_t *)ctx)->upgrades = true;
    return keep_head(ctx, answer);
}

static apr_status_t keep_data(void *ctx, const char *bytes, size_t len)
{
    abl_stash_t *stash = ctx;

    stash->why = abl_spool_write(&stash->body, bytes, len);
    if (stash->why != APR_SUCCESS) {
        abl_spool_clear(&stash->body); /* it may hold a part of this */
    }
    return stash->why;
}

static apr_status_t keep_pass(void *ctx)
{
    (void)ctx;
    return APR_SUCCESS;
}

static apr_status_t keep_trailers(void *ctx, const abl_answer_t *answer)
{
    abl_stash_t *stash = ctx;

    stash->trailers = copy_of(stash, answer);
    return APR_SUCCESS;
}

static apr_status_t keep_finish(void *ctx)
{
    ((abl_stash_t *)ctx)->finished = true;
    return APR_SUCCESS;
}

static apr_status_t read_body(void *ctx, char *buffer, size_t room, size_t *len, bool *end)
{
    abl_stash_t *stash = ctx;

    if (stash->upgrades) {
        return APR_EAGAIN; /* what read_body reads becomes the new protocol's when that head is played back */
    }
    if (stash->on_worker) {
        return stash->to->read_body(stash->ctx, buffer, room, len, end);
    }
    stash->wants_body = true;
    return APR_EAGAIN;
}

/* On the thread that reads it next. */
static void rewind_body(void *ctx)
{
    const abl_stash_t *stash = ctx;

    stash->to->rewind_body(stash->ctx);
}

static bool has_room(void *ctx)
{
    return abl_spool_has_room(&((abl_stash_t *)ctx)->body);
}

static const abl_h1_pair_t *pass_trailers(void *ctx, int *n)
{
    const abl_stash_t *stash = ctx;

    *n = 0;
    return stash->to->body_trailers != NULL ? stash->to->body_trailers(stash->ctx, n) : NULL;
}

static void pass_retry(void *ctx, int member, const char *why, apr_status_t rv)
{
    const abl_stash_t *stash = ctx;

    stash->to->on_retry(stash->ctx, member, why, rv);
}

const abl_exchange_events_t abl_stash_events = {
    .on_interim = keep_interim,
    .on_head = keep_head,
    .on_upgrade = keep_upgrade,
    .on_data = keep_data,
    .on_pass = keep_pass,
    .on_trailers = keep_trailers,
    .on_finish = keep_finish,
    .read_body = read_body,
    .rewind_body = rewind_body,
    .body_trailers = pass_trailers,
    .has_room = has_room,
    .on_retry = pass_retry,
};

/* ---- playing back ----------------------------------------------------------------------------------- */

bool abl_stash_is_empty(const abl_stash_t *stash)
{
    return stash->first == NULL && abl_spool_length(&stash->body) == 0 && !stash->finished;
}

static head_event_t *event_of(const abl_stash_t *stash, const abl_stash_head_t *head)
{
    if (head->interim) {
        return stash->to->on_interim;
    }
    return head->answer.upgrade != NULL ? stash->to->on_upgrade : stash->to->on_head;
}

static apr_status_t play_heads(abl_stash_t *stash)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && stash->first != NULL) {
        const abl_stash_head_t *head = stash->first;
        stash->first = head->next;
        if (stash->first == NULL) {
            stash->last = &stash->first;
        }
        rv = event_of(stash, head)(stash->ctx, &head->answer);
        if (head->answer.upgrade != NULL) {
            stash->upgrades = false;
            stash->wants_body = true; /* it may be here already, where no poll tells of it */
        }
    }
    return rv;
}

static apr_status_t play_body(abl_stash_t *stash)
{
    const char *bytes;
    size_t len;
    apr_status_t rv = abl_spool_peek(&stash->body, &bytes, &len);

    if (rv != APR_SUCCESS) {
        stash->why = rv;
    }
    if (rv == APR_SUCCESS) {
        rv = stash->to->on_data(stash->ctx, bytes, len);
    }
    if (rv == APR_SUCCESS) {
        rv = stash->to->on_pass(stash->ctx);
    }
    if (rv == APR_SUCCESS) {
        abl_spool_drop(&stash->body, len);
    }
    return rv;
}

static apr_status_t play_end(abl_stash_t *stash)
{
    apr_status_t rv = APR_SUCCESS;

    stash->finished = false;
    if (stash->trailers != NULL) {
        rv = stash->to->on_trailers(stash->ctx, &stash->trailers->answer);
    }
    return rv == APR_SUCCESS ? stash->to->on_finish(stash->ctx) : rv;
}

apr_status_t abl_stash_play(abl_stash_t *stash)
{
    if (stash->first != NULL) {
        return play_heads(stash);
    }
    if (abl_spool_length(&stash->body) > 0) {
        return play_body(stash);
    }
    return stash->finished ? play_end(stash) : APR_SUCCESS;
}

void abl_stash_clear(abl_stash_t *stash)
{
    abl_spool_clear(&stash->body);
}
