/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes into an exchange and what comes out of it: the request, the answer's events, how it ended, and
 * what a driver waits for.
 */
#ifndef ABL_ENGINE_EXCHANGE_TYPES_H
#define ABL_ENGINE_EXCHANGE_TYPES_H

#include "base/clock.h"
#include "engine/balancer.h"
#include "wire/h1_head.h"
#include "wire/h1_request.h"

#define ABL_INTERIM_MAX 32                 /* 1xx answers to one request */
#define ABL_CONTINUE_WAIT (1 * ABL_SECOND) /* for 100 Continue, then the body is sent anyway */
#define ABL_CONNECTING_MAX 64              /* connects to one member under way in one child; others wait */
#define ABL_REST_MAX (60 * ABL_SECOND)     /* so long a member may say that it wants to be left alone */
#define ABL_BACKLOG_PAUSE (5 * ABL_MS)     /* before a full Unix socket is tried again */
#define ABL_HEAD_PAUSE (200 * ABL_MS)     /* an answer's head is kept back for, when its body has not begun */
#define ABL_HALF_CLOSED (10 * ABL_SECOND) /* of silence in a tunnel whose client has ended its side */
#define ABL_BODY_PIECE 16384              /* request body bytes in memory at once */
#define ABL_BODY_AHEAD 131072             /* a body that was collected and is no longer can be sent again */

/* What a reason begins with that TLS gives: it says all, and calls for somebody who puts it right. */
#define ABL_WHY_TLS "TLS: "

/* What to send. All memory stays the caller's and must live as long as the exchange. */
typedef struct abl_request_t {
    abl_h1_request_t head; /* the engine sets prefix and close, and host where it is NULL: the member's own */
    bool to_head;          /* it is a HEAD */
    bool repeatable;       /* its method may be sent again: see abl_retry_conf_t */
    const char *first;     /* the beginning of the body, already read */
    size_t first_len;
    bool first_is_all;                     /* nothing of the body is left to read (also when there is none) */
    bool rewindable;                       /* what read_body brings can be had again: rewind_body */
    const struct sockaddr *client, *local; /* the two ends of the client's connection; NULL: not known */
    abl_want_t want;                       /* affinity, key and client; the exchange has its own copy of it */
} abl_request_t;

/* How an exchange ended. */
typedef enum abl_end_t {
    ABL_END_NONE = 0,          /* it has not */
    ABL_END_OK,                /* the whole answer was handed over */
    ABL_END_REFUSED,           /* the request cannot be written as HTTP/1.1 */
    ABL_END_NO_MEMBER,         /* nobody could be reached */
    ABL_END_QUEUE_FULL,        /* no member was free, and the queue was full */
    ABL_END_CLIENT_QUEUE_FULL, /* the same, of the part of it that one client may hold */
    ABL_END_QUEUE_TIMEOUT,     /* no member became free in time */
    ABL_END_BROKEN,      /* the member closed without an answer, and the request may not be sent again */
    ABL_END_BAD_ANSWER,  /* the answer is malformed, ambiguous or over a limit */
    ABL_END_TIMEOUT,     /* no answer in time */
    ABL_END_SHORT,       /* the answer broke off after its head had been handed over */
    ABL_END_CLIENT_BODY, /* reading the request's body failed */
    ABL_END_CLIENT_GONE  /* the client left, or does not take the answer */
} abl_end_t;

#define ABL_TRIED_KEPT 8 /* members that a request was given to, by name; more are only counted */

/* What a request has met on its way. Times in µs. */
typedef struct abl_facts_t {
    int tries;          /* members that it was given to, second tries that have won included */
    bool hedged;        /* there was a second try beside a first */
    bool reused;        /* the last connection had carried requests before */
    bool waited;        /* it was in the queue, */
    int64_t queued;     /* for so long, all in all */
    int64_t connect;    /* at the last member: until the connection could be used; below 0: it never could */
    int64_t first_byte; /* from then on to the answer's first byte; below 0: none came */
    int tried[ABL_TRIED_KEPT]; /* members (indexes) in turn */
} abl_facts_t;

/* An answer's head: fields point into `bytes`, which are valid during the event only. */
typedef struct abl_answer_t {
    const abl_h1_head_t *head;
    const char *bytes;
    int member;
    const char *upgrade; /* on_upgrade's: the protocol, NUL-terminated, from the exchange's pool; else NULL */
} abl_answer_t;

/* What happens on the way. An event that returns an error and not APR_SUCCESS says that the client is gone.
 * `ctx` is the caller's. */
typedef struct abl_exchange_events_t {
    /* A 1xx answer other than 100 and 101. */
    apr_status_t (*on_interim)(void *ctx, const abl_answer_t *answer);
    /* The final answer's head. Once. */
    apr_status_t (*on_head)(void *ctx, const abl_answer_t *answer);
    /* 101: from now on read_body and on_data carry the new protocol's bytes. Instead of on_head. */
    apr_status_t (*on_upgrade)(void *ctx, const abl_answer_t *answer);
    /* Bytes of the body. They stay valid until the next on_pass or on_finish returns. */
    apr_status_t (*on_data)(void *ctx, const char *bytes, size_t len);
    /* Hand on what on_data has brought since the last time: its memory is about to be used again. */
    apr_status_t (*on_pass)(void *ctx);
    /* The trailer section of a chunked answer; fields only. Before on_finish, not always. */
    apr_status_t (*on_trailers)(void *ctx, const abl_answer_t *answer);
    /* The answer is complete: hand on everything and its end. */
    apr_status_t (*on_finish)(void *ctx);
    /* Reads the body after request->first. APR_SUCCESS: *len bytes (0 only with *end) are in `buffer`; *end:
     * the body is complete. APR_EAGAIN: wait for the client. Otherwise the exchange ends with CLIENT_BODY. */
    apr_status_t (*read_body)(void *ctx, char *buffer, size_t room, size_t *len, bool *end);
    /* The request is sent again: the next read_body brings what the first one brought. Called only where the
     * request is rewindable, else it may be NULL. */
    void (*rewind_body)(void *ctx);
    /* Trailers of a chunked request body, after its end: *n pairs. May be NULL. */
    const abl_h1_pair_t *(*body_trailers)(void *ctx, int *n);
    /* May more of the answer be read? NULL: always. False: on_data would have no place for it; the member
     * waits until run is called again and this says true. */
    bool (*has_room)(void *ctx);
    /* An attempt failed at `member` (`why` lives as long as the exchange's pool, and `rv` where there is a
     * reason) and another one follows. For the log. */
    void (*on_retry)(void *ctx, int member, const char *why, apr_status_t rv);
} abl_exchange_events_t;

/* What has happened, or is awaited; bits. */
#define ABL_READY_MEMBER_READ 1u
#define ABL_READY_MEMBER_WRITE 2u
#define ABL_READY_CLIENT_READ 4u /* the client has sent something, or ended, or is to be looked for */
#define ABL_READY_TIMEOUT 8u     /* the deadline has passed */
#define ABL_READY_CLIENT_GONE 16u
#define ABL_READY_CLIENT_WRITE 32u /* for drivers: the client takes more of the answer */

typedef struct abl_wait_t {
    bool queued;      /* it waits for a grant, perhaps for long: look after the client from the start */
    int fd;           /* the member's; while queued the ticket's, to be read */
    unsigned what;    /* MEMBER_READ, MEMBER_WRITE, CLIENT_READ; CLIENT_GONE: look whether the client left */
    int64_t deadline; /* abl_clock_now()'s scale; INT64_MAX: the client decides how long it takes */
    abl_conn_t *conn; /* whose descriptor it is; NULL: the ticket's, or none */
} abl_wait_t;

#endif
