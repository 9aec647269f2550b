/* SPDX-License-Identifier: Apache-2.0
 *
 * mod_status's page: a line for each balancer, and what its list of workers does not show.
 */
#ifndef ABL_HTTPD_STATUS_EXTEND_H
#define ABL_HTTPD_STATUS_EXTEND_H

#include "httpd.h"

/* mod_status's hook. */
int abl_status_extend(request_rec *r, int flags);

#endif
