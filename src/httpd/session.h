/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of the manager's readers, and the tokens that their actions need: a page of another site can make
 * a browser send a request with its cookies, but cannot read the token.
 */
#ifndef ABL_HTTPD_SESSION_H
#define ABL_HTTPD_SESSION_H

#include "httpd/config.h"

#define ABL_TOKEN_FIELD "X-Balancer-Token"

/* The token of the request's session; a request without one begins one, with a cookie. NULL: no random bytes,
 * or no segment. Worker. */
const char *abl_session_token(request_rec *r);

/* NULL, or why an action must not be done, in words for whoever has sent it: no session, a token that is not
 * its, or another origin (the field Origin, and Sec-Fetch-Site). */
const char *abl_session_refusal(request_rec *r);

#endif
