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
    int naddresses; /* at least 1 */
} abl_target_t;

#endif
