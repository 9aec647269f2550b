/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of BalancerMember that are about TLS and the PROXY protocol.
 */
#ifndef ABL_HTTPD_TLS_KEYS_H
#define ABL_HTTPD_TLS_KEYS_H

#include "httpd/config.h"

/* Each takes the value of one key. Return NULL or a message. Parent. */
const char *abl_tls_set_verify(abl_member_t *m, const char *value);
const char *abl_tls_set_ca(abl_member_t *m, const char *value);
const char *abl_tls_set_name(abl_member_t *m, const char *value);
const char *abl_tls_set_cert(abl_member_t *m, const char *value);
const char *abl_tls_set_key(abl_member_t *m, const char *value);
const char *abl_tls_set_protocols(abl_member_t *m, const char *value);
const char *abl_tls_set_proxy(abl_member_t *m, const char *value);

/* When all keys of the line are known: do they belong together? Then reads the files of an https:// member,
 * which are relative to ServerRoot. `any`: some key about TLS was written. Returns NULL or a message. Parent.
 */
const char *abl_tls_finish(apr_pool_t *p, abl_member_t *m, bool any);

#endif
