/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerQueue.
 */
#ifndef ABL_HTTPD_QUEUE_KEYS_H
#define ABL_HTTPD_QUEUE_KEYS_H

#include "httpd/config.h"

/* Reads them into `queue`, which holds the defaults; *seen keeps what was read before, 0 at first. Returns
 * NULL or a message. Parent. */
const char *abl_queue_keys_parse(apr_pool_t *p, const char *args, abl_queue_conf_t *queue, unsigned *seen);

#endif
