/* SPDX-License-Identifier: Apache-2.0
 *
 * 503: what a client is told when nobody can serve it now.
 */
#ifndef ABL_HTTPD_UNAVAILABLE_H
#define ABL_HTTPD_UNAVAILABLE_H

#include "httpd/config.h"

typedef enum abl_unavailable_t {
    ABL_UNAVAILABLE_NO_MEMBER,
    ABL_UNAVAILABLE_QUEUE_FULL,
    ABL_UNAVAILABLE_CLIENT_QUEUE_FULL,
    ABL_UNAVAILABLE_QUEUE_TIMEOUT
} abl_unavailable_t;

/* Prepares httpd's answer: Retry-After, the reason as BALANCER_ERROR in the environment of an ErrorDocument,
 * and a page that says it where there is no ErrorDocument. Returns the status for the handler to return. */
int abl_unavailable(request_rec *r, const abl_balancer_t *balancer, abl_unavailable_t reason);

#endif
