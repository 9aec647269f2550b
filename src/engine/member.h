/* SPDX-License-Identifier: Apache-2.0
 *
 * A member: one address that requests can be sent to, with what its directive says about it. Made in the
 * parent while the configuration is read, never changed after the children are forked.
 */
#ifndef ABL_ENGINE_MEMBER_H
#define ABL_ENGINE_MEMBER_H

#include "base/member_url.h"
#include "engine/tls.h"
#include "ledger/ledger.h"
#include "wire/proxy.h"

#include <stdbool.h>
#include <sys/socket.h>

#define ABL_ADDRESSES_MAX 16 /* of one member's host name; more are ignored */

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
    abl_tls_t *tls; /* the configuration's; NULL: http:// */
    int naddresses; /* 0: the name could not be resolved, nothing can be sent */
    abl_address_t addresses[ABL_ADDRESSES_MAX];
} abl_member_t;

/* Fills in `addresses` from the URL: asks the resolver (which may block) for a host name. Parent, before the
 * children are forked. Temporary memory comes from `pool`. */
apr_status_t abl_member_resolve(abl_member_t *member, apr_pool_t *pool);

#endif
