/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerResolver: which DNS servers are asked for members that are written by a name.
 */
#ifndef ABL_HTTPD_RESOLVER_KEYS_H
#define ABL_HTTPD_RESOLVER_KEYS_H

#include "httpd/config.h"

/* Forgets what was said: the configuration is about to be read (again). Parent. */
void abl_resolver_keys_reset(void);

/* For the table of directives. Parent. */
const char *abl_resolver_keys_parse(cmd_parms *cmd, void *dir, const char *args);

/* What holds. */
abl_resolver_conf_t abl_resolver_keys_conf(void);

#endif
