/* SPDX-License-Identifier: Apache-2.0
 *
 * Seats that change hands: a child that ends and leaves its requests to a keeper, a child that sits down
 * late, numbers that are used again, a leader that cannot see. Each time the living must learn of the dead,
 * and nobody may have what is another's.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "ledger/seats.h"
#include "ledger_world.h"

/* ---- several processes, step by step ---------------------------------------------------------------- */

#define STEPS 16

static _Atomic int *steps; /* shared by all */

static void make_steps(void)
{
    steps = mmap(NULL, STEPS * sizeof(*steps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(steps, MAP_FAILED);
}

static void reach(int step)
{
    atomic_store(&steps[step], 1);
}

static void await(int step)
{
    for (int patience = 20000; atomic_load(&steps[step]) == 0; patience--) {
        ck_assert_msg(patience > 0, "step %d was never reached", step);
        usleep(500);
    }
}

static void await_death(pid_t pid)
{
    waitpid(pid, NULL, 0);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    await_death(pid);
}

/* A process that ends with this test. True in it. */
static bool become(pid_t *pid)
{
    *pid = fork();
    if (*pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return *pid == 0;
}

__attribute__((noreturn)) static void stay(void)
{
    for (;;) {
        pause();
    }
}

/* A child that takes what there is and keeps it. */
static pid_t hold(ledger_world_t *w, int step)
{
    pid_t pid;

    if (become(&pid)) {
        sit_down(w);
        take(w->ledger);
        reach(step);
        stay();
    }
    await(step);
    return pid;
}

static void await_lead(const ledger_world_t *w)
{
    for (int patience = 10000; w->segment->shared->leader != w->child->seat; patience--) {
        ck_assert_int_gt(patience, 0);
        usleep(500);
    }
}

/* ---- keepers ---------------------------------------------------------------------------------------- */

START_TEST(a_keeper_whose_child_was_killed_gets_nothing)
{
    enum { FORKED = 1, DEAD, MOVED, REFUSED };
    ledger_world_t w;
    pid_t child, next;

    make_steps();
    make_world(&w, "a", 1);
    if (become(&child)) {
        sit_down(&w);
        if (fork() == 0) {
            reach(FORKED);
            await(DEAD);
            reach(abl_segment_move(w.child) ? MOVED : REFUSED);
            _exit(0);
        }
        stay();
    }
    await(FORKED);
    end(child);
    abl_segment_reap(w.segment, child);
    next = hold(&w, 5);
    reach(DEAD);
    await(REFUSED);
    ck_assert_int_eq(w.segment->seats[1].pid, next);
    ck_assert_uint_eq(w.segment->rows[1].c.busy, 1);
    end(next);
}
END_TEST

START_TEST(who_leads_and_moves_out_is_replaced)
{
    enum { LEADS = 1, LEAVE, MOVED, DIE, KEEPER_DIE };
    ledger_world_t w;
    abl_ticket_t *ticket;
    pid_t leader, holder;

    make_steps();
    make_world(&w, "a", 1);
    if (become(&leader)) {
        sit_down(&w);
        await_lead(&w);
        reach(LEADS);
        await(LEAVE);
        if (fork() == 0) {
            abl_segment_move(w.child);
            reach(MOVED);
            await(KEEPER_DIE);
            _exit(0);
        }
        await(DIE); /* its other cleanups: its thread lives on */
        _exit(0);
    }
    await(LEADS);
    sit_down(&w);
    holder = hold(&w, 6);
    ticket = queue(w.ledger);
    reach(LEAVE);
    await(MOVED);
    kill(holder, SIGKILL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0); /* while the old leader still runs */
    abl_ledger_give(w.ledger, 0, NULL);
    await_death(holder);
    reach(DIE);
    await_death(leader);
    holder = hold(&w, 7);
    ticket = queue(w.ledger);
    kill(holder, SIGKILL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0); /* and when only its keeper does */
    abl_ledger_give(w.ledger, 0, NULL);
    await_death(holder);
    reach(KEEPER_DIE);
}
END_TEST

/* Takes the lease and gives it back in turns with whoever changes the step. */
__attribute__((noreturn)) static void take_turns(ledger_world_t *w, int step)
{
    sit_down(w);
    for (int turn = 0;; turn += 4) {
        take(w->ledger);
        atomic_store(&steps[step], turn + 1);
        while (atomic_load(&steps[step]) != turn + 2) {
            usleep(100);
        }
        abl_ledger_give(w->ledger, 0, NULL);
        while (atomic_load(&steps[step]) != turn + 3) {
            usleep(100);
        }
    }
}

START_TEST(a_seat_that_was_left_has_one_thread)
{
    enum { SAT = 1, LEAVE, LEFT, TURN, KEEPER };
    ledger_world_t w;
    pid_t child, other;
    int rung = 0;

    make_steps();
    make_world(&w, "a", 1);
    if (become(&child)) {
        sit_down(&w);
        reach(SAT);
        await(LEAVE);
        pid_t keeper = fork();
        if (keeper == 0) {
            abl_segment_move(w.child);
            _exit(0);
        }
        await_death(keeper);
        atomic_store(&steps[KEEPER], keeper);
        reach(LEFT);
        stay(); /* and its thread with it */
    }
    await(SAT);
    reach(LEAVE);
    await(LEFT);
    abl_segment_reap(w.segment, atomic_load(&steps[KEEPER]));
    sit_down(&w);
    ck_assert_uint_eq(w.child->seat, 1);
    if (become(&other)) {
        take_turns(&w, TURN);
    }
    for (int turn = 1; turn < 80; turn += 4) {
        while (atomic_load(&steps[TURN]) != turn) {
            usleep(100);
        }
        abl_ticket_t *ticket = queue(w.ledger);
        int member;
        atomic_store(&steps[TURN], turn + 1);
        rung += rings(ticket, 1000);
        ck_assert_int_eq(abl_ledger_collect(w.ledger, &ticket, &member), APR_SUCCESS);
        abl_ledger_give(w.ledger, member, NULL);
        atomic_store(&steps[TURN], turn + 2);
    }
    ck_assert_int_eq(rung, 20);
    end(child);
    end(other);
}
END_TEST

/* ---- who watches whom ------------------------------------------------------------------------------- */

START_TEST(a_leader_without_descriptors_looks_again)
{
    enum { FULL = 1, FREE };
    ledger_world_t w;
    abl_ticket_t *ticket;
    pid_t leader, holder;

    make_steps();
    make_world(&w, "a", 1);
    if (become(&leader)) {
        struct rlimit limit;
        int held[256], n = 0;
        sit_down(&w);
        await_lead(&w);
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 200;
        setrlimit(RLIMIT_NOFILE, &limit);
        while (n < 256 && (held[n] = dup(0)) >= 0) {
            n++;
        }
        reach(FULL);
        await(FREE);
        while (n > 0) {
            close(held[--n]);
        }
        stay();
    }
    await(FULL);
    sit_down(&w);
    holder = hold(&w, 5);
    ticket = queue(w.ledger);
    kill(holder, SIGKILL);
    await_death(holder); /* the parent says nothing: it knows of no keeper's death, for example */
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    abl_ledger_give(w.ledger, 0, NULL);
    holder = hold(&w, 6);
    reach(FREE);
    ticket = queue(w.ledger);
    usleep(600000);        /* it has seen by now: one look per 250 ms */
    kill(holder, SIGKILL); /* a zombie, until the lease is here: only a descriptor tells */
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    await_death(holder);
    end(leader);
}
END_TEST

static void die_when_granting(abl_probe_t at)
{
    if (at == ABL_PROBE_GRANTED) {
        kill(getpid(), SIGKILL);
    }
}

START_TEST(a_parent_that_dies_while_it_configures)
{
    enum { WAITS = 1, RUNG };
    ledger_world_t w;
    pid_t parent;

    make_steps();
    make_world(&w, "a", 1);
    parent = fork();
    if (parent == 0) {
        if (fork() == 0) {
            abl_ticket_t *ticket;
            sit_down(&w);
            await_lead(&w);
            take(w.ledger);
            ticket = queue(w.ledger);
            usleep(100000); /* its thread watches the parent by now */
            reach(WAITS);
            if (rings(ticket, 5000)) {
                reach(RUNG);
            }
            _exit(0);
        }
        await(WAITS);
        abl_ledger_probe = die_when_granting;
        describe(&w, "a", 2);
        configure(&w);
        _exit(1);
    }
    await_death(parent);
    await(RUNG);
}
END_TEST

/* ---- turns ------------------------------------------------------------------------------------------ */

START_TEST(a_number_that_is_used_again)
{
    ledger_world_t w;

    make_world(&w, "a", 1);
    sit_down(&w);
    take(w.ledger);
    abl_seats_reap(w.segment, NULL, w.child->seat, w.child->turn - 1); /* of somebody with this number */
    ck_assert_uint_eq(w.segment->rows[1].c.busy, 1);
    w.segment->seats[2] = w.segment->seats[1]; /* one with this number died, and nobody knew */
    w.segment->seats[1].pid = 0;
    *abl_held(w.segment, 2, 1) = 1;
    *abl_held(w.segment, 1, 1) = 0;
    sit_down(&w);
    ck_assert_uint_eq(w.segment->rows[1].c.busy, 0);
    sound(&w);
}
END_TEST

/* ---- sitting down late ------------------------------------------------------------------------------ */

START_TEST(a_child_that_sits_down_late_is_of_its_generation)
{
    enum { CONFIGURED = 1, SERVED, REFUSED };
    ledger_world_t w;
    pid_t child;

    make_steps();
    make_world(&w, "a", 1);
    if (become(&child)) {
        abl_want_t want = ANY;
        abl_ticket_t *ticket;
        int member;
        await(CONFIGURED);
        sit_down(&w);
        reach(abl_ledger_take(w.ledger, &want, &member, &ticket) == APR_SUCCESS ? SERVED : REFUSED);
        stay();
    }
    abl_segment_expect(w.segment, child);
    describe(&w, "b", 1);
    configure(&w);
    reach(CONFIGURED);
    await(SERVED);
    sound(&w);
    ck_assert_int_eq(w.segment->seats[1].pid, child); /* the one that was kept */
    ck_assert_int_eq(w.segment->seats[2].pid, 0);
    end(child);
    abl_segment_reap(w.segment, child);
    sound(&w);
    ck_assert_uint_eq(w.segment->rows[1].balancer, 0); /* forgotten, when nobody knows it any more */
}
END_TEST

START_TEST(a_seat_has_the_generation_that_its_child_knows)
{
    enum { CONFIGURED = 1, SAT };
    ledger_world_t w;
    pid_t child;

    make_steps();
    make_world(&w, "a", 1);
    if (become(&child)) {
        await(CONFIGURED);
        sit_down(&w);
        reach(SAT);
        stay();
    }
    configure(&w); /* and nobody was told of the child */
    reach(CONFIGURED);
    await(SAT);
    ck_assert_uint_eq(w.segment->seats[1].generation, w.segment->shared->generation - 1);
    end(child);
}
END_TEST

START_TEST(who_never_sits_down_is_expected_no_more)
{
    ledger_world_t w;
    pid_t child;

    make_world(&w, "a", 1);
    if (become(&child)) {
        stay();
    }
    abl_segment_expect(w.segment, child);
    abl_segment_expect(w.segment, child);
    ck_assert_int_eq(w.segment->seats[1].pid, child);
    ck_assert_int_eq(w.segment->seats[2].pid, 0);
    sound(&w);
    end(child);
    abl_segment_reap(w.segment, child);
    ck_assert_int_eq(w.segment->seats[1].pid, 0);
    sound(&w);
}
END_TEST

UNIT_MAIN("ledger_seats", a_keeper_whose_child_was_killed_gets_nothing, who_leads_and_moves_out_is_replaced,
          a_seat_that_was_left_has_one_thread, a_leader_without_descriptors_looks_again,
          a_parent_that_dies_while_it_configures, a_number_that_is_used_again,
          a_child_that_sits_down_late_is_of_its_generation, a_seat_has_the_generation_that_its_child_knows,
          who_never_sits_down_is_expected_no_more)
