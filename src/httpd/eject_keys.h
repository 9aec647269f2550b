/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerEject.
 */
#ifndef ABL_HTTPD_EJECT_KEYS_H
#define ABL_HTTPD_EJECT_KEYS_H

#include "httpd/config.h"

#define ABL_EJECT_DEFAULTS                                                                                   \
    ((abl_eject_conf_t){                                                                                     \
        .failures = 5, .rate = 50, .over = 30 * ABL_SECOND, .duration = 10 * ABL_SECOND, .max_share = 50})

/* Reads them into `eject`, which holds the defaults; *seen keeps what was read before, 0 at first. Returns
 * NULL or a message. Parent. */
const char *abl_eject_keys_parse(apr_pool_t *p, const char *args, abl_eject_conf_t *eject, unsigned *seen);

#endif
