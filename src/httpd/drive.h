/* SPDX-License-Identifier: Apache-2.0
 *
 * Driving one request's exchange: on the worker alone, or, where the request can be parked, on the worker
 * for a moment and then wherever there is something to do.
 */
#ifndef ABL_HTTPD_DRIVE_H
#define ABL_HTTPD_DRIVE_H

#include "engine/inline.h"
#include "engine/stash.h"
#include "httpd/account.h"
#include "httpd/respond.h"

#define ABL_INLINE_OFF (-2) /* no request is parked */
#define ABL_INLINE_DEFAULT (5 * ABL_MS)
#define ABL_INLINE_MAX (1 * ABL_SECOND)

typedef struct abl_drive_t abl_drive_t;

/* All of one request, in r->pool. One owner at a time: a worker, or the loop. */
struct abl_drive_t {
    abl_respond_t respond;
    abl_body_t body;
    abl_request_t request;
    abl_timeouts_t timeouts;
    abl_account_t account;
    const abl_exchange_events_t *events; /* the handler's; their ctx is &respond */
    abl_exchange_t *x;                   /* NULL: it has not begun */
    abl_inline_client_t client;
    uint64_t enough;                  /* bytes of the request's body are read before the exchange begins */
    int (*begin)(abl_drive_t *drive); /* the handler's: makes the exchange. OK, or the status; worker */
    /* The handler's: what it returns when the request got no further, because of this status; worker. */
    int (*refuse)(abl_drive_t *drive, int status);
    int (*conclude)(abl_drive_t *drive); /* the handler's: what it returns when all is over; worker */

    /* A request that can be parked. */
    bool parkable;
    abl_stash_t stash;
    bool stashing;        /* the exchange's events go into the stash */
    bool over;            /* the exchange has ended; the stash may still hold some of the answer */
    bool client_gone;     /* nobody takes the answer any more, nor what is left of it in the stash */
    unsigned ready;       /* what has happened, for the next run */
    int64_t watch_from;   /* until then a client that ends its side is not looked for: the answer may come;
                           * 0: it has not waited since something happened */
    int64_t client_until; /* when a client that takes nothing is given up; INT64_MAX: it is not waited for */
};

#define ABL_DRIVE_ALL UINT64_MAX /* of a body, however long it is */

/* Drives a request. The handler returns what this returns: SUSPENDED, or what
 * `conclude` says. Worker, in the handler. */
int abl_drive(abl_drive_t *drive);

/* How long a worker of this server waits before it parks a request, µs; negative: for ever. Anybody. */
int64_t abl_drive_patience(const server_rec *s);

/* child_init. */
void abl_drive_child_init(void);

#endif
