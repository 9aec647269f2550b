/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose page SetHandler balancer-manager means, where mod_proxy_balancer is loaded as well.
 */
#ifndef ABL_HTTPD_BESIDE_PROXY_H
#define ABL_HTTPD_BESIDE_PROXY_H

#include "httpd/config.h"

#include <stdbool.h>

/* check_config hook: looks whether mod_proxy has balancers. */
int abl_beside_proxy_look(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* The handler balancer-manager is left to mod_proxy_balancer. */
bool abl_beside_proxy_is_theirs(void);

#endif
