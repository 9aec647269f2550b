/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerHealthCheck.
 */
#ifndef ABL_HTTPD_CHECK_KEYS_H
#define ABL_HTTPD_CHECK_KEYS_H

#include "httpd/config.h"

/* Reads them into `check`; *seen keeps what was read before, 0 at first. Returns NULL or a message. Parent.
 */
const char *abl_check_keys_parse(apr_pool_t *p, const char *args, abl_check_conf_t *check, unsigned *seen);

/* The section is complete: looks at what its words mean together. Returns NULL or a message. Parent. */
const char *abl_check_keys_finish(apr_pool_t *p, const abl_section_t *section);

#endif
