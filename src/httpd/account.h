/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told about a request afterwards: variables for log lines, the Server-Timing field, and the counters
 * of its balancer.
 */
#ifndef ABL_HTTPD_ACCOUNT_H
#define ABL_HTTPD_ACCOUNT_H

#include "engine/ends.h"
#include "engine/exchange.h"
#include "httpd/config.h"

/* Of one request, from its handler on; in its pool, and named by its note (route.h). */
typedef struct abl_account_t {
    const abl_section_t *section;
    int session;      /* the member (index) that the request belongs to by affinity; -1: none */
    bool ended;       /* the rest is filled in: */
    bool head_passed; /* the client may have seen the answer's beginning */
    abl_end_t end;
    apr_status_t error; /* with it */
    int member;         /* the last one tried; -1: none */
    uint64_t in;        /* bytes of the request's body that were read */
    abl_facts_t facts;
} abl_account_t;

/* A request begins: its log line can say so from now on. Its handler. */
void abl_account_begin(request_rec *r, abl_account_t *account, const abl_section_t *section, int session);

/* An answer's head is here, of this member: variables that fields of the answer may be made of (mod_proxy's
 * names), and Server-Timing. Before the head is passed on. */
void abl_account_head(request_rec *r, const abl_account_t *account, const abl_exchange_t *x, int member);

/* The exchange has ended; before it is closed. NULL: it never began, and `end` says why. */
void abl_account_end(request_rec *r, abl_account_t *account, const abl_exchange_t *x, abl_end_t end);

/* log_transaction, before whoever writes lines. */
int abl_account_log(request_rec *r);

#endif
