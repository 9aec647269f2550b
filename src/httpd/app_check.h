/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known to be wrong with applications without starting any: what their lines alone do not tell.
 */
#ifndef ABL_HTTPD_APP_CHECK_H
#define ABL_HTTPD_APP_CHECK_H

#include "httpd/config.h"

/* Looks at all applications when the whole configuration has been read: is their program there, may httpd
 * obey user=, are there too many? Returns the number of mistakes, each of which is in the log, which is the
 * terminal during configtest. `p`: for a moment's use. Parent. */
int abl_app_check(apr_pool_t *p, server_rec *s);

#endif
