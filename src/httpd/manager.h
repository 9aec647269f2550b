/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions: what POST does at a location whose handler is balancer-manager (docs/steering.md).
 */
#ifndef ABL_HTTPD_MANAGER_H
#define ABL_HTTPD_MANAGER_H

#include "httpd/status_json.h"

/* What the request's reader may do here. Worker. */
void abl_manager_steering(request_rec *r, abl_steering_t *steering);

/* A POST. The handler's return value; the answer is JSON. Worker. */
int abl_manager_post(request_rec *r);

#endif
