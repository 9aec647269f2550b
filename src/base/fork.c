/* SPDX-License-Identifier: Apache-2.0
 *
 * fork() and signals.
 */
#include "base/fork.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

pid_t abl_fork_quietly(void)
{
    sigset_t all, before;
    int error;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        return 0;
    }
    error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

/* The actions come first: what has waited arrives when nothing is blocked any more. */
void abl_fork_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    int i;

    sigemptyset(&action.sa_mask);
    for (i = 1; i < NSIG; i++) {
        (void)sigaction(i, &action, NULL); /* some cannot be changed, and have it anyway */
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}
