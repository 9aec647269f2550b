/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc tells about processes that the test has started.
 */
#include <sys/mman.h>
#include <sys/prctl.h>

#include "child.h"
#include "control/proc.h"
#include "copy.h"

#define MB (UINT64_C(1) << 20)

static child_app_t app;

static const char *const sleeper[] = {"sleep", "1000", NULL};

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
    pid = copy_begin(be_named, ") Z 1 (a b");
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

static void expect_memory(pid_t pid, uint64_t least, uint64_t most)
{
    uint64_t memory = abl_proc_memory(pid);

    ck_assert_uint_ge(memory, least * MB);
    ck_assert_uint_lt(memory, most * MB);
}

START_TEST(memory)
{
    int small = 10, large = 100;
    pid_t first = copy_begin(take_memory, &large), second = copy_begin(have_memory_below, &large),
          third = copy_begin(take_memory, &small);

    expect_memory(first, 100, 160);
    expect_memory(second, 100, 180);
    expect_memory(third, 10, 70);
    expect_memory(0, 0, 1);
    expect_memory(4194305, 0, 1);
    if (geteuid() == 0) { /* who may not look there is told the resident size */
        ck_assert_int_eq(seteuid(54321), 0);
        expect_memory(first, 100, 160);
        ck_assert_int_eq(seteuid(0), 0);
    }
    copy_end(first);
    copy_end(second);
    copy_end(third);
    expect_memory(first, 0, 1);
}
END_TEST

static void look_at_memory(void *memory)
{
    const volatile char *at = memory;

    for (size_t i = 0; i < 100 * MB; i += 4096) {
        (void)at[i];
    }
}

/* Two processes that have the same pages have them once: with this one, each has a third of them. */
START_TEST(shared_memory)
{
    char *shared = mmap(NULL, 100 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[2];
    uint64_t sizes[2];

    ck_assert_ptr_ne(shared, MAP_FAILED);
    memset(shared, 1, 100 * MB);
    pids[0] = copy_begin(look_at_memory, shared);
    pids[1] = copy_begin(look_at_memory, shared);
    sizes[0] = abl_proc_memory(pids[0]);
    sizes[1] = abl_proc_memory(pids[1]);
    ck_assert_uint_lt(sizes[0] + sizes[1], 90 * MB); /* not 200 */
    ck_assert_uint_gt(sizes[0] + sizes[1], 60 * MB);
    copy_end(pids[0]);
    copy_end(pids[1]);
}
END_TEST

/* ---- descriptors ------------------------------------------------------------------------------------ */

typedef struct links_t {
    int n, pipes, of_proc;
} links_t;

static void count_link(void *ctx, const char *link)
{
    links_t *links = ctx;

    links->n++;
    links->pipes += strncmp(link, "pipe:[", 6) == 0;
    links->of_proc += strncmp(link, "/proc/", 6) == 0;
}

START_TEST(descriptors)
{
    links_t before = {0}, after = {0}, none = {0};
    int fds[2];

    abl_proc_descriptors(getpid(), count_link, &before);
    ck_assert_int_eq(pipe(fds), 0);
    abl_proc_descriptors(getpid(), count_link, &after);
    ck_assert_int_eq(after.pipes, before.pipes + 2);
    ck_assert_int_eq(after.n, before.n + 2);
    ck_assert_int_eq(after.of_proc, 1); /* which it looks with */
    close(fds[0]);
    close(fds[1]);
    abl_proc_descriptors(4194305, count_link, &none);
    ck_assert_int_eq(none.n, 0);
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

UNIT_MAIN("proc", when_it_began, memory, shared_memory, descriptors, what_is_marked, a_group)
