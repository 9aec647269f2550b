/* SPDX-License-Identifier: Apache-2.0
 *
 * What the application is told about the client: X-Forwarded-For, -Proto, -Host, -Port and Forwarded.
 */
#ifndef ABL_HTTPD_FORWARDED_H
#define ABL_HTTPD_FORWARDED_H

#include "httpd/config.h"
#include "wire/h1_request.h"

/* Pairs that abl_forwarded_add() adds at most. */
#define ABL_FORWARDED_PAIRS 5

/* fixups, before mod_headers: abl_forwarded_strip() for a request that is likely to be ours. */
int abl_forwarded_fixup(request_rec *r);

/* Removes what a client that is not BalancerTrusted says about itself (Forwarded, X-Forwarded-*, X-Real-IP),
 * and the fields that a client's Connection field names. */
void abl_forwarded_strip(request_rec *r);

/* Was that done for this request, or one that it was made from? What is there since then was put there by the
 * administrator. */
bool abl_forwarded_stripped(request_rec *r);

/* Appends the fields that BalancerForwarded asks for to `pairs`; returns how many. `host`: the client's Host,
 * or NULL. Continues and believes what abl_forwarded_strip() has left; the caller must not send a field of
 * the same name as well. */
int abl_forwarded_add(request_rec *r, const char *host, abl_h1_pair_t *pairs);

/* The scheme and host that the client used, as far as known: for URLs in answers. */
const char *abl_forwarded_scheme(const request_rec *r);
const char *abl_forwarded_host(const request_rec *r);

#endif
