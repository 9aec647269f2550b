/* SPDX-License-Identifier: Apache-2.0
 *
 * From a member's URL to socket addresses.
 */
#include "engine/member.h"

#include <apr_network_io.h>
#include <string.h>
#include <sys/un.h>

static apr_status_t use_socket_path(abl_member_t *member)
{
    struct sockaddr_un *sun = (struct sockaddr_un *)&member->addresses[0].sa;
    size_t len = strlen(member->url.socket_path);

    if (len >= sizeof(sun->sun_path)) {
        return APR_ENAMETOOLONG;
    }
    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    memcpy(sun->sun_path, member->url.socket_path, len + 1);
    member->addresses[0].len = sizeof(*sun);
    member->naddresses = 1;
    return APR_SUCCESS;
}

apr_status_t abl_member_resolve(abl_member_t *member, apr_pool_t *pool)
{
    apr_sockaddr_t *sa = NULL;
    apr_status_t rv;

    member->naddresses = 0;
    if (member->url.socket_path != NULL) {
        return use_socket_path(member);
    }
    rv = apr_sockaddr_info_get(&sa, member->url.host, APR_UNSPEC, member->url.port, 0, pool);
    for (; rv == APR_SUCCESS && sa != NULL && member->naddresses < ABL_ADDRESSES_MAX; sa = sa->next) {
        abl_address_t *address = &member->addresses[member->naddresses++];
        memcpy(&address->sa, &sa->sa, sa->salen);
        address->len = sa->salen;
    }
    return rv;
}
