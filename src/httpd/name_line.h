/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerMember lines with a name: their members, and what the control process has to know about them.
 */
#ifndef ABL_HTTPD_NAME_LINE_H
#define ABL_HTTPD_NAME_LINE_H

#include "httpd/config.h"

/* Adds the member or, one for each slot, the members that this line stands for. `member`: what its keys say.
 * Returns NULL, or a message that begins with the directive's name. Parent. */
const char *abl_name_line_add(apr_pool_t *p, abl_section_t *section, const abl_member_t *member);

/* The names of all sections. Parent. */
const abl_name_conf_t *abl_name_line_collect(apr_pool_t *p, int *n);

#endif
