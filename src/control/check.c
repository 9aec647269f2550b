/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps, in order; a step is the function that abl_check_go() calls next:
 *
 *     connecting ──► greeting ──► (tcp: passed)
 *         │              └──► asking ──► head ──► body ──► (verdict)
 *         └► next address
 */
#include "control/check.h"

#include "wire/h1_body.h"
#include "wire/h1_chunk.h"

#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_MAX 4096 /* bytes; uri= and host= are shorter */
#define WHY_MAX 200

struct abl_check_t {
    const abl_target_t *target;
    abl_member_t member; /* what conn.c needs to know of the target */
    apr_pool_t *pool;    /* of TLS; NULL: not made yet */
    bool has_regex;
    regex_t regex;
    abl_conn_t *conn; /* NULL: none is under way */
    abl_check_verdict_t (*step)(abl_check_t *check, int64_t now);
    int first;  /* address that the next check begins with */
    int ntried; /* addresses of this one */
    int ninterim;
    char greeting[ABL_PROXY_MAX];
    size_t greeting_len, greeted;
    char request[REQUEST_MAX];
    size_t request_len, asked;
    abl_h1_head_t head;
    abl_h1_body_t framing;
    abl_h1_chunk_t chunk;
    uint64_t left;   /* of a body whose length is known */
    char *body;      /* ABL_CHECK_BODY_MAX bytes and a NUL; NULL: nothing of it is kept */
    size_t body_len; /* read so far, whether kept or not */
    char why[WHY_MAX];
    int error;
};

static abl_check_verdict_t step_connecting(abl_check_t *check, int64_t now);
static abl_check_verdict_t step_greeting(abl_check_t *check, int64_t now);
static abl_check_verdict_t step_asking(abl_check_t *check, int64_t now);
static abl_check_verdict_t step_head(abl_check_t *check, int64_t now);
static abl_check_verdict_t step_body(abl_check_t *check, int64_t now);

/* ---- verdicts --------------------------------------------------------------------------------------- */

static void say_why(abl_check_t *check, const char *why, int error)
{
    (void)snprintf(check->why, sizeof(check->why), "%s", why);
    check->error = error;
}

static abl_check_verdict_t finish(abl_check_t *check, abl_check_verdict_t verdict, const char *why, int error)
{
    say_why(check, why, error); /* first: it may be the connection's */
    abl_check_end(check);
    return verdict;
}

static abl_check_verdict_t fail(abl_check_t *check, const char *why, int error)
{
    return finish(check, ABL_CHECK_FAILED, why, error);
}

/* The connection has failed; TLS knows more than errno. */
static abl_check_verdict_t broke(abl_check_t *check, const char *why, apr_status_t rv)
{
    const char *better = abl_conn_why(check->conn);

    return better != NULL ? fail(check, better, 0)
                          : fail(check, why, rv == APR_EOF || rv == APR_ENOMEM ? 0 : (int)rv);
}

static abl_check_verdict_t wait_for(abl_check_t *check, const char *what)
{
    say_why(check, what, 0);
    return ABL_CHECK_PENDING;
}

/* ---- connecting ------------------------------------------------------------------------------------- */

bool abl_check_is_itself(int fd)
{
    struct sockaddr_storage us = {.ss_family = AF_UNSPEC}, them;
    socklen_t us_len = sizeof(us), them_len = sizeof(them);

    return getsockname(fd, (struct sockaddr *)&us, &us_len) == 0 && us.ss_family != AF_UNIX &&
           getpeername(fd, (struct sockaddr *)&them, &them_len) == 0 && us_len == them_len &&
           memcmp(&us, &them, us_len) == 0;
}

/* What says that nobody is there, and nothing about this machine. */
static bool is_nobody(apr_status_t rv)
{
    return rv == ECONNREFUSED || rv == ENOENT || rv == EHOSTUNREACH || rv == ENETUNREACH || rv == EHOSTDOWN ||
           rv == ETIMEDOUT || rv == ECONNRESET;
}

static abl_check_verdict_t open_next(abl_check_t *check, int64_t now, apr_status_t rv)
{
    while (check->ntried < check->member.naddresses) {
        int at = (check->first + check->ntried++) % check->member.naddresses;
        rv = abl_conn_open(&check->member, &check->member.addresses[at], now, &check->conn);
        if (rv == APR_SUCCESS || rv == EINPROGRESS) {
            check->step = step_connecting;
            return wait_for(check, "nobody has accepted the connection");
        }
        if (rv == EAGAIN) { /* a Unix socket whose queue is full: somebody is there, and busy */
            return finish(check, ABL_CHECK_UNTRIED, "its queue of connections is full", 0);
        }
    }
    return finish(check, is_nobody(rv) ? ABL_CHECK_NOBODY : ABL_CHECK_UNTRIED, "cannot connect", (int)rv);
}

static bool may_write(const abl_check_t *check)
{
    struct pollfd pfd = {.fd = check->conn->fd, .events = POLLOUT};

    return poll(&pfd, 1, 0) == 1;
}

static abl_check_verdict_t step_connecting(abl_check_t *check, int64_t now)
{
    apr_status_t rv;

    if (!may_write(check)) {
        return ABL_CHECK_PENDING;
    }
    rv = abl_conn_connected(check->conn);
    if (rv == APR_SUCCESS && abl_check_is_itself(check->conn->fd)) {
        rv = ECONNREFUSED;
    }
    if (rv != APR_SUCCESS) {
        abl_conn_close(&check->conn);
        return open_next(check, now, rv);
    }
    check->greeted = 0;
    check->greeting_len = abl_proxy_write(check->member.proxy, NULL, NULL, check->greeting);
    check->step = step_greeting;
    return step_greeting(check, now);
}

static abl_check_verdict_t step_greeting(abl_check_t *check, int64_t now)
{
    bool for_write;
    apr_status_t rv = abl_conn_greet(check->conn, check->greeting, check->greeting_len, &check->greeted);

    if (rv == APR_SUCCESS) {
        rv = abl_conn_handshake(check->conn, &for_write);
    }
    if (APR_STATUS_IS_EAGAIN(rv)) {
        return wait_for(check, "the handshake of TLS was not done");
    }
    if (rv != APR_SUCCESS) {
        return broke(check, "the handshake of TLS failed", rv);
    }
    if (check->target->check->uri == NULL) {
        return finish(check, ABL_CHECK_PASSED, "it accepts connections", 0);
    }
    check->asked = 0;
    check->step = step_asking;
    return step_asking(check, now);
}

/* ---- asking ----------------------------------------------------------------------------------------- */

static abl_check_verdict_t step_asking(abl_check_t *check, int64_t now)
{
    while (check->asked < check->request_len) {
        struct iovec iov = {check->request + check->asked, check->request_len - check->asked};
        size_t sent = 0;
        apr_status_t rv = abl_conn_write(check->conn, &iov, 1, &sent);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            return wait_for(check, "it did not read the request");
        }
        if (rv != APR_SUCCESS) {
            return broke(check, "it did not read the request", rv);
        }
        check->asked += sent;
    }
    abl_h1_head_init(&check->head);
    check->step = step_head;
    return step_head(check, now);
}

/* Reads once; APR_SUCCESS: there is something new in the buffer. */
static apr_status_t read_more(abl_check_t *check)
{
    bool more;

    abl_conn_compact(check->conn);
    return check->conn->end == ABL_CONN_BUFFER && check->conn->buffer != NULL
               ? APR_ENOSPC
               : abl_conn_read(check->conn, &more);
}

static bool is_expected(const abl_check_conf_t *conf, int status)
{
    return status >= ABL_CHECK_STATUS_MIN && status <= ABL_CHECK_STATUS_MAX &&
           (conf->expect[status / 64] >> (status % 64) & 1) != 0;
}

static abl_check_verdict_t begin_body(abl_check_t *check, int64_t now)
{
    const char *buf = check->conn->buffer + check->conn->start;

    if (!is_expected(check->target->check, check->head.status)) {
        char why[64];
        (void)snprintf(why, sizeof(why), "its answer has the status %d", check->head.status);
        return fail(check, why, 0);
    }
    if (abl_h1_body_decide(&check->head, buf, false, &check->framing) == ABL_WIRE_BAD) {
        return fail(check, check->framing.why, 0);
    }
    check->conn->start += check->head.length;
    check->left = check->framing.kind == ABL_H1_BODY_LENGTH ? check->framing.length : 0;
    check->body_len = 0;
    abl_h1_chunk_init(&check->chunk);
    check->step = step_body;
    return step_body(check, now);
}

static abl_check_verdict_t step_head(abl_check_t *check, int64_t now)
{
    for (;;) {
        const abl_conn_t *conn = check->conn;
        abl_wire_rc_t rc = conn->buffer == NULL ? ABL_WIRE_MORE
                                                : abl_h1_head_parse(&check->head, conn->buffer + conn->start,
                                                                    conn->end - conn->start);
        apr_status_t rv;
        if (rc == ABL_WIRE_BAD) {
            return fail(check, check->head.why, 0);
        }
        if (rc == ABL_WIRE_DONE && check->head.status >= 200) {
            return begin_body(check, now);
        }
        if (rc == ABL_WIRE_DONE && ++check->ninterim > ABL_CHECK_INTERIM_MAX) {
            return fail(check, "it sends interim answers without end", 0);
        }
        if (rc == ABL_WIRE_DONE) {
            check->conn->start += check->head.length;
            abl_h1_head_init(&check->head);
            continue;
        }
        rv = read_more(check);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            return wait_for(check, "it did not answer");
        }
        if (rv != APR_SUCCESS) {
            return broke(check, "it closed the connection without an answer", rv);
        }
    }
}

/* ---- the body --------------------------------------------------------------------------------------- */

static void keep(abl_check_t *check, const char *data, size_t len)
{
    size_t room = ABL_CHECK_BODY_MAX - check->body_len;

    len = len < room ? len : room;
    if (check->has_regex && check->body != NULL) {
        memcpy(check->body + check->body_len, data, len);
    }
    check->body_len += len;
}

/* Of what is in the buffer, what belongs to a body whose length is known, or whose end is the connection's.
 */
static bool take_plain(abl_check_t *check)
{
    abl_conn_t *conn = check->conn;
    size_t here = conn->end - conn->start;

    if (check->framing.kind == ABL_H1_BODY_LENGTH) {
        here = here < check->left ? here : (size_t)check->left;
        check->left -= here;
    }
    if (here > 0) {
        keep(check, conn->buffer + conn->start, here);
        conn->start += here;
    }
    return check->framing.kind == ABL_H1_BODY_LENGTH && check->left == 0;
}

static abl_wire_rc_t take_chunks(abl_check_t *check)
{
    abl_conn_t *conn = check->conn;
    abl_wire_rc_t rc = ABL_WIRE_MORE;

    while (rc == ABL_WIRE_MORE && conn->start < conn->end) {
        size_t used = 0, len = 0;
        const char *data = NULL;
        rc = abl_h1_chunk_decode(&check->chunk, conn->buffer + conn->start, conn->end - conn->start, &used,
                                 &data, &len);
        if (len > 0) {
            keep(check, data, len);
        }
        conn->start += used;
    }
    return rc;
}

/* DONE: all of it is here; the trailers do not matter. */
static abl_wire_rc_t take_body(abl_check_t *check)
{
    switch (check->framing.kind) {
    case ABL_H1_BODY_NONE:
        return ABL_WIRE_DONE;
    case ABL_H1_BODY_CHUNKED:
        return take_chunks(check);
    default:
        return take_plain(check) ? ABL_WIRE_DONE : ABL_WIRE_MORE;
    }
}

static abl_check_verdict_t judge_body(abl_check_t *check)
{
    regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)check->body_len};

    if (check->has_regex &&
        regexec(&check->regex, check->body != NULL ? check->body : "", 1, &whole, REG_STARTEND) != 0) {
        return fail(check,
                    check->body_len == ABL_CHECK_BODY_MAX ? "the first 8 kB of its body do not match body~"
                                                          : "its body does not match body~",
                    0);
    }
    return finish(check, ABL_CHECK_PASSED, "it answers", 0);
}

static abl_check_verdict_t step_body(abl_check_t *check, int64_t now)
{
    (void)now;
    for (;;) {
        abl_wire_rc_t rc = take_body(check);
        apr_status_t rv;
        if (rc == ABL_WIRE_BAD) {
            return fail(check, check->chunk.why, 0);
        }
        if (rc == ABL_WIRE_DONE || check->body_len == ABL_CHECK_BODY_MAX) {
            return judge_body(check);
        }
        rv = read_more(check);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            return wait_for(check, "its answer was not complete");
        }
        if (rv == APR_EOF && check->framing.kind == ABL_H1_BODY_CLOSE) {
            return judge_body(check);
        }
        if (rv != APR_SUCCESS) {
            return broke(check, "its answer breaks off", rv);
        }
    }
}

/* ---- for the caller --------------------------------------------------------------------------------- */

static void write_request(abl_check_t *check)
{
    const abl_target_t *target = check->target;
    const char *host = target->check->host != NULL ? target->check->host : target->url.authority;
    int len = target->check->uri == NULL
                  ? 0
                  : snprintf(check->request, sizeof(check->request),
                             "GET %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: mod_appbalance (check)\r\n"
                             "Connection: close\r\n\r\n",
                             target->url.path, target->check->uri, host);

    check->request_len = len > 0 && len < REQUEST_MAX ? (size_t)len : 0;
}

static bool compile(abl_check_t *check, const char *body)
{
    check->has_regex = body != NULL && regcomp(&check->regex, body, REG_EXTENDED | REG_NEWLINE) == 0;
    /* A byte more, which stays 0: AddressSanitizer's regexec() looks for the end of a string. */
    check->body = check->has_regex ? calloc(1, ABL_CHECK_BODY_MAX + 1) : NULL;
    return body == NULL || (check->has_regex && check->body != NULL);
}

static void use_addresses(abl_check_t *check, const abl_target_t *where)
{
    abl_member_t *member = &check->member;

    member->naddresses = where->naddresses;
    memcpy(member->addresses, where->addresses, (size_t)member->naddresses * sizeof(*member->addresses));
}

abl_check_t *abl_check_make(const abl_target_t *target)
{
    abl_check_t *check = calloc(1, sizeof(*check));

    if (check == NULL) {
        return NULL;
    }
    check->target = target;
    check->member.url = target->url;
    check->member.proxy = target->proxy;
    check->member.tls_conf = target->tls_conf;
    write_request(check);
    if (!compile(check, target->check->body) || (target->check->uri != NULL && check->request_len == 0)) {
        abl_check_free(check);
        return NULL;
    }
    return check;
}

/* Late: it reads files. NULL, or what is wrong. */
static const char *get_tls(abl_check_t *check)
{
    if (!check->target->url.tls || check->member.tls != NULL) {
        return NULL;
    }
    if (apr_pool_create(&check->pool, NULL) != APR_SUCCESS) {
        abort(); /* as APR does */
    }
    return abl_tls_make(check->pool, &check->member.tls_conf, &check->member.tls);
}

abl_check_verdict_t abl_check_begin(abl_check_t *check, const abl_target_t *where, int64_t now)
{
    const char *error = get_tls(check);

    abl_check_end(check);
    if (error != NULL) {
        say_why(check, error, 0);
        apr_pool_destroy(check->pool); /* the next try makes everything anew */
        check->pool = NULL;
        return ABL_CHECK_UNTRIED;
    }
    use_addresses(check, where);
    check->ntried = 0;
    check->ninterim = 0;
    return open_next(check, now, EHOSTUNREACH);
}

abl_check_verdict_t abl_check_go(abl_check_t *check, int64_t now)
{
    return check->step(check, now);
}

int abl_check_fd(const abl_check_t *check)
{
    return check->conn != NULL ? check->conn->fd : -1;
}

const char *abl_check_why(const abl_check_t *check, int *error)
{
    *error = check->error;
    return check->why;
}

abl_conn_t *abl_check_leave(abl_check_t *check)
{
    abl_conn_t *conn = check->conn;
    bool is_asked = check->step == step_head || check->step == step_body ||
                    (check->step == step_asking && check->asked > 0);

    if (conn == NULL || !is_asked) {
        abl_check_end(check);
        return NULL;
    }
    check->conn = NULL;
    return conn;
}

/* An address where nobody says anything is not the first one for ever. */
void abl_check_end(abl_check_t *check)
{
    if (check->conn != NULL && check->step == step_connecting) {
        check->first = (check->first + check->ntried) % check->member.naddresses;
    }
    if (check->conn != NULL) {
        abl_conn_close(&check->conn);
    }
}

void abl_check_free(abl_check_t *check)
{
    abl_check_end(check);
    if (check->has_regex) {
        regfree(&check->regex);
    }
    if (check->pool != NULL) {
        apr_pool_destroy(check->pool);
    }
    free(check->body);
    free(check);
}
