/* SPDX-License-Identifier: Apache-2.0
 *
 * A member that listens in the test's own process, on a port that the kernel chooses.
 */
#ifndef ABL_UNIT_LISTENER_H
#define ABL_UNIT_LISTENER_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/member.h"
#include "unit.h"

typedef struct listener_t {
    int fd;
    abl_member_t member;
} listener_t;

static inline void listener_open(listener_t *l)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&l->member.addresses[0].sa;
    socklen_t len = sizeof(*sin);

    memset(l, 0, sizeof(*l));
    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(l->fd, (struct sockaddr *)sin, len), 0);
    ck_assert_int_eq(listen(l->fd, 16), 0);
    ck_assert_int_eq(getsockname(l->fd, (struct sockaddr *)sin, &len), 0);
    l->member.naddresses = 1;
    l->member.addresses[0].len = len;
    l->member.keepalive = true;
    l->member.weight = 100;
    l->member.idle_max = 2;
    l->member.idle_timeout = 4 * ABL_SECOND;
    l->member.max_age = 60 * ABL_SECOND;
    l->member.url.text = "http://member";
    l->member.url.authority = "member";
    l->member.url.path = "";
}

static inline int listener_accept(const listener_t *l)
{
    int fd = accept(l->fd, NULL, NULL);

    ck_assert_int_ge(fd, 0);
    return fd;
}

#endif
