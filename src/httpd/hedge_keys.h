/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerHedge.
 */
#ifndef ABL_HTTPD_HEDGE_KEYS_H
#define ABL_HTTPD_HEDGE_KEYS_H

#include "httpd/config.h"

/* Reads them into `hedge`, which is all zero at first; *seen keeps what was read before, 0 at first. Returns
 * NULL or a message. Parent. */
const char *abl_hedge_keys_parse(apr_pool_t *p, const char *args, abl_hedge_conf_t *hedge, unsigned *seen);

#endif
