/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads of a module that may be unloaded.
 */
#include "base/thread.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>

/* exit() unloads modules while a thread may be about to run. */
static void pin_code(void)
{
    Dl_info info;

    if (dladdr((void *)(uintptr_t)pin_code, &info) != 0) {
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

/* Signals are for httpd's own threads, which expect them; but not those of this thread's own crash. */
static void fill_with_others(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    size_t i;

    sigfillset(set);
    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        sigdelset(set, own[i]);
    }
}

int abl_thread_start(void *(*run)(void *data), void *data)
{
    pthread_t thread;
    sigset_t others, before;
    int rc;

    pin_code();
    fill_with_others(&others);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    rc = pthread_create(&thread, NULL, run, data);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? pthread_detach(thread) : rc;
}

void abl_thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}
