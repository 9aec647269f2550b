/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc tells about processes that the test has started.
 */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "child.h"
#include "control/proc.h"

#define MB (UINT64_C(1) << 20)

static child_app_t app;

static const char *const sleeper[] = {"sleep", "1000", NULL};

/* A copy of the test that does this in a group of its own, says that it has, and waits for its end. */
static pid_t begin(void (*what)(void *), void *data)
{
    int fds[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setpgid(0, 0);
        what(data);
        if (write(fds[1], "x", 1) == 1) {
            pause();
        }
        _exit(0);
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    return pid;
}

static void end(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- when it began ---------------------------------------------------------------------------------- */

static void be_named(void *name)
{
    prctl(PR_SET_NAME, name);
}

START_TEST(when_it_began)
{
    uint64_t own = abl_proc_began(getpid());
    siginfo_t info;
    pid_t pid;

    ck_assert_uint_gt(own, 0);
    ck_assert_uint_eq(abl_proc_began(getpid()), own);
    pid = begin(be_named, ") Z 1 (a b");
    ck_assert_uint_ge(abl_proc_began(pid), own);
    ck_assert_uint_le(abl_proc_began(pid), own + 60 * (uint64_t)sysconf(_SC_CLK_TCK));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_uint_eq(abl_proc_began(pid), 0); /* a zombie */
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_uint_eq(abl_proc_began(pid), 0);
    ck_assert_uint_eq(abl_proc_began(0), 0);
    ck_assert_uint_eq(abl_proc_began(-1), 0);
}
END_TEST

/* ---- memory ----------------------------------------------------------------------------------------- */

static void take_memory(void *mb)
{
    size_t len = *(int *)mb * MB;
    char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(memory, 1, len);
}

/* A child that has left the group, and so has its own one. */
static void have_memory_below(void *mb)
{
    int fds[2];
    char byte;

    if (pipe(fds) == 0 && fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            setsid();
            take_memory(mb);
            (void)!write(fds[1], "x", 1);
        }
        pause();
    }
    (void)!read(fds[0], &byte, 1);
}

static void expect_memory(pid_t pid, uint64_t least)
{
    uint64_t memory = 1;

    abl_proc_memory(&pid, 1, &memory);
    ck_assert_uint_ge(memory, least * MB);
    ck_assert_uint_lt(memory, (least + 60) * MB);
}

START_TEST(memory)
{
    int small = 10, large = 100;
    pid_t first = begin(take_memory, &large), second = begin(have_memory_below, &large),
          third = begin(take_memory, &small);
    pid_t pgids[] = {third, 0, second, 4194305, first};
    uint64_t sizes[COUNT(pgids)];

    abl_proc_memory(pgids, COUNT(pgids), sizes);
    ck_assert(sizes[0] >= 10 * MB && sizes[0] < 70 * MB);
    ck_assert_uint_eq(sizes[1], 0);
    ck_assert(sizes[2] >= 100 * MB && sizes[2] < 180 * MB);
    ck_assert_uint_eq(sizes[3], 0);
    ck_assert(sizes[4] >= 100 * MB && sizes[4] < 180 * MB);
    abl_proc_memory(NULL, 0, sizes);
    expect_memory(first, 100);
    if (geteuid() == 0) { /* who may not look there is told the resident size */
        ck_assert_int_eq(seteuid(54321), 0);
        expect_memory(first, 100);
        ck_assert_int_eq(seteuid(0), 0);
    }
    end(first);
    end(second);
    end(third);
    abl_proc_memory(pgids, COUNT(pgids), sizes);
    ck_assert_uint_eq(sizes[0] + sizes[4], 0);
}
END_TEST

/* Two processes that have the same pages have them once. */
START_TEST(shared_memory)
{
    char *shared = mmap(NULL, 100 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int nothing = 0;
    pid_t pids[2];
    uint64_t sizes[2];

    ck_assert_ptr_ne(shared, MAP_FAILED);
    memset(shared, 1, 100 * MB); /* the children have none of these pages: they have not touched them */
    pids[0] = begin(take_memory, &nothing);
    pids[1] = begin(take_memory, &nothing);
    abl_proc_memory(pids, 2, sizes);
    ck_assert_uint_lt(sizes[0] + sizes[1], 90 * MB);
    ck_assert_uint_gt(sizes[0], 0);
    end(pids[0]);
    end(pids[1]);
}
END_TEST

/* ---- who listens ------------------------------------------------------------------------------------ */

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
        ck_assert_int_eq(abl_proc_listener(place.port, getpgrp()), ABL_LISTENER_OURS);
        ck_assert_int_eq(abl_proc_listener(place.port, child.pid), ABL_LISTENER_STRANGER);
        close(place.fd);
        ck_assert_int_eq(abl_proc_listener(place.port, getpgrp()), ABL_LISTENER_NOBODY);
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
            ck_assert_int_eq(abl_proc_listener(place.port, getpgrp()), ABL_LISTENER_NOBODY);
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
    ck_assert_int_eq(abl_proc_listener(place.port, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_proc_listener(place.port, other.pid), ABL_LISTENER_STRANGER);
    close(place.fd);
    ck_assert_int_eq(abl_proc_listener(place.port, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_proc_listener(place.port, other.pid), ABL_LISTENER_STRANGER);
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
    pid = begin(listen_there, &theirs);
    ck_assert_int_eq(abl_proc_listener(ours.port, child.pid), ABL_LISTENER_STRANGER);
    ck_assert_int_eq(abl_proc_listener(ours.port, pid), ABL_LISTENER_OURS);
    end(pid);
    ck_assert_int_eq(abl_proc_listener(ours.port, child.pid), ABL_LISTENER_OURS);
    ours.address = "0.0.0.0";
    pid = begin(listen_there, &ours); /* and this one gets half of them */
    ck_assert_int_eq(abl_proc_listener(ours.port, child.pid), ABL_LISTENER_STRANGER);
    end(pid);
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
    other = begin(be_named, "other");
    listen_there(&place);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    close(place.fd);
    ck_assert_int_eq(seteuid(54321), 0);
    ck_assert_int_eq(abl_proc_listener(place.port, other), ABL_LISTENER_UNKNOWN);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(abl_proc_listener(place.port, other), ABL_LISTENER_STRANGER);
    end(pid);
    end(other);
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
    ck_assert_int_eq(abl_proc_socket_listener(sun.sun_path, getpgrp()), ABL_LISTENER_NOBODY);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    ck_assert_int_eq(abl_proc_socket_listener(sun.sun_path, getpgrp()), ABL_LISTENER_NOBODY);
    ck_assert_int_eq(listen(fd, 5), 0);
    child = child_start(&app, sleeper, fd);
    other = child_start(&app, sleeper, -1);
    ck_assert_int_eq(abl_proc_socket_listener(sun.sun_path, getpgrp()), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_proc_socket_listener(sun.sun_path, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_proc_socket_listener(sun.sun_path, other.pid), ABL_LISTENER_STRANGER);
    sun.sun_path[strlen(sun.sun_path) - 1] = '\0';
    ck_assert_int_eq(abl_proc_socket_listener(sun.sun_path, child.pid), ABL_LISTENER_NOBODY);
    close(fd);
    child_kill(&child);
    child_kill(&other);
    child_app_end(&app);
}
END_TEST

/* ---- signals ---------------------------------------------------------------------------------------- */

static child_t start_marked(const char *mark, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    child_t child = child_try(&app, argv, -1, mark);
    char byte;

    ck_assert_msg(child.pid > 0, "%s", child.why);
    ck_assert_uint_eq(child_read(child.out, &byte, 1), 1); /* it says when all are there */
    return child;
}

/* Until all are gone: whoever was left by its parent has become ours. */
static void reap_all(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    ck_assert_int_eq(errno, ECHILD);
}

typedef struct marked_t {
    const char *mark;
    int n;
} marked_t;

static bool are_so_many(void *data)
{
    const marked_t *marked = data;

    return abl_proc_signal_marked(marked->mark, true, 0) == marked->n;
}

static const char *const family = /* six: its shell, and five that sleep, each in another relation to it */
    "wait_for() { until test -e $1; do sleep 0.01; done; };"
    "setsid sh -c 'echo >a; exec sleep 1000' & env -i /bin/sh -c 'echo >b; exec sleep 1000' &"
    "env -i setsid sh -c 'echo >c; exec sleep 1000' &"
    "(setsid sh -c 'echo >d; exec sleep 1000' &) ; (env -i sh -c 'echo >e; exec sleep 1000' &) ;"
    "for f in a b c d e; do wait_for $f; done; rm a b c d e; echo; exec sleep 1000";

START_TEST(what_is_marked)
{
    char mark[64], more[64], start[32];
    child_t one, other, plain;

    child_app(&app);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    (void)snprintf(start, sizeof(start), "unit %d ", (int)getpid());
    (void)snprintf(mark, sizeof(mark), "%s1", start);
    (void)snprintf(more, sizeof(more), "%s10", start);
    one = start_marked(mark, family);
    other = start_marked(more, "echo; exec sleep 1000");
    plain = child_start(&app, sleeper, -1);
    ck_assert_int_eq(abl_proc_signal_marked(mark, false, 0), 6);
    ck_assert_int_eq(abl_proc_signal_marked(mark, true, 0), 7);
    ck_assert_int_eq(abl_proc_signal_marked(start, true, 0), 7);
    ck_assert_int_eq(abl_proc_signal_marked(start, false, 0), 0);
    ck_assert_int_eq(abl_proc_signal_marked("", false, 0), 0);
    ck_assert_int_eq(abl_proc_signal_marked(mark, false, SIGKILL), 6);
    ck_assert_int_eq(waitpid(one.pid, NULL, 0), one.pid);
    ck_assert(await_that(are_so_many, &(marked_t){start, 1}, CHILD_PATIENCE));
    ck_assert_int_eq(kill(other.pid, 0), 0);
    ck_assert_int_eq(abl_proc_signal_marked(start, true, SIGTERM), 1);
    ck_assert_int_eq(waitpid(other.pid, NULL, 0), other.pid);
    child_kill(&plain);
    reap_all();
    ck_assert_int_eq(abl_proc_signal_marked(start, true, SIGKILL), 0);
    child_app_end(&app);
}
END_TEST

START_TEST(a_group)
{
    char mark[64];
    child_t child, plain;

    child_app(&app);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    (void)snprintf(mark, sizeof(mark), "unit %d group", (int)getpid());
    child = start_marked(mark, family);
    plain = child_start(&app, sleeper, -1);
    ck_assert_int_eq(abl_proc_signal_group(child.pid, 0), 5); /* not "d": nothing leads there but its mark */
    ck_assert_int_eq(abl_proc_signal_group(getpgrp(), SIGKILL), 0);
    ck_assert_int_eq(abl_proc_signal_group(0, SIGKILL), 0);
    ck_assert_int_eq(abl_proc_signal_group(1, SIGKILL), 0);
    ck_assert_int_eq(abl_proc_signal_group(child.pid, SIGKILL), 5);
    ck_assert_int_eq(waitpid(child.pid, NULL, 0), child.pid);
    ck_assert(await_that(are_so_many, &(marked_t){mark, 1}, CHILD_PATIENCE));
    child_kill(&plain);
    ck_assert_int_ge(abl_proc_signal_marked(mark, false, SIGKILL), 1);
    reap_all();
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
    ck_assert_int_eq(abl_proc_listener(place.port, child.pid), ABL_LISTENER_OURS);
    ck_assert_int_eq(abl_proc_listener(place.port, getpgrp() + 1000000), ABL_LISTENER_STRANGER);
    close(child.out);
    child.out = abl_spawn_reopen_output(child.pid);
    ck_assert_msg(child.out >= 0, "%s", strerror(errno));
    ck_assert_int_eq(abl_proc_signal_marked(mark, false, 0), 1);
    ck_assert_uint_eq(geteuid(), 0);
    ck_assert_int_eq(access("/root", W_OK), 0);
    child_kill(&child);
    child_app_end(&app);
}
END_TEST

UNIT_MAIN("proc", when_it_began, memory, shared_memory, a_listener, who_does_not_listen_at_127_0_0_1,
          a_listener_that_was_passed_on, several_listeners, a_listener_who_may_not_be_looked_at, a_socket,
          what_is_marked, a_group, root_who_may_not_look)
