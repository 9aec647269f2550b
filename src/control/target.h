/* SPDX-License-Identifier: Apache-2.0
 *
 * What the configuration says about a member that the control process looks after (patrol.h).
 */
#ifndef ABL_CONTROL_TARGET_H
#define ABL_CONTROL_TARGET_H

#include "engine/member.h"

#define ABL_CHECK_STATUS_MIN 200
#define ABL_CHECK_STATUS_MAX 599

/* How members are checked; a balancer's. */
typedef struct abl_check_conf_t {
    const char *uri;  /* it is asked for this; NULL: who accepts connections is well */
    const char *host; /* for Host; NULL: the member's own */
    const char *body; /* a POSIX extended regular expression that the body matches; NULL: whatever it is */
    uint64_t expect[(ABL_CHECK_STATUS_MAX + 1 + 63) / 64]; /* bits: these statuses are good */
    int64_t interval, timeout;                             /* µs */
    unsigned rise, fall; /* so many in a row until it is used again; is left out */
    unsigned jitter;     /* percent of `interval`, more or less by chance */
    bool mandatory;      /* a new member gets no request before a check has passed */
} abl_check_conf_t;

typedef struct abl_target_t {
    const char *balancer;
    const char *address; /* the member's name in the ledger */
    const abl_address_t *addresses;
    int naddresses; /* at least 1, unless */
    bool named;     /* it has a name: abl_target_where() says where it is */
    abl_member_url_t url;
    abl_proxy_t proxy;             /* what each connection begins with */
    abl_tls_conf_t tls_conf;       /* where url.tls */
    bool limited;                  /* it has concurrency= */
    const abl_check_conf_t *check; /* NULL: it is not checked */
} abl_target_t;

/* Room for where a target is. */
typedef struct abl_target_at_t {
    abl_target_t target;
    abl_address_t addresses[ABL_ADDRESSES_MAX];
} abl_target_at_t;

/* The target in this row of the ledger, with the addresses that its name stands for now: `target` itself
 * where it has none. NULL: it is nowhere, or `target` is NULL. The control process. */
const abl_target_t *abl_target_where(const abl_segment_t *segment, uint32_t row, const abl_target_t *target,
                                     abl_target_at_t *at);

#endif
