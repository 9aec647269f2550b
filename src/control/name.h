/* SPDX-License-Identifier: Apache-2.0
 *
 * What the configuration says about a name that members are found by, and about who is asked for it.
 */
#ifndef ABL_CONTROL_NAME_H
#define ABL_CONTROL_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define ABL_NAME_SLOTS_MAX 64 /* of one name */
#define ABL_NAME_TTL_MIN 1    /* seconds; an answer holds for at least so long, */
#define ABL_NAME_TTL_MAX 3600 /* and for at most so long */
#define ABL_RESOLVE_BY_TTL 0
#define ABL_RESOLVE_ONCE (-1)

typedef struct abl_name_conf_t {
    const char *balancer;
    const char *text; /* the member as it is written, its name in the ledger; a slot's has "#1" … behind it */
    const char *host;   /* what is asked for */
    const char *scheme; /* with these two behind and before an address it is what would be written for */
    const char *path;   /* exactly that member */
    uint16_t port;
    bool records;    /* SRV records are asked for, and then addresses of their targets */
    int slots;       /* 0: one member, at all of the addresses */
    int set;         /* of the records with the lowest priority */
    int64_t resolve; /* asked for again after so long, µs; ABL_RESOLVE_* */
} abl_name_conf_t;

/* BalancerResolver. */
typedef struct abl_resolver_conf_t {
    const char *servers; /* ADDRESS:PORT,…; NULL: what /etc/resolv.conf says */
    int timeout;         /* ms, of the first attempt */
    int tries;
} abl_resolver_conf_t;

#define ABL_RESOLVER_TIMEOUT 2000 /* the defaults */
#define ABL_RESOLVER_TRIES 2

#endif
