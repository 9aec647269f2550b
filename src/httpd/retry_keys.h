/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerRetry.
 */
#ifndef ABL_HTTPD_RETRY_KEYS_H
#define ABL_HTTPD_RETRY_KEYS_H

#include "httpd/config.h"

/* Reads them into `retry`, which holds the defaults; *seen keeps what was read before, 0 at first. Returns
 * NULL or a message. Parent. */
const char *abl_retry_keys_parse(apr_pool_t *p, const char *args, abl_retry_conf_t *retry, unsigned *seen);

#endif
