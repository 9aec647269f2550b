/* SPDX-License-Identifier: Apache-2.0
 *
 * The content handler.
 */
#ifndef ABL_HTTPD_HANDLER_H
#define ABL_HTTPD_HANDLER_H

#include "httpd/config.h"

/* handler hook: serves requests whose handler is "balancer:NAME". */
int abl_handler(request_rec *r);

/* fixups hook, the last: what others answer may take long. */
int abl_handler_fixup(request_rec *r);

#endif
