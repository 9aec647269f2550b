/* SPDX-License-Identifier: Apache-2.0
 *
 * Who listens: this process, its copies, and processes to which a socket was handed.
 */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "child.h"
#include "control/listener.h"
#include "control/proc.h"
#include "copy.h"

static child_app_t app;

static const char *const sleeper[] = {"sleep", "1000", NULL};

static void do_nothing(void *unused)
{
    (void)unused;
}

/* ---- at a port and at a path ------------------------------------------------------------------------ */

typedef struct place_t {
    int family;
    const char *address;
    int port; /* 0: any; the one it has become */
    int fd;
} place_t;

static void listen_there(void *data)
{
    place_t *place = data;
    struct sockaddr_storage storage = {.ss_family = (sa_family_t)place->family};
    struct sockaddr_in *sin = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&storage;
    socklen_t len = place->family == AF_INET ? sizeof(*sin) : sizeof(*sin6);
    int one = 1;

    sin->sin_port = htons((uint16_t)place->port); /* at the same place in both */
    inet_pton(place->family, place->address,
              place->family == AF_INET ? (void *)&sin->sin_addr : (void *)&sin6->sin6_addr);
    place->fd = socket(place->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(place->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (bind(place->fd, (struct sockaddr *)&storage, len) < 0 || listen(place->fd, 5) < 0) {
        close(place->fd);
        place->fd = -1;
        return;
    }
    getsockname(place->fd, (struct sockaddr *)&storage, &len);
    place->port = ntohs(sin->sin_port);
}

START_TEST(a_listener)
{
    static const place_t places[] = {{AF_INET, "127.0.0.1", 0, -1},
                                     {AF_INET, "0.0.0.0", 0, -1},
                                     {AF_INET6, "::", 0, -1},
                                     {AF_INET6, "::ffff:127.0.0.1", 0, -1}};
    child_t child;

    child_app(&app);
    child = child_start(&app, sleeper, -1);
    for (size_t i = 0; i < COUNT(places); i++) {
        place_t place = places[i];
        listen_there(&place);
        if (place.fd < 0) {
            continue; /* no IPv6 here */
        }
        ck_assert_int_eq(abl_listener_at_port(place.port, getpgrp()), ABL_LISTENER_OURS);
        ck_assert_int_eq(abl_listener_at_port(place.port, child.pid), ABL_LISTENER_STRANGER);
        close(place.fd);
        ck_assert_int_eq(abl_listener_at_port(place.port, getpgrp()), ABL_LISTENER_NOBODY);
    }
    child_kill(&child);
    child_app_end(&app);
}
END_TEST

START_TEST(who_does_not_listen_at_127_0_0_1)
{
    static const place_t places[] = {{AF_INET, "127.0.0.2", 0, -1}, {AF_INET6, "::1", 0, -1}};

    for (size_t i = 0; i < COUNT(places); i++) {
        place_t place = places[i];
        listen_there(&place);
        if (place.fd >= 0) {
            ck_assert_int_eq(abl_listener_at_port(place.port, getpgrp()), ABL_LISTENER_NOBODY);
            close(place.fd);
        }
    }
}
END_TEST

START_TEST(a_listener_that_was_passed_on)
{
    child_t child, other;
    place_t place = {AF_INET, "127.0.0.1", 0, -1};

    child_app(&app);
    listen_there(&place);
    child = child_start(&app, sleeper, place.fd);
    other = child_start(&app, sleeper, -1);
    ck_assert_int_eq(abl_listener_at_port(place.port, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_listener_at_port(place.port, other.pid), ABL_LISTENER_STRANGER);
    close(place.fd);
    ck_assert_int_eq(abl_listener_at_port(place.port, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_listener_at_port(place.port, other.pid), ABL_LISTENER_STRANGER);
    child_kill(&child);
    child_kill(&other);
    child_app_end(&app);
}
END_TEST

/* Connections go to whoever has the nearest address. */
START_TEST(several_listeners)
{
    place_t ours = {AF_INET, "0.0.0.0", 0, -1}, theirs = {AF_INET, "127.0.0.1", 0, -1};
    pid_t pid;
    int fd;

    listen_there(&ours);
    fd = ours.fd;
    ck_assert_int_ge(fd, 0);
    theirs.port = ours.port;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    child_app(&app);
    child_t child = child_start(&app, sleeper, fd); /* 0.0.0.0 is this one's alone */
    close(fd);
    pid = copy_begin(listen_there, &theirs);
    ck_assert_int_eq(abl_listener_at_port(ours.port, child.pid), ABL_LISTENER_STRANGER);
    ck_assert_int_eq(abl_listener_at_port(ours.port, pid), ABL_LISTENER_OURS);
    copy_end(pid);
    ck_assert_int_eq(abl_listener_at_port(ours.port, child.pid), ABL_LISTENER_OURS);
    ours.address = "0.0.0.0";
    pid = copy_begin(listen_there, &ours); /* and this one gets half of them */
    ck_assert_int_eq(abl_listener_at_port(ours.port, child.pid), ABL_LISTENER_STRANGER);
    copy_end(pid);
    child_kill(&child);
    child_app_end(&app);
}
END_TEST

START_TEST(a_listener_who_may_not_be_looked_at)
{
    place_t place = {AF_INET, "127.0.0.1", 0, -1};
    pid_t other;

    if (geteuid() != 0) {
        return;
    }
    other = copy_begin(do_nothing, NULL);
    listen_there(&place);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    close(place.fd);
    ck_assert_int_eq(seteuid(54321), 0);
    ck_assert_int_eq(abl_listener_at_port(place.port, other), ABL_LISTENER_UNKNOWN);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(abl_listener_at_port(place.port, other), ABL_LISTENER_STRANGER);
    copy_end(pid);
    copy_end(other);
}
END_TEST

START_TEST(a_socket)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    child_t child, other;
    int fd;

    child_app(&app);
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/a socket", app.dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(abl_listener_at_path(sun.sun_path, getpgrp()), ABL_LISTENER_NOBODY);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    ck_assert_int_eq(abl_listener_at_path(sun.sun_path, getpgrp()), ABL_LISTENER_NOBODY);
    ck_assert_int_eq(listen(fd, 5), 0);
    child = child_start(&app, sleeper, fd);
    other = child_start(&app, sleeper, -1);
    ck_assert_int_eq(abl_listener_at_path(sun.sun_path, getpgrp()), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_listener_at_path(sun.sun_path, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_listener_at_path(sun.sun_path, other.pid), ABL_LISTENER_STRANGER);
    sun.sun_path[strlen(sun.sun_path) - 1] = '\0';
    ck_assert_int_eq(abl_listener_at_path(sun.sun_path, child.pid), ABL_LISTENER_NOBODY);
    close(fd);
    child_kill(&child);
    child_kill(&other);
    child_app_end(&app);
}
END_TEST

/* ---- root in a container ---------------------------------------------------------------------------- */

static void drop_ptrace(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
    data[CAP_TO_INDEX(CAP_SYS_PTRACE)].permitted &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(root_who_may_not_look)
{
    static const char *const argv[] = {"sh", "-c", "echo hello; exec sleep 1000", NULL};
    place_t place = {AF_INET, "127.0.0.1", 0, -1};
    char mark[64], name[64], link[64], text[8];
    child_t child;

    if (geteuid() != 0) {
        return;
    }
    child_app(&app);
    ck_assert_int_eq(chmod(app.dir, 0755), 0);
    app.conf.uid = app.conf.gid = 54321;
    listen_there(&place);
    (void)snprintf(mark, sizeof(mark), "unit %d root", (int)getpid());
    child = child_try(&app, argv, place.fd, mark);
    ck_assert_msg(child.pid > 0, "%s", child.why);
    close(place.fd);
    ck_assert_uint_eq(child_read(child.out, text, 6), 6);
    drop_ptrace();
    (void)snprintf(name, sizeof(name), "/proc/%d/fd/3", (int)child.pid);
    ck_assert_int_eq(readlink(name, link, sizeof(link)), -1); /* indeed */
    ck_assert_int_eq(abl_listener_at_port(place.port, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_listener_at_port(place.port, getpgrp() + 1000000), ABL_LISTENER_STRANGER);
    close(child.out);
    child.out = abl_pipe_reopen(child.pid);
    ck_assert_msg(child.out >= 0, "%s", strerror(errno));
    ck_assert_int_eq(abl_proc_signal_marked(mark, false, 0), 1);
    ck_assert_uint_eq(geteuid(), 0);
    ck_assert_int_eq(access("/root", W_OK), 0);
    child_kill(&child);
    child_app_end(&app);
}
END_TEST

UNIT_MAIN("listener", a_listener, who_does_not_listen_at_127_0_0_1, a_listener_that_was_passed_on,
          several_listeners, a_listener_who_may_not_be_looked_at, a_socket, root_who_may_not_look)
