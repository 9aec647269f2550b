/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream is a parked request that a worker is called for once a second. What it has sent already it knows
 * by hashes: of each member, each balancer and each other part of the document.
 */
#include "httpd/status_stream.h"

#include "base/clock.h"
#include "base/hash.h"
#include "httpd/park.h"
#include "httpd/text.h"
#include "httpd/unblock.h"

#include "ap_mpm.h"
#include "http_core.h"
#include "http_protocol.h"

#include "apr_hash.h"
#include "apr_portable.h"
#include "apr_strings.h"

#include <stdatomic.h>

#define STREAMS_MAX 32 /* in each child */
#define EVERY ABL_SECOND
#define SHARE                                                                                                \
    20 /* a document that takes long to make is made more rarely: one part of so many of the time            \
        */
#define RARELY (10 * ABL_SECOND)
#define LASTS (3600 * ABL_SECOND)

static atomic_int streams;

/* What was sent under one name. */
typedef struct known_t {
    apr_uint64_t name;    /* hash */
    apr_uint64_t content; /* hash */
    apr_uint64_t samples; /* of a balancer's history */
    unsigned turn;        /* when it was met last */
} known_t;

typedef struct stream_t {
    abl_seen_t seen; /* first */
    request_rec *r;
    abl_steering_t steering;
    apr_hash_t *known; /* of known_t, by name */
    unsigned turn;
    int nknown, nmet;
    bool news; /* a name has come that was not there before */
    int fd;    /* the client's */
    int64_t next, until;
} stream_t;

/* ---- what is known ---------------------------------------------------------------------------------- */

static known_t *known_of(stream_t *stream, const char *kind, const char *of, const char *name)
{
    apr_uint64_t hash =
        abl_hash_text(kind) * 31 + abl_hash_text(of) * 37 + abl_hash_text(name) * UINT64_C(1099511628211);
    known_t *known = apr_hash_get(stream->known, &hash, sizeof(hash));

    if (known == NULL) {
        known = apr_pcalloc(apr_hash_pool_get(stream->known), sizeof(*known));
        known->name = hash;
        apr_hash_set(stream->known, &known->name, sizeof(known->name), known);
        stream->news = true;
    }
    if (known->turn != stream->turn) {
        known->turn = stream->turn;
        stream->nmet++;
    }
    return known;
}

static bool is_known(abl_seen_t *seen, const char *kind, const char *of, const char *name, const char *text,
                     size_t len)
{
    known_t *known = known_of((stream_t *)seen, kind, of, name);
    apr_uint64_t content = abl_hash(text, len);
    bool same = known->content == content;

    known->content = content;
    return same;
}

static apr_uint64_t history(abl_seen_t *seen, const char *balancer, apr_uint64_t ever)
{
    known_t *known = known_of((stream_t *)seen, "history", "", balancer);
    apr_uint64_t before = known->samples;

    known->samples = ever;
    return before;
}

/* ---- one event -------------------------------------------------------------------------------------- */

static void write_document(stream_t *stream, abl_text_t *text, apr_pool_t *pool)
{
    abl_json_t json = abl_text_json(text);

    stream->turn++;
    stream->nmet = 0;
    stream->news = false;
    abl_text_clear(text);
    abl_text_add(text, "data: ", 6);
    abl_status_json(&json, pool, stream->r->server, &stream->steering, &stream->seen);
    abl_text_add(text, "\n\n", 2);
}

/* When a member or a balancer has come or gone, everything is sent: whoever adds to what he has knows nothing
 * of those that are missing. */
static void make_event(stream_t *stream, abl_text_t *text, apr_pool_t *pool)
{
    write_document(stream, text, pool);
    if (!stream->seen.whole && (stream->news || stream->nmet != stream->nknown)) {
        stream->seen.whole = true;
        write_document(stream, text, pool);
    }
    stream->nknown = stream->nmet;
    stream->seen.whole = false;
}

static apr_status_t send_event(stream_t *stream)
{
    request_rec *r = stream->r;
    int64_t began = abl_clock_now();
    apr_bucket_brigade *bb;
    apr_pool_t *pool;
    abl_text_t text = {.len = 0};
    apr_status_t rv;

    apr_pool_create(&pool, r->pool);
    text.pool = pool;
    make_event(stream, &text, pool);
    bb = apr_brigade_create(pool, r->connection->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(bb,
                            apr_bucket_heap_create(text.bytes, text.len, NULL, r->connection->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(r->connection->bucket_alloc));
    rv = ap_pass_brigade(r->output_filters, bb);
    apr_brigade_destroy(bb);
    apr_pool_destroy(pool);
    stream->next = abl_clock_now() + EVERY;
    if ((abl_clock_now() - began) * SHARE > EVERY) {
        stream->next = abl_clock_now() + (abl_clock_now() - began) * SHARE;
        stream->next = stream->next < began + RARELY ? stream->next : began + RARELY;
    }
    return rv;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static bool ends(const stream_t *stream)
{
    int state = 0;

    (void)ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state == AP_MPMQ_STOPPING || abl_clock_now() >= stream->until || stream->r->connection->aborted;
}

static int finish(stream_t *stream)
{
    request_rec *r = stream->r;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    atomic_fetch_sub(&streams, 1);
    abl_unblock(r, false);
    r->connection->keepalive = AP_CONN_CLOSE;
    if (!r->connection->aborted) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(r->connection->bucket_alloc));
        (void)ap_pass_brigade(r->output_filters, bb);
    }
    return OK;
}

static void fill(const stream_t *stream, abl_waiter_t *waiter)
{
    bool full = abl_unblock_is_full(stream->r->connection);

    waiter->fd[0] = -1;
    waiter->events[0] = 0;
    waiter->line = NULL;
    waiter->fd[1] = stream->fd;
    waiter->events[1] = (uint32_t)EPOLLRDHUP | (full ? (uint32_t)EPOLLOUT : 0);
    waiter->deadline = full ? stream->until : stream->next;
}

static bool on_loop(void *ctx, abl_waiter_t *waiter, bool is_worker)
{
    (void)ctx;
    (void)waiter;
    (void)is_worker;
    return true;
}

static int on_worker(void *ctx, abl_waiter_t *waiter)
{
    stream_t *stream = ctx;
    conn_rec *c = stream->r->connection;

    if (waiter->happened[1] & (uint32_t)(EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        c->aborted = 1;
    }
    if (!ends(stream) && abl_unblock_is_full(c) && abl_unblock_send(c) != APR_SUCCESS) {
        c->aborted = 1;
    }
    if (!ends(stream) && !abl_unblock_is_full(c) && abl_clock_now() >= stream->next &&
        send_event(stream) != APR_SUCCESS) {
        c->aborted = 1;
    }
    if (ends(stream)) {
        return finish(stream);
    }
    fill(stream, waiter);
    return SUSPENDED;
}

static void on_stop(void *ctx)
{
    (void)ctx;
}

/* ---- beginning -------------------------------------------------------------------------------------- */

static stream_t *make_stream(request_rec *r, const abl_steering_t *steering)
{
    stream_t *stream = apr_pcalloc(r->pool, sizeof(*stream));
    apr_socket_t *socket = ap_get_conn_socket(r->connection);

    stream->seen = (abl_seen_t){.is_known = is_known, .history = history, .whole = true};
    stream->r = r;
    stream->steering = *steering;
    stream->known = apr_hash_make(r->pool);
    stream->until = abl_clock_now() + LASTS;
    if (socket == NULL || apr_os_sock_get(&stream->fd, socket) != APR_SUCCESS) {
        stream->fd = -1;
    }
    return stream;
}

int abl_status_stream(request_rec *r, const abl_steering_t *steering)
{
    stream_t *stream = abl_park_may(r) ? make_stream(r, steering) : NULL;
    abl_parking_t parking = {on_loop, on_worker, on_stop, stream};
    abl_waiter_t waiter = {.fd = {-1, -1}};

    if (stream == NULL || stream->fd < 0) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (atomic_fetch_add(&streams, 1) >= STREAMS_MAX) {
        atomic_fetch_sub(&streams, 1);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    ap_set_content_type(r, "text/event-stream");
    abl_unblock(r, true);
    if (send_event(stream) != APR_SUCCESS) {
        return finish(stream);
    }
    fill(stream, &waiter);
    return abl_park(r, &parking, &waiter);
}
