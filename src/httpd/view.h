/* SPDX-License-Identifier: Apache-2.0
 *
 * From httpd's request to what the engine sends.
 */
#ifndef ABL_HTTPD_VIEW_H
#define ABL_HTTPD_VIEW_H

#include "httpd/body.h"

/* Finds out how the body is framed. OK, or the HTTP status to answer instead. Memory: r->pool. */
int abl_view_begin(request_rec *r, abl_request_t *request);

/* Is there a body? After begin. */
bool abl_view_has_body(const abl_request_t *request);

/* Fills in the rest of *request: method, target as the client sent it, host, end-to-end fields, upgrade, and
 * the beginning of the body: what was collected, or what has come so far. OK, or the HTTP status to answer
 * instead. */
int abl_view_finish(request_rec *r, const abl_retry_conf_t *retry, abl_body_t *body, abl_request_t *request);

#endif
