/* SPDX-License-Identifier: Apache-2.0
 *
 * What signals do to a process that has just been made.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"
#include "unit.h"

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
    (void)signal;
    handled = 1;
}

static bool is_blocked(int signal)
{
    sigset_t now;

    return sigprocmask(SIG_SETMASK, NULL, &now) == 0 && sigismember(&now, signal) == 1;
}

/* How the new process ended that has done this. */
static int status_of(void (*what)(void))
{
    pid_t pid = abl_fork_quietly();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        what();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void look_at_mask(void)
{
    kill(getpid(), SIGUSR1);
    _exit(is_blocked(SIGUSR1) && is_blocked(SIGTERM) && is_blocked(SIGPIPE) && !handled ? 3 : 4);
}

START_TEST(no_handler_runs_in_the_new_process)
{
    sigset_t some;

    signal(SIGUSR1, on_signal);
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_SETMASK, &some, NULL);
    ck_assert_int_eq(WEXITSTATUS(status_of(look_at_mask)), 3);
    ck_assert(is_blocked(SIGTERM) && !is_blocked(SIGUSR1)); /* and here the mask is as it was */
    raise(SIGUSR1);
    ck_assert(handled);
}
END_TEST

/* What came meanwhile is not lost, and has its default action. */
static void reset_after_a_signal(void)
{
    kill(getpid(), SIGUSR1);
    abl_fork_reset_signals();
}

static void reset_and_look(void)
{
    struct sigaction usr2, pipe;

    abl_fork_reset_signals();
    sigaction(SIGUSR2, NULL, &usr2);
    sigaction(SIGPIPE, NULL, &pipe);
    _exit(usr2.sa_handler == SIG_DFL && pipe.sa_handler == SIG_DFL && !is_blocked(SIGUSR2) ? 3 : 4);
}

START_TEST(signals_as_a_program_expects_them)
{
    int status;

    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(WEXITSTATUS(status_of(reset_and_look)), 3);
    status = status_of(reset_after_a_signal);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGUSR1);
}
END_TEST

UNIT_MAIN("fork", no_handler_runs_in_the_new_process, signals_as_a_program_expects_them)
