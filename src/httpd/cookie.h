/* SPDX-License-Identifier: Apache-2.0
 *
 * The cookies of a request.
 */
#ifndef ABL_HTTPD_COOKIE_H
#define ABL_HTTPD_COOKIE_H

#include "httpd.h"

#include <stdbool.h>

/* The value of the next cookie of this name (letters' case counts, as in browsers), without quotes around
 * it, copied to r->pool; NULL: there is none any more. *at is where to go on, NULL at first. */
const char *abl_cookie_next(request_rec *r, const char *name, const char **at);

/* Does a Set-Cookie field of this value set the cookie of this name? */
bool abl_cookie_is_set_by(const char *value, const char *name);

/* May a cookie, header field or parameter be called so? (RFC 9110's token.) */
bool abl_cookie_is_token(const char *name);

#endif
