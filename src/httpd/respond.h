/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer, from the engine's events into httpd's output filters.
 */
#ifndef ABL_HTTPD_RESPOND_H
#define ABL_HTTPD_RESPOND_H

#include "httpd/account.h"
#include "httpd/body.h"

/* One answer on its way to the client; owned by the thread that owns the exchange. */
typedef struct abl_respond_t {
    request_rec *r;
    abl_body_t *body;
    const abl_section_t *section;
    const abl_balancer_t *balancer; /* the section's */
    const abl_account_t *account;
    abl_exchange_t *const *x; /* whose answer it is */
    apr_bucket_brigade *bb;
    bool unflushed;   /* something was passed on that the filters may hold back */
    bool unblocked;   /* nothing waits for the client: see abl_respond_has_room() */
    bool head_passed; /* the client may have seen the answer's beginning */
    bool tunnel;
    int override_status;   /* the answer is replaced by httpd's error document; 0: it is not */
    apr_size_t overridden; /* bytes of it thrown away */
} abl_respond_t;

/* The answer's part of the engine's events; `ctx` is an abl_respond_t. */
apr_status_t abl_respond_interim(void *ctx, const abl_answer_t *answer);
apr_status_t abl_respond_head(void *ctx, const abl_answer_t *answer);
apr_status_t abl_respond_upgrade(void *ctx, const abl_answer_t *answer);
apr_status_t abl_respond_data(void *ctx, const char *bytes, size_t len);
apr_status_t abl_respond_pass(void *ctx);
apr_status_t abl_respond_trailers(void *ctx, const abl_answer_t *answer);
apr_status_t abl_respond_finish(void *ctx);

/* Does the client take more, if it is not to be waited for? */
bool abl_respond_has_room(void *ctx);

/* Is something of the answer still held back on our side? And sends it; for the driver, before it waits. */
bool abl_respond_unflushed(void *ctx);
apr_status_t abl_respond_flush(void *ctx);

/* The answer broke off after its head: ends the client's connection so that what it got cannot be taken for
 * the whole. */
void abl_respond_abort(abl_respond_t *respond);

#endif
