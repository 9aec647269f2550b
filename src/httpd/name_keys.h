/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of BalancerMember that are about names: expand= and resolve=; and what goes with a name.
 */
#ifndef ABL_HTTPD_NAME_KEYS_H
#define ABL_HTTPD_NAME_KEYS_H

#include "httpd/config.h"

/* Each returns NULL, or what was expected. Parent. */
const char *abl_name_set_expand(abl_member_t *member, const char *value);
const char *abl_name_set_resolve(abl_member_t *member, const char *value);

/* Which keys of the line were written. */
typedef struct abl_name_seen_t {
    bool expand, resolve, route, weight;
} abl_name_seen_t;

/* Is it a name, and what follows from that? Returns NULL or a message. Parent. */
const char *abl_name_check(apr_pool_t *p, abl_member_t *member, const abl_name_seen_t *seen);

#endif
