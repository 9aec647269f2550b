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
#define PORTION                                                                                              \
    32768 /* goes into the filters at once: they hold twice as much without waiting for the client */

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
    abl_text_t event; /* the one that is being sent, in a pool of its own; that is NULL: there is none */
    size_t sent;      /* of that */
    int64_t patience; /* by then the client has taken some of it */
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

static void write_document(stream_t *stream)
{
    abl_text_t *text = &stream->event;
    abl_json_t json = abl_text_json(text);

    stream->turn++;
    stream->nmet = 0;
    stream->news = false;
    abl_text_clear(text);
    abl_text_add(text, "data: ", 6);
    abl_status_json(&json, text->pool, stream->r->server, &stream->steering, &stream->seen);
    abl_text_add(text, "\n\n", 2);
}

/* When a member or a balancer has come or gone, everything is sent: whoever adds to what he has knows nothing
 * of those that are missing. */
static void make_event(stream_t *stream)
{
    stream->event = (abl_text_t){.len = 0};
    stream->sent = 0;
    apr_pool_create(&stream->event.pool, stream->r->pool);
    write_document(stream);
    if (!stream->seen.whole && (stream->news || stream->nmet != stream->nknown)) {
        stream->seen.whole = true;
        write_document(stream);
    }
    stream->nknown = stream->nmet;
    stream->seen.whole = false;
}

static void begin_event(stream_t *stream)
{
    int64_t began = abl_clock_now(), took;

    make_event(stream);
    took = abl_clock_now() - began;
    stream->next = abl_clock_now() + EVERY;
    if (took * SHARE > EVERY) {
        stream->next = abl_clock_now() + took * SHARE;
        stream->next = stream->next < began + RARELY ? stream->next : began + RARELY;
    }
}

static apr_status_t pass_portion(stream_t *stream)
{
    request_rec *r = stream->r;
    const abl_text_t *event = &stream->event;
    size_t len = event->len - stream->sent < PORTION ? event->len - stream->sent : PORTION;
    apr_bucket_brigade *bb = apr_brigade_create(event->pool, r->connection->bucket_alloc);
    apr_status_t rv;

    APR_BRIGADE_INSERT_TAIL(
        bb, apr_bucket_heap_create(event->bytes + stream->sent, len, NULL, r->connection->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(r->connection->bucket_alloc));
    rv = ap_pass_brigade(r->output_filters, bb);
    apr_brigade_destroy(bb);
    stream->sent += len;
    return rv;
}

/* As much as the client takes now. */
static apr_status_t send_event(stream_t *stream)
{
    conn_rec *c = stream->r->connection;
    apr_status_t rv = abl_unblock_is_full(c) ? abl_unblock_send(c) : APR_SUCCESS;

    while (rv == APR_SUCCESS && !abl_unblock_is_full(c) && stream->sent < stream->event.len) {
        rv = pass_portion(stream);
    }
    if (stream->event.pool != NULL && (rv != APR_SUCCESS || stream->sent == stream->event.len)) {
        apr_pool_destroy(stream->event.pool);
        stream->event = (abl_text_t){.len = 0};
        stream->sent = 0;
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

/* Does the client have to take something before there is more? */
static bool is_held(const stream_t *stream)
{
    return stream->event.pool != NULL || abl_unblock_is_full(stream->r->connection);
}

/* Nobody waits for a client that is behind: half an event is none. */
static int finish(stream_t *stream)
{
    request_rec *r = stream->r;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    atomic_fetch_sub(&streams, 1);
    r->connection->aborted = r->connection->aborted || is_held(stream);
    abl_unblock(r, false);
    r->connection->keepalive = AP_CONN_CLOSE;
    if (!r->connection->aborted) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(r->connection->bucket_alloc));
        (void)ap_pass_brigade(r->output_filters, bb);
    }
    return OK;
}

/* While it waits for the client, too, it wakes now and then: httpd may be about to end. */
static void fill(const stream_t *stream, abl_waiter_t *waiter)
{
    bool held = is_held(stream);

    waiter->fd[0] = -1;
    waiter->events[0] = 0;
    waiter->line = NULL;
    waiter->fd[1] = stream->fd;
    waiter->events[1] = (uint32_t)EPOLLRDHUP | (held ? (uint32_t)EPOLLOUT : 0);
    waiter->deadline = held ? abl_clock_now() + EVERY : stream->next;
}

static bool on_loop(void *ctx, abl_waiter_t *waiter, bool is_worker)
{
    (void)ctx;
    (void)waiter;
    (void)is_worker;
    return true;
}

/* What has happened, as far as it is about the client. */
static void look_at_client(stream_t *stream, uint32_t happened)
{
    conn_rec *c = stream->r->connection;

    if (!is_held(stream) || (happened & (uint32_t)EPOLLOUT)) {
        stream->patience = abl_clock_now() + stream->r->server->timeout;
    }
    if ((happened & (uint32_t)(EPOLLRDHUP | EPOLLHUP | EPOLLERR)) || abl_clock_now() >= stream->patience) {
        c->aborted = 1;
    }
}

static int on_worker(void *ctx, abl_waiter_t *waiter)
{
    stream_t *stream = ctx;

    look_at_client(stream, waiter->happened[1]);
    if (!ends(stream) && !is_held(stream) && abl_clock_now() >= stream->next) {
        begin_event(stream);
    }
    if (!ends(stream) && send_event(stream) != APR_SUCCESS) {
        stream->r->connection->aborted = 1;
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
    begin_event(stream);
    stream->patience = abl_clock_now() + r->server->timeout;
    if (send_event(stream) != APR_SUCCESS) {
        return finish(stream);
    }
    fill(stream, &waiter);
    return abl_park(r, &parking, &waiter);
}
