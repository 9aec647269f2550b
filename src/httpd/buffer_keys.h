/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerBuffer.
 */
#ifndef ABL_HTTPD_BUFFER_KEYS_H
#define ABL_HTTPD_BUFFER_KEYS_H

#include "httpd/config.h"

/* As if nothing was said. */
void abl_buffer_defaults(apr_pool_t *p, abl_buffer_conf_t *buffer);

/* Reads them into `buffer`, which holds the defaults; *seen keeps what was read before, 0 at first. Returns
 * NULL or a message. Parent. */
const char *abl_buffer_keys_parse(apr_pool_t *p, const char *args, abl_buffer_conf_t *buffer, unsigned *seen);

#endif
