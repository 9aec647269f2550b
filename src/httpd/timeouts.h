/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerTimeout's arguments.
 */
#ifndef ABL_HTTPD_TIMEOUTS_H
#define ABL_HTTPD_TIMEOUTS_H

#include "httpd/config.h"

/* Reads `key=time` words into *timeouts, whose unset ones are ABL_UNSET. NULL or a message. */
const char *abl_timeouts_parse(apr_pool_t *p, const char *args, abl_timeouts_t *timeouts);

#endif
