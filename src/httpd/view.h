/* SPDX-License-Identifier: Apache-2.0
 *
 * From httpd's request to what the engine sends.
 */
#ifndef ABL_HTTPD_VIEW_H
#define ABL_HTTPD_VIEW_H

#include "httpd/body.h"

/* Fills in *request: method, target as the client sent it, host, end-to-end fields, upgrade, and the
 * beginning of the body: with `ahead` up to ABL_BODY_AHEAD of it, waited for. OK, or the HTTP status to
 * answer instead. Memory: r->pool. */
int abl_view_make(request_rec *r, abl_body_t *body, abl_request_t *request, bool ahead);

#endif
