/* SPDX-License-Identifier: Apache-2.0
 *
 * The directives: their table, and the <Balancer> section.
 */
#ifndef ABL_HTTPD_DIRECTIVES_H
#define ABL_HTTPD_DIRECTIVES_H

#include "httpd/config.h"

/* The module's commands, for the module record. */
extern const command_rec abl_directives[];

/* Opens <Balancer NAME> and reads everything in it; see section.c. */
const char *abl_section_open(cmd_parms *cmd, void *dir, const char *args);

/* What the directives of the section say where they do not belong. mod_proxy owns a directive of the
 * first name, so ours declines when mod_proxy is loaded. */
const char *abl_section_outside(cmd_parms *cmd, void *dir, const char *args);

#endif
