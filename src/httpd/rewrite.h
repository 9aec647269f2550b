/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of answers in which a member names its own address, made good for the client.
 */
#ifndef ABL_HTTPD_REWRITE_H
#define ABL_HTTPD_REWRITE_H

#include "httpd/config.h"

/* The value of this field as the client should see it: `value` itself, or a new one from r->pool. Fields
 * looked at: Location, Content-Location, URI, Refresh, Set-Cookie. */
const char *abl_rewrite_value(request_rec *r, const abl_member_url_t *own, const char *name,
                              const char *value);

#endif
