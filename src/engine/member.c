/* SPDX-License-Identifier: Apache-2.0
 *
 * From a member's URL to socket addresses.
 */
#include "engine/member.h"

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

apr_status_t abl_member_locate(abl_member_t *member)
{
    abl_ip_t ip;

    member->naddresses = 0;
    if (member->url.socket_path != NULL) {
        return use_socket_path(member);
    }
    if (abl_ip_read(member->url.host, member->url.port, &ip)) {
        member->addresses[0].len = abl_ip_to(&ip, &member->addresses[0].sa);
        member->naddresses = 1;
    }
    return APR_SUCCESS;
}
