/* SPDX-License-Identifier: Apache-2.0
 *
 * What can only be checked when the whole configuration has been read.
 */
#ifndef ABL_HTTPD_CHECK_H
#define ABL_HTTPD_CHECK_H

#include "httpd/config.h"

/* Forgets what abl_check_scope_route() remembered. Parent, before each reading. */
void abl_check_reset(void);

/* Remembers a route of a <Location> or <Directory> until all balancers are known; checks one of an .htaccess
 * file at once. NULL or a message. */
const char *abl_check_scope_route(cmd_parms *cmd, abl_route_t *route);

/* The check_config hook: finds the balancer of every route and of every handler name, says what is wrong on
 * the error log (which is the terminal during configtest), and notes which servers' routes may be overruled
 * by a directory. OK or HTTP_INTERNAL_SERVER_ERROR. */
int abl_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

#endif
