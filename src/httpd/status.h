/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger for reading: SetHandler balancer-status.
 */
#ifndef ABL_HTTPD_STATUS_H
#define ABL_HTTPD_STATUS_H

#include "httpd/config.h"

/* handler hook: JSON, for requests whose handler is "balancer-status". GET and HEAD only. */
int abl_status_handler(request_rec *r);

/* mod_status's hook: what its list of workers does not show. */
int abl_status_extend(request_rec *r, int flags);

#endif
