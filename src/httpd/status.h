/* SPDX-License-Identifier: Apache-2.0
 *
 * Seeing and steering: SetHandler balancer-status and balancer-manager (docs/steering.md).
 */
#ifndef ABL_HTTPD_STATUS_H
#define ABL_HTTPD_STATUS_H

#include "httpd/config.h"

/* handler hook: the page, JSON, figures and the stream, for GET and HEAD; actions for POST, with a manager.
 */
int abl_status_handler(request_rec *r);

#endif
