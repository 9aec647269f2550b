/* SPDX-License-Identifier: Apache-2.0
 *
 * A member: one address that requests can be sent to, with what its directive says about it. Made in the
 * parent while the configuration is read, never changed after the children are forked.
 */
#ifndef ABL_ENGINE_MEMBER_H
#define ABL_ENGINE_MEMBER_H

#include "base/ip.h"
#include "base/member_url.h"
#include "engine/tls.h"
#include "ledger/ledger.h"
#include "wire/proxy.h"

#include <stdbool.h>
#include <sys/socket.h>

typedef struct abl_address_t {
    struct sockaddr_storage sa;
    socklen_t len;
} abl_address_t;

typedef struct abl_member_t {
    abl_member_url_t url;
    const char *route;        /* what session.route cookies call it; never NULL */
    apr_uint32_t weight;      /* hundredths */
    apr_uint32_t concurrency; /* requests at it at once, over all children; 0: no limit */
    abl_status_t status;
    int set;
    int64_t slow_start;   /* µs; see abl_member_conf_t */
    bool supervised;      /* an instance of an application that is looked after */
    int64_t stuck;        /* a request that takes longer is a reason to end it, µs; 0: none is */
    bool keepalive;       /* keep idle connections to it */
    int idle_max;         /* at most so many in each child */
    int64_t idle_timeout; /* a connection idle for so long is closed, µs */
    int64_t max_age;      /* so long after it was made a connection is not used again, µs */
    abl_proxy_t proxy;    /* what each connection begins with */
    abl_tls_conf_t tls_conf;
    abl_tls_t *tls;      /* the configuration's; NULL: http:// */
    int slots;           /* of its name; 0: it has none */
    int64_t resolve;     /* how often its name is looked up, see abl_name_conf_t */
    abl_naming_t naming; /* where it is is known to the ledger (site.h); else here: */
    int naddresses;      /* 1, localhost 2; 0: it has a name */
    abl_address_t addresses[ABL_ADDRESSES_MAX];
} abl_member_t;

/* Fills in `addresses` from the URL, where that is an address and not a name. APR_ENAMETOOLONG is the only
 * error. Parent, before the children are forked. */
apr_status_t abl_member_locate(abl_member_t *member);

#endif
