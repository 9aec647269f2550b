/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a request is hashed: the KEY of BalancerMethod, and the client's address.
 */
#ifndef ABL_HTTPD_KEY_H
#define ABL_HTTPD_KEY_H

#include "httpd/config.h"

#define ABL_KEY_FORMS "header:NAME, cookie:NAME, uri, client or expr:EXPRESSION"

/* Reads the KEY of BalancerMethod. Returns NULL or a message. Parent. */
const char *abl_key_parse(cmd_parms *cmd, const char *word, abl_key_t *key);

/* The hash of what `key` names in this request. False: the request has no such thing, or it is empty. */
bool abl_key_of(request_rec *r, const abl_key_t *key, apr_uint64_t *hash);

/* The hash of the client's address: for IPv6 of its /64, which is what one customer gets. Never 0. */
apr_uint64_t abl_key_of_client(const request_rec *r);

#endif
