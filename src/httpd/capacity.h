/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether httpd has room for as many waiting requests as the configuration allows.
 */
#ifndef ABL_HTTPD_CAPACITY_H
#define ABL_HTTPD_CAPACITY_H

#include "httpd/config.h"

/* Warns, with the numbers, where BalancerQueue length= promises more than the MPM or the limit of descriptors
 * holds. Parent, when the configuration was read. */
void abl_capacity_check(server_rec *s);

#endif
