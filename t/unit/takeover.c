/* SPDX-License-Identifier: Apache-2.0
 *
 * A control process was killed, at any moment, and its successor takes over what it has left.
 */
#include "base/clock.h"
#include "control/proc.h"
#include "control/supervise.h"
#include "ledger/gate.h"
#include "ledger_world.h"

#include <signal.h>

static ledger_world_t w;

#define GATE(balancer, address) (&(abl_gate_t){w.segment, w.child, balancer, address})
static abl_supervised_t app;

static void watch_nothing(void *ctx, int fd, int number, int slot)
{
    (void)ctx;
    (void)fd;
    (void)number;
    (void)slot;
}

/* A app with slots at these addresses, each with nobody, and all of their gates open. */
static void app_with(const char *addresses)
{
    static const abl_watch_fns_t watch = {watch_nothing, watch_nothing, NULL};

    make_world(&w, addresses, 1);
    for (int i = 0; i < w.conf.nmembers; i++) {
        w.members[i].supervised = true;
    }
    configure(&w);
    sit_down(&w);
    app = (abl_supervised_t){.segment = w.segment, .child = w.child, .watch = &watch};
    app.board = abl_board_create();
    ck_assert_ptr_nonnull(app.board);
    app.row = abl_board_app(app.board, 0);
    strcpy(app.row->balancer, "test");
    strcpy(app.row->name, "web");
    app.row->conf.times = (abl_instance_times_t){ABL_SECOND, ABL_SECOND, ABL_SECOND};
    app.row->fleet.n = w.conf.nmembers;
    for (int i = 0; i < w.conf.nmembers; i++) {
        strcpy(app.row->slots[i].address, w.members[i].address);
        app.row->fleet.slots[i].instance.deadline = INT64_MAX;
        ck_assert(abl_gate_open(GATE("test", w.members[i].address), UINT64_MAX));
    }
}

static bool is_open(int slot)
{
    abl_gate_view_t view;

    ck_assert(abl_gate_look(GATE("test", w.members[slot].address), &view));
    return view.is_open;
}

/* A process that leads a group of its own, and waits. */
static pid_t somebody(void)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setpgid(0, 0);
        alarm(60); /* also when the test fails */
        for (;;) {
            pause();
        }
    }
    setpgid(pid, pid);
    return pid;
}

static bool is_there(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void has(int slot, abl_instance_state_t state, pid_t pid)
{
    app.row->fleet.slots[slot].instance.state = state;
    app.row->fleet.slots[slot].instance.ready_at = state > ABL_INSTANCE_STARTING ? abl_clock_now() : 0;
    app.row->slots[slot].pid = pid;
    app.row->slots[slot].began = abl_proc_began(pid);
}

static abl_instance_state_t state_of(int slot)
{
    return app.row->fleet.slots[slot].instance.state;
}

/* The state was written, and the gate was not shut yet. */
START_TEST(only_who_is_ready_is_open)
{
    static const abl_instance_state_t states[] = {ABL_INSTANCE_NONE,     ABL_INSTANCE_STARTING,
                                                  ABL_INSTANCE_READY,    ABL_INSTANCE_DRAINING,
                                                  ABL_INSTANCE_STOPPING, ABL_INSTANCE_KILLED};
    pid_t pids[COUNT(states)] = {0};

    app_with("abcdef");
    for (size_t i = 0; i < COUNT(states); i++) {
        pids[i] = states[i] != ABL_INSTANCE_NONE ? somebody() : 0;
        has((int)i, states[i], pids[i]);
    }
    abl_supervise_take_over(&app);
    for (size_t i = 0; i < COUNT(states); i++) {
        ck_assert_int_eq(state_of((int)i), states[i]);
        ck_assert_msg(is_open((int)i) == (states[i] == ABL_INSTANCE_READY), "state %d", (int)states[i]);
        if (pids[i] != 0) {
            ck_assert(is_there(pids[i]));
            end(pids[i]);
        }
    }
    sound(&w);
}
END_TEST

/* A process was to be made, and its number was not written down. */
START_TEST(one_that_nobody_knows_of)
{
    app_with("a");
    has(0, ABL_INSTANCE_STARTING, 0);
    abl_supervise_take_over(&app);
    ck_assert_int_eq(state_of(0), ABL_INSTANCE_NONE);
    ck_assert(!is_open(0));
}
END_TEST

/* The instance had ended, and its group was not swept. */
START_TEST(what_an_instance_has_left)
{
    pid_t leader = somebody();
    pid_t left = fork();

    if (left == 0) {
        alarm(60);
        for (;;) {
            pause();
        }
    }
    ck_assert_int_eq(setpgid(left, leader), 0);
    app_with("a");
    has(0, ABL_INSTANCE_NONE, leader);
    end(leader);
    abl_supervise_take_over(&app);
    ck_assert_int_eq(waitpid(left, NULL, 0), left);
    ck_assert_int_eq(app.row->slots[0].pid, 0);
}
END_TEST

/* Its number is another process's by now. */
START_TEST(somebody_else)
{
    pid_t pid = somebody();

    app_with("ab");
    has(0, ABL_INSTANCE_READY, pid);
    has(1, ABL_INSTANCE_NONE, pid);
    app.row->slots[0].began--;
    app.row->slots[1].began--;
    abl_supervise_take_over(&app);
    ck_assert_int_eq(state_of(0), ABL_INSTANCE_NONE);
    ck_assert(!is_open(0));
    ck_assert(abl_proc_began(pid) != 0);
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
    end(pid);
}
END_TEST

/* It was on its way out of the configuration. */
START_TEST(who_is_gone_goes)
{
    pid_t pid = somebody();

    app_with("a");
    has(0, ABL_INSTANCE_READY, pid);
    app.row->gone_at = abl_clock_now() - 2 * ABL_SECOND; /* longer ago than drain-timeout= */
    abl_supervise_take_over(&app);
    ck_assert_int_eq(state_of(0), ABL_INSTANCE_READY);
    (void)abl_supervise_work(&app, abl_clock_now());
    ck_assert_int_eq(state_of(0), ABL_INSTANCE_DRAINING);
    ck_assert(!is_open(0));
    end(pid);
}
END_TEST

UNIT_MAIN("takeover", only_who_is_ready_is_open, one_that_nobody_knows_of, what_an_instance_has_left,
          somebody_else, who_is_gone_goes)
