/* SPDX-License-Identifier: Apache-2.0
 *
 * What the configuration says about a member that the control process looks after (patrol.h).
 */
#ifndef ABL_CONTROL_TARGET_H
#define ABL_CONTROL_TARGET_H

#include "engine/member.h"

typedef struct abl_target_t {
    const char *balancer;
    const char *address; /* the member's name in the ledger */
    const abl_address_t *addresses;
    int naddresses; /* at least 1, unless */
    bool named;     /* it has a name: where it is says the ledger (patrol.c: where_is()) */
    abl_member_url_t url;
    abl_proxy_t proxy;       /* what each connection begins with */
    abl_tls_conf_t tls_conf; /* where url.tls */
    bool limited;            /* it has concurrency= */
} abl_target_t;

#endif
