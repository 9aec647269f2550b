/* SPDX-License-Identifier: Apache-2.0
 *
 * The key=value words of BalancerMember.
 */
#ifndef ABL_HTTPD_MEMBER_KEYS_H
#define ABL_HTTPD_MEMBER_KEYS_H

#include "httpd/config.h"

/* Fills in everything of `member` but its URL, which is known, and its addresses. Returns NULL or a message.
 * Parent. */
const char *abl_member_keys_parse(apr_pool_t *p, const char *args, abl_member_t *member);

#endif
