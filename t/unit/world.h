/* SPDX-License-Identifier: Apache-2.0
 *
 * The world of the exchange's test: members that listen in this process, a client that is a string, a driver
 * that the test plays step by step, and events that write down what they bring.
 */
#ifndef ABL_UNIT_WORLD_H
#define ABL_UNIT_WORLD_H

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include <apr_strings.h>

#include "balance/methods.h"
#include "engine/exchange.h"
#include "engine/stash.h"
#include "listener.h"

#define MEMBERS 3

/* Everything a test looks at. */
typedef struct world_t {
    apr_pool_t *pool;
    listener_t listeners[MEMBERS];
    abl_member_t members[MEMBERS];
    abl_segment_t *segment;
    abl_balancer_t balancer;
    abl_timeouts_t timeouts;
    abl_request_t request;
    abl_exchange_t *x;
    char seen[70000];   /* what the events brought: [103] {200} data <name: value> . */
    const char *upload; /* the client's body: pieces separated by '|', each '|' is one APR_EAGAIN */
    const char *all;    /* where a rewindable one begins */
    bool upgraded;
    int retries;
    apr_status_t deliver; /* what on_data returns */
#ifdef STASHED
    abl_stash_t stash;
#endif
} world_t;

static void see(world_t *w, const char *text)
{
    ck_assert_uint_lt(strlen(w->seen) + strlen(text), sizeof(w->seen));
    strcat(w->seen, text);
}

/* ---- events ----------------------------------------------------------------------------------------- */

static apr_status_t see_status(void *ctx, const abl_answer_t *answer, const char *format)
{
    char text[16];

    snprintf(text, sizeof(text), format, answer->head->status);
    see(ctx, text);
    return APR_SUCCESS;
}

static apr_status_t on_interim(void *ctx, const abl_answer_t *answer)
{
    return see_status(ctx, answer, "[%d]");
}

static apr_status_t on_head(void *ctx, const abl_answer_t *answer)
{
    return see_status(ctx, answer, "{%d}");
}

static apr_status_t on_data(void *ctx, const char *bytes, size_t len)
{
    world_t *w = ctx;
    size_t have = strlen(w->seen);

    ck_assert_uint_lt(have + len, sizeof(w->seen));
    memcpy(w->seen + have, bytes, len);
    w->seen[have + len] = '\0';
    return w->deliver;
}

static apr_status_t on_pass(void *ctx)
{
    (void)ctx;
    return APR_SUCCESS;
}

static apr_status_t on_trailers(void *ctx, const abl_answer_t *answer)
{
    char text[256];

    for (int i = 0; i < answer->head->nfields; i++) {
        const abl_h1_field_t *f = &answer->head->fields[i];
        snprintf(text, sizeof(text), "<%.*s: %.*s>", (int)f->name_len, answer->bytes + f->name,
                 (int)f->value_len, answer->bytes + f->value);
        see(ctx, text);
    }
    return APR_SUCCESS;
}

static apr_status_t on_finish(void *ctx)
{
    see(ctx, ".");
    return APR_SUCCESS;
}

static apr_status_t on_upgrade(void *ctx, const abl_answer_t *answer)
{
    ((world_t *)ctx)->upgraded = true;
    return on_head(ctx, answer);
}

static apr_status_t read_body(void *ctx, char *buffer, size_t room, size_t *len, bool *end)
{
    world_t *w = ctx;
    size_t n = strcspn(w->upload, "|");

    ck_assert(w->request.head.upgrade == NULL || w->upgraded); /* the new protocol's, or nothing yet */
    if (n == 0 && *w->upload == '|') {
        w->upload++;
        return APR_EAGAIN;
    }
    ck_assert_uint_le(n, room);
    memcpy(buffer, w->upload, n);
    *len = n;
    w->upload += n;
    *end = *w->upload == '\0';
    return APR_SUCCESS;
}

static void rewind_body(void *ctx)
{
    world_t *w = ctx;

    ck_assert(w->request.rewindable);
    w->upload = w->all;
}

static const abl_h1_pair_t *body_trailers(void *ctx, int *n)
{
    static const abl_h1_pair_t pair = {"X-Sum", "7"};

    (void)ctx;
    *n = 1;
    return &pair;
}

static void on_retry(void *ctx, int member, const char *why, apr_status_t rv)
{
    (void)member;
    (void)why;
    (void)rv;
    ((world_t *)ctx)->retries++;
}

static const abl_exchange_events_t events = {.on_interim = on_interim,
                                             .on_head = on_head,
                                             .on_upgrade = on_upgrade,
                                             .on_data = on_data,
                                             .on_pass = on_pass,
                                             .on_trailers = on_trailers,
                                             .on_finish = on_finish,
                                             .read_body = read_body,
                                             .rewind_body = rewind_body,
                                             .body_trailers = body_trailers,
                                             .on_retry = on_retry};

/* ---- the world -------------------------------------------------------------------------------------- */

/* The parent's part and the child's, in one process. */
static void join(world_t *w)
{
    abl_balancer_t *balancer = &w->balancer;
    abl_child_t *child;
    int left_out;

    for (int i = 0; i < balancer->nmembers; i++) {
        balancer->members[i].route = balancer->members[i].url.text = apr_psprintf(w->pool, "member%d", i);
    }
    ck_assert_int_eq(abl_segment_create(4, &w->segment), APR_SUCCESS);
    ck_assert_int_eq(abl_balancers_configure(w->segment, &balancer, 1, w->pool, &left_out), APR_SUCCESS);
    ck_assert_int_eq(abl_segment_join(w->segment, &child), APR_SUCCESS);
    ck_assert_int_eq(abl_balancer_start(balancer, child), APR_SUCCESS);
}

static void begin(world_t *w, int members)
{
    memset(w, 0, sizeof(*w));
    apr_initialize();
    apr_pool_create(&w->pool, NULL);
    for (int i = 0; i < members; i++) {
        listener_open(&w->listeners[i]);
        w->members[i] = w->listeners[i].member;
    }
    w->balancer.name = "test";
    w->balancer.method = &abl_method_roundrobin;
    w->balancer.members = w->members;
    w->balancer.nmembers = members;
    w->timeouts = (abl_timeouts_t){ABL_SECOND, ABL_SECOND, ABL_SECOND, ABL_SECOND};
    w->balancer.retry = abl_retry_defaults();
    w->balancer.queue = (abl_queue_conf_t){.length = 10, .timeout = ABL_SECOND};
    w->request.want.only = -1;
    join(w);
    w->request.head.method = "GET";
    w->request.head.target = "/x?y";
    w->request.head.host = "front";
    w->request.repeatable = true;
    w->request.first_is_all = true;
    w->upload = "";
}

#ifdef STASHED
#define GONE_AT_THE_END ABL_END_OK /* the exchange had all of its answer before the client was asked */

/* Between the exchange and the events is a stash, which is emptied after each run. */
static void make(world_t *w)
{
    w->seen[0] = '\0';
    abl_stash_init(&w->stash, w->pool, &events, w);
    w->stash.body.memory_max = 20000;
    w->stash.body.file_max = 1000000;
    w->stash.body.folder = "/tmp";
    w->stash.on_worker = true;
    w->x = abl_exchange_make(w->pool, &w->balancer, &w->timeouts, ABL_SECOND, &w->request, &abl_stash_events,
                             &w->stash);
}

static bool run(world_t *w, unsigned ready)
{
    bool waits = abl_exchange_run(w->x, ready);

    while (!abl_stash_is_empty(&w->stash)) {
        if (abl_stash_play(&w->stash) != APR_SUCCESS) {
            abl_stash_clear(&w->stash);
            return waits && abl_exchange_run(w->x, ABL_READY_CLIENT_GONE);
        }
    }
    if (waits && w->stash.wants_body) {
        w->stash.wants_body = false;
        return run(w, ABL_READY_CLIENT_READ);
    }
    return waits;
}
#else
#define GONE_AT_THE_END ABL_END_CLIENT_GONE

static void make(world_t *w)
{
    w->seen[0] = '\0';
    w->x = abl_exchange_make(w->pool, &w->balancer, &w->timeouts, ABL_SECOND, &w->request, &events, w);
}

static bool run(world_t *w, unsigned ready)
{
    return abl_exchange_run(w->x, ready);
}
#endif

/* Waits for the member's side of the exchange, as a driver would. */
static bool drive(world_t *w)
{
    const abl_wait_t *wait = abl_exchange_wait(w->x);
    struct pollfd pfd = {wait->fd, 0, 0};
    unsigned ready = 0;

    pfd.events |= (wait->what & ABL_READY_MEMBER_READ) ? POLLIN : 0;
    pfd.events |= (wait->what & ABL_READY_MEMBER_WRITE) ? POLLOUT : 0;
    ck_assert_int_eq(poll(&pfd, 1, 5000), 1);
    ready |= (pfd.revents & (POLLIN | POLLHUP | POLLERR)) ? ABL_READY_MEMBER_READ : 0;
    ready |= (pfd.revents & (POLLOUT | POLLHUP | POLLERR)) ? ABL_READY_MEMBER_WRITE : 0;
    return run(w, ready);
}

/* Runs until the request has been sent and its answer is awaited, perhaps after connecting. */
static void until_sent(world_t *w, bool waits)
{
    while (waits && !(abl_exchange_wait(w->x)->what & ABL_READY_MEMBER_READ)) {
        waits = drive(w);
    }
    ck_assert(waits);
}

static inline void start(world_t *w)
{
    make(w);
    until_sent(w, run(w, 0));
}

/* Runs until it ends; the member's side has said what it will say. */
static abl_end_t finish(world_t *w)
{
    while (drive(w)) {
    }
    return abl_exchange_end(w->x, NULL, NULL, NULL);
}

static abl_end_t end(world_t *w)
{
    char verdict[ABL_CHECK_MAX];
    abl_end_t how = abl_exchange_end(w->x, NULL, NULL, NULL);

    abl_exchange_close(w->x);
    ck_assert(abl_ledger_check(w->segment, verdict));
    for (int i = 0; i < w->balancer.nmembers; i++) {
        ck_assert_uint_eq(abl_ledger_busy(w->balancer.ledger, i), 0);
    }
    return how;
}

static const char OK_ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void say(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* What the member has received so far. */
static const char *heard(int fd)
{
    static char text[70000];
    int waiting = 0;
    ssize_t n;

    text[0] = '\0';
    if (ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0) {
        n = read(fd, text, sizeof(text) - 1);
        text[n] = '\0';
    }
    return text;
}

static void put(world_t *w, const char *method, const char *first, bool all)
{
    w->request.head.method = method;
    w->request.repeatable = strcmp(method, "POST") != 0;
    w->request.first = first;
    w->request.first_len = strlen(first);
    w->request.first_is_all = all;
}

#endif
