/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock: the next one gets in whoever dies, and wherever.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/lock.h"
#include "unit.h"

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

static abl_shared_t *make_lock(void)
{
    abl_shared_t *shared = share(sizeof(*shared));

    ck_assert_int_eq(abl_lock_create(shared), APR_SUCCESS);
    return shared;
}

/* Whoever of this family is woken has to wait until the one that runs sleeps (or has run for long). */
static void wait_for_turns(void)
{
    const struct sched_param param = {0};
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    for (int cpu = 0, n = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set) && n++ > 0) {
            CPU_CLR(cpu, &set);
        }
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
    ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &param), 0); /* which interrupts nobody */
}

/* 'R', 'S', 'Z', ...: see proc(5). */
static char state_of(pid_t pid)
{
    char path[64], state = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
    fclose(file);
    return state;
}

/* A child that asks for the lock when it is told to, and says so by a byte when it has it. */
static pid_t make_child(abl_shared_t *shared, _Atomic int *go, int fd, void (*then)(abl_shared_t *))
{
    pid_t pid = fork();

    if (pid == 0) {
        while (!atomic_load(go)) {
            sched_yield();
        }
        bool mine = abl_lock_take(shared);
        (void)!write(fd, mine ? "y" : "n", 1);
        then(shared);
        _exit(0);
    }
    return pid;
}

/* Returns when it sleeps: it waits for the lock, or for nothing any more. */
static void tell(pid_t pid, _Atomic int *go)
{
    atomic_store(go, 1);
    while (state_of(pid) != 'S' && state_of(pid) != 'Z') {
        sched_yield();
    }
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static char answer(int fd, int milliseconds)
{
    struct pollfd p = {fd, POLLIN, 0};
    char byte = 0;

    if (poll(&p, 1, milliseconds) == 1) {
        ck_assert_int_eq(read(fd, &byte, 1), 1);
    }
    return byte;
}

START_TEST(whoever_is_woken_and_dies_leaves_nobody_asleep)
{
    abl_shared_t *shared = make_lock();
    _Atomic int *go = share(2 * sizeof(*go));
    pid_t first, second;
    int came_too_late = 0;
    int fds[2], late[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(pipe(late), 0);
    wait_for_turns();
    for (int round = 0; round < 20; round++) {
        atomic_store(&go[0], 0);
        atomic_store(&go[1], 0);
        first = make_child(shared, &go[0], late[1], abl_lock_release);
        second = make_child(shared, &go[1], fds[1], abl_lock_release);
        ck_assert(abl_lock_take(shared));
        tell(first, &go[0]);
        tell(second, &go[1]);
        abl_lock_release(shared);         /* wakes the first one, */
        ck_assert(abl_lock_take(shared)); /* who comes too late */
        end(first);                       /* and dies: nobody knows of the second one any more */
        abl_lock_release(shared);
        ck_assert_int_eq(answer(fds[0], 1000), 'y');
        end(second);
        came_too_late += answer(late[0], 0) == 0;
    }
    ck_assert_int_gt(came_too_late, 0);
}
END_TEST

static void stay(abl_shared_t *shared)
{
    (void)shared;
    for (;;) {
        pause();
    }
}

START_TEST(whoever_dies_inside_leaves_it_to_the_next)
{
    abl_shared_t *shared = make_lock();
    _Atomic int *go = share(2 * sizeof(*go));
    pid_t owner, next;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    for (int round = 0; round < 20; round++) {
        atomic_store(&go[1], 0);
        owner = make_child(shared, &go[0], fds[1], stay);
        next = make_child(shared, &go[1], fds[1], abl_lock_release);
        tell(owner, &go[0]);
        ck_assert_int_eq(answer(fds[0], 1000), 'y');
        tell(next, &go[1]);
        end(owner);
        ck_assert_int_eq(answer(fds[0], 1000), 'y');
        waitpid(next, NULL, 0);
    }
}
END_TEST

START_TEST(a_thread_that_is_inside_is_told)
{
    abl_shared_t *shared = make_lock();

    ck_assert(abl_lock_take(shared));
    ck_assert(!abl_lock_take(shared));
    abl_lock_release(shared);
    ck_assert(abl_lock_take(shared));
    abl_lock_release(shared);
}
END_TEST

static abl_shared_t *asked_for;
static volatile sig_atomic_t refused;

static void ask_in_handler(int signal)
{
    (void)signal;
    if (abl_lock_take(asked_for)) {
        abl_lock_release(asked_for);
    } else {
        refused = 1;
    }
    _exit(refused ? 1 : 0);
}

/* Wherever in taking and releasing the signal comes, the lock is not lost: the next one gets it. */
START_TEST(a_process_that_exits_in_a_signal_handler)
{
    _Atomic int *ready = share(sizeof(*ready));
    int inside = 0;

    asked_for = make_lock();
    for (int round = 0; round < 2000; round++) {
        int status;
        atomic_store(ready, 0);
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGTERM, ask_in_handler);
            for (;;) {
                abl_lock_take(asked_for);
                abl_lock_release(asked_for);
                atomic_store(ready, 1);
            }
        }
        while (!atomic_load(ready)) {
            sched_yield();
        }
        for (volatile int i = rand() % 3000; i > 0; i--) {
        }
        kill(pid, SIGTERM);
        waitpid(pid, &status, 0);
        ck_assert(WIFEXITED(status));
        inside += WEXITSTATUS(status);
        alarm(10); /* it would wait for ever */
        ck_assert(abl_lock_take(asked_for));
        abl_lock_release(asked_for);
        alarm(0);
    }
    ck_assert_int_gt(inside, 0);
}
END_TEST

UNIT_MAIN("ledger_lock", whoever_is_woken_and_dies_leaves_nobody_asleep,
          whoever_dies_inside_leaves_it_to_the_next, a_thread_that_is_inside_is_told,
          a_process_that_exits_in_a_signal_handler)
