/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens when the configuration has been read, when a child begins and when one has ended.
 */
#ifndef ABL_HTTPD_LIFECYCLE_H
#define ABL_HTTPD_LIFECYCLE_H

#include "httpd/config.h"

#include "ap_mpm.h"

/* post_config hook: host names become addresses, and the balancers are entered into the ledger, which is made
 * at the first time and stays as long as the parent. */
int abl_lifecycle_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* child_init hook: gives every balancer what it needs in a child, and starts the module's threads. Ends the
 * child with APEXIT_CHILDSICK when that fails. */
void abl_lifecycle_child_init(apr_pool_t *pchild, server_rec *s);

/* child_status hook: what a dead child held is given back. */
void abl_lifecycle_child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                                mpm_child_status status);

/* The ledger's segment; NULL: there is no balancer. Any process. */
abl_segment_t *abl_lifecycle_segment(void);

#endif
