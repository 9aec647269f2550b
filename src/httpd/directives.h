/* SPDX-License-Identifier: Apache-2.0
 *
 * The directives: their table, and the pieces that the table and the <Balancer> section share.
 */
#ifndef ABL_HTTPD_DIRECTIVES_H
#define ABL_HTTPD_DIRECTIVES_H

#include "httpd/config.h"

/* The module's commands, for the module record. */
extern const command_rec abl_directives[];

/* Opens <Balancer NAME> and reads everything in it; see section.c. */
const char *abl_section_open(cmd_parms *cmd, void *dir, const char *args);

/* What `BalancerMember`, `BalancerMethod` say where they do not belong. mod_proxy owns a directive of the
 * first name, so they decline when it is loaded. */
const char *abl_section_outside(cmd_parms *cmd, void *dir, const char *args);

/* Reads `key=time` words of BalancerTimeout into *timeouts, whose unset ones are ABL_UNSET. NULL or a
 * message. */
const char *abl_directive_timeouts(apr_pool_t *p, const char *args, abl_timeouts_t *timeouts);

/* A message that begins with an id. */
#define ABL_CONFIG_ERROR(pool, id, ...) apr_pstrcat(pool, id ": ", apr_psprintf(pool, __VA_ARGS__), NULL)

#endif
