/* SPDX-License-Identifier: Apache-2.0
 *
 * The addresses at which a member can be reached now: its own, or those that its name stands for, which may
 * change at any moment (ledger/site.h). Child; any thread.
 */
#ifndef ABL_ENGINE_REACH_H
#define ABL_ENGINE_REACH_H

#include "engine/balancer.h"

/* How many there are now; 0: nobody is there. */
int abl_reach_count(const abl_balancer_t *balancer, int member);

/* What it is called: its URL as it is configured, or of one that was added at run time (ABL_NAMING_OPEN) the
 * URL of where it is now, which is made from `pool` into *own. */
const abl_member_url_t *abl_reach_url(const abl_balancer_t *balancer, int member, apr_pool_t *pool,
                                      abl_member_url_t *own);

/* Starts to connect to one of them, as abl_conn_open(). APR_EHOSTUNREACH: there are not so many (any more).
 */
apr_status_t abl_reach_open(const abl_balancer_t *balancer, int member, int address, int64_t now,
                            abl_conn_t **conn);

/* Does an idle connection lead where the member is now? Costs one load where nothing has changed. */
bool abl_reach_holds(const abl_balancer_t *balancer, int member, abl_conn_t *conn);

#endif
