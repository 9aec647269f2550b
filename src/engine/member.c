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

static void add_address(abl_member_t *member, const char *literal)
{
    abl_address_t *to = &member->addresses[member->naddresses];
    abl_ip_t ip;

    if (abl_ip_read(literal, member->url.port, &ip)) {
        to->len = abl_ip_to(&ip, &to->sa);
        member->naddresses++;
    }
}

apr_status_t abl_member_locate(abl_member_t *member)
{

    member->naddresses = 0;
    if (member->url.socket_path != NULL) {
        return use_socket_path(member);
    }
    if (strcmp(member->url.host, ABL_LOCALHOST) == 0) { /* where there is no IPv6, that is known at once */
        add_address(member, "::1");
        add_address(member, "127.0.0.1");
    } else {
        add_address(member, member->url.host);
    }
    return APR_SUCCESS;
}
