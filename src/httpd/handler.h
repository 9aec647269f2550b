/* SPDX-License-Identifier: Apache-2.0
 *
 * The content handler.
 */
#ifndef ABL_HTTPD_HANDLER_H
#define ABL_HTTPD_HANDLER_H

#include "httpd/config.h"

/* handler hook: serves requests whose handler is "balancer:NAME". */
int abl_handler(request_rec *r);

/* child_init hook: gives every balancer what it needs in a child, and starts the sweeper. Ends the child with
 * APEXIT_CHILDSICK when that fails. */
void abl_handler_child_init(apr_pool_t *pchild, server_rec *s);

#endif
