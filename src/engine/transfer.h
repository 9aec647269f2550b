/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of an exchange, shared by exchange.c (its life), orphans.c (its life without a client),
 * transfer.c (its time on a connection), receive.c and send.c (the bytes), release.c (its end), and nobody
 * else. Calls go down that list only.
 */
#ifndef ABL_ENGINE_TRANSFER_H
#define ABL_ENGINE_TRANSFER_H

#include "engine/exchange_types.h"
#include "wire/h1_body.h"
#include "wire/h1_chunk.h"

#include <apr_strings.h>

/* What a receiver says about the bytes in the connection's buffer. */
typedef enum abl_receive_t {
    ABL_RECEIVE_MORE,  /* used what it could, needs more */
    ABL_RECEIVE_AGAIN, /* the next receiver has been installed, bytes may be left for it */
    ABL_RECEIVE_ENDED  /* the answer is complete, or x->end is set */
} abl_receive_t;

/* Which deadline runs. */
typedef enum abl_deadline_t {
    ABL_DEADLINE_GAP,
    ABL_DEADLINE_RESPONSE,
    ABL_DEADLINE_HEAD,
    ABL_DEADLINE_HOLD,
    ABL_DEADLINE_CLIENT,
    ABL_DEADLINE_TUNNEL,
    ABL_DEADLINE_STUCK,
    ABL_DEADLINE_MORE /* none: it goes on as soon as others had their turn */
} abl_deadline_t;

#define ABL_SEND_VECTORS 4 /* the head, then the first chunk's size line, data and CRLF */

typedef struct abl_exchange_t abl_exchange_t;

struct abl_exchange_t {
    apr_pool_t *pool;
    const abl_balancer_t *balancer;
    const abl_timeouts_t *timeouts;
    int64_t client_timeout;
    const abl_request_t *request;
    const abl_exchange_events_t *events;
    void *ctx;

    bool (*step)(abl_exchange_t *x); /* true: call the (possibly new) step again; false: wait */
    unsigned ready;                  /* what the driver said, for the first step of this run */
    abl_wait_t wait;
    int64_t now; /* when this run began: as good as now, unless the client's side has waited in between */
    int64_t started;

    /* the queue */
    abl_want_t want;      /* the request's, with what has been tried */
    abl_ticket_t *ticket; /* owned; NULL: it does not wait */
    int64_t queue_until;  /* 0: it has not waited yet */
    int64_t queued_at;    /* when it began to wait last */

    /* the attempt */
    int member;            /* the one that is tried; -1: none */
    int last_member;       /* the last one a lease was held of; -1: none yet */
    int64_t taken_at;      /* when it was taken */
    int64_t stuck_at;      /* when the member is accused of being stuck with it; INT64_MAX: never */
    int64_t connect_until; /* of this address; 0: not begun */
    int address;           /* which of its addresses */
    int resends;           /* attempts that followed one which may have reached a member */
    bool leased;           /* its lease is held */
    bool greeting_failed;  /* somebody accepts connections there, and TLS comes to nothing */
    bool waits_for_slot;   /* too many others connect to this member */
    bool connecting;       /* it is counted in balancer->connecting */
    bool client_was_slow;  /* the member had to wait for the client when it was last looked at */
    bool fresh_only;       /* no kept connection this time */
    bool sent_ever;        /* some member may have seen some of the request */
    bool body_begun;       /* read_body was called: the request cannot be repeated unless it is rewindable */
    abl_conn_t *conn;      /* owned; NULL between attempts */

    /* what goes before the request */
    char greeting[ABL_PROXY_MAX]; /* the PROXY protocol's header */
    size_t greeting_len, greeted; /* bytes of it, and how many of them are sent */

    /* sending: the vectors first, then refill() makes more; refill == NULL and no vectors: all sent */
    void (*refill)(abl_exchange_t *x);
    struct iovec vectors[ABL_SEND_VECTORS];
    int nvectors;
    bool sent_here;     /* this connection's socket took some of the request */
    bool can_write;     /* the socket is not known to be full */
    bool wants_client;  /* read_body said APR_EAGAIN */
    bool sending_broke; /* the member does not take more; its answer may be there all the same */
    uint64_t body_sent; /* bytes of the body handed to the socket's vectors */
    char *piece;        /* ABL_BODY_PIECE bytes with room for chunk framing; NULL until needed */

    /* receiving */
    abl_receive_t (*receive)(abl_exchange_t *x);
    int64_t first_byte_at; /* of the answer on this connection; 0: not yet */
    int64_t head_until;    /* the final head is here and is kept back until then; 0: it is not */
    bool can_read;         /* the socket may have something */
    bool answered;         /* the answer is complete */
    bool unpassed;         /* on_data was called after the last on_pass */
    bool head_done;        /* on_head or on_upgrade was called */
    bool unwanted;         /* the final head is in the buffer, and another member's may be better */
    bool judged;           /* but this one is to be passed on */
    int head_status;       /* of the final head */
    bool tunnel;
    bool keep; /* the connection may go back to the pool when the exchange has ended */
    int interims;
    int turned_away;     /* status of an answer that was given up for another member's; 0: none was */
    int unwanted_status; /* of the head that is looked at, where it may be given up */
    int spared;          /* how often a member that was not there was not counted as tried */
    int64_t rest;        /* for so long the member wants to be left alone, µs; 0: it has not said */
    apr_uint64_t what;   /* an orphan's abl_outcome_t.what; 0: not needed yet */
    uint64_t left;       /* of a body with a length */
    abl_h1_body_t body;
    abl_h1_chunk_t chunk;

    /* a second try beside this one, see hedge.h */
    abl_exchange_t *rival; /* NULL: there is none */
    int64_t own_deadline;  /* the one that wait.deadline would be without it; 0: that is it */
    int race_plus_one;     /* the epoll of both; 0: none */
    bool is_rival;         /* it is one */
    bool hedged;           /* there was one, or should have been */

    /* time */
    abl_deadline_t deadline_kind;
    bool moved; /* a byte went through since `quiet_since` */
    int64_t quiet_since;
    int64_t sent_at;    /* when the request was complete; 0: it is not */
    int64_t hold_until; /* a body is held back for 100 Continue, no refill; 0: it is not */

    /* for abl_exchange_facts() */
    abl_facts_t facts;
    int64_t usable_at; /* when the connection could be used; 0: not yet */

    abl_end_t end;
    abl_end_t ended_as; /* an orphan: how it ended for the client, which says who is to blame; else NONE */
    abl_end_t last_failure; /* what it would be if no other member is left */
    const char *why;
    apr_status_t why_rv;

    abl_h1_head_t head; /* last, and not cleared: see abl_exchange_make() */
};

/* Ends the exchange. */
static inline void abl_transfer_finish(abl_exchange_t *x, abl_end_t end, const char *why, apr_status_t rv)
{
    x->end = end;
    x->why = why;
    x->why_rv = rv;
}

/* release.c: what the request is about is kept in x->what, because the request will be gone. */
void abl_release_remember(abl_exchange_t *x);

/* release.c: it does not connect any more. */
void abl_release_connecting(abl_exchange_t *x);

/* What TLS says is wrong with the connection, behind ABL_WHY_TLS; `otherwise` where it says nothing. *rv
 * becomes APR_SUCCESS where it says all. */
static inline const char *abl_transfer_why(const abl_exchange_t *x, const char *otherwise, apr_status_t *rv)
{
    const char *why = x->conn != NULL ? abl_conn_why(x->conn) : NULL;

    if (why == NULL || x->pool == NULL) { /* an orphan has no pool, and nobody asks why it ended */
        return otherwise;
    }
    *rv = APR_SUCCESS;
    return apr_pstrcat(x->pool, ABL_WHY_TLS, why, NULL);
}

/* release.c: gives back whatever is held; the connection to the pool if `keep` and it has one. */
void abl_release(abl_exchange_t *x, bool keep);

/* release.c: the answer is complete, the client does not have it yet: a lease whose connection will not be
 * kept is given back now. (One that will be kept goes together with it, or the member would be occupied by
 * it.) */
void abl_release_early(abl_exchange_t *x);

/* Is all of the request still here, and may a member that has seen it be followed by another one? */
static inline bool abl_may_send_again(const abl_exchange_t *x)
{
    return x->request->repeatable && (!x->body_begun || x->request->rewindable);
}

/* The same, where an answer may have begun: has the client seen nothing of it? And is it still one of the
 * attempts? `on`: ABL_RETRY_*, what has happened. */
static inline bool abl_may_turn_away(const abl_exchange_t *x, unsigned on)
{
    const abl_retry_conf_t *retry = &x->balancer->retry;

    return (retry->on & on) != 0 && !x->head_done && x->interims == 0 && abl_may_send_again(x) &&
           x->resends < retry->attempts && x->now - x->started <= retry->time;
}

/* send.c: begins to send the request on the connection that has just been made or taken. */
void abl_send_begin(abl_exchange_t *x);

/* send.c: sends until the socket is full, the client has to be awaited, or everything is sent. */
void abl_send_pump(abl_exchange_t *x);

/* send.c: 100 Continue has come, or need not be waited for any longer. */
void abl_send_body(abl_exchange_t *x);

/* send.c: from now on whatever the client sends goes to the member as it is. */
void abl_send_tunnel(abl_exchange_t *x);

/* send.c: nothing more of the request is sent. */
void abl_send_stop(abl_exchange_t *x);

static inline bool abl_send_pending(const abl_exchange_t *x)
{
    return x->nvectors > 0 || x->refill != NULL;
}

/* receive.c: ready for the answer's first byte. */
void abl_receive_begin(abl_exchange_t *x);

/* receive.c: the event that refused what came is replaced: what it has not taken comes again. */
void abl_receive_resume(abl_exchange_t *x);

/* receive.c: the head of an answer is kept back no longer. */
void abl_receive_let_go(abl_exchange_t *x);

/* receive.c: whatever comes is no answer any more: it is read until the member closes. */
void abl_receive_drain(abl_exchange_t *x);

/* receive.c: has everything passed on that on_data was given. False: the client is gone, x->end is set. */
bool abl_receive_pass(abl_exchange_t *x);

/* receive.c: may more of the answer be read? */
bool abl_receive_may(const abl_exchange_t *x);

/* receive.c: reads until the socket is empty or the answer has ended. False: the connection failed before any
 * byte of an answer (x->why, x->why_rv). */
bool abl_receive_pump(abl_exchange_t *x);

typedef enum abl_transfer_t {
    ABL_TRANSFER_WAIT,      /* x->wait says for what */
    ABL_TRANSFER_ENDED,     /* x->end is set */
    ABL_TRANSFER_UNWANTED,  /* x->unwanted; with x->judged the next run passes the answer on */
    ABL_TRANSFER_UNANSWERED /* the connection failed before any byte of an answer */
} abl_transfer_t;

/* transfer.c: begins on the connection that has just been made or taken. */
void abl_transfer_begin(abl_exchange_t *x);

/* transfer.c: sends and receives until both wait. `ready`: what the driver said. */
abl_transfer_t abl_transfer_run(abl_exchange_t *x, unsigned ready);

#endif
