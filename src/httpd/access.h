/* SPDX-License-Identifier: Apache-2.0
 *
 * Is there any access control where a request was let in?
 */
#ifndef ABL_HTTPD_ACCESS_H
#define ABL_HTTPD_ACCESS_H

#include "httpd/config.h"

/* Would a stranger have been let in, who comes from an address of nobody's (192.0.2.1, RFC 5737), without a
 * user, a client certificate, header fields or variables? False: something keeps strangers out, such as
 * Require ip, Require valid-user or Require local. Worker. */
bool abl_access_is_open(request_rec *r);

#endif
