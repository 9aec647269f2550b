/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer's list of members, while the configuration is read.
 */
#ifndef ABL_HTTPD_MEMBERS_H
#define ABL_HTTPD_MEMBERS_H

#include "httpd/config.h"

/* Adds a copy of a member. Returns NULL, or a message, that begins with the directive's name, about what the
 * member has in common with another one. Parent. */
const char *abl_members_add(apr_pool_t *p, abl_section_t *section, const char *directive,
                            const abl_member_t *member);

#endif
