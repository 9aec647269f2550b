/* SPDX-License-Identifier: Apache-2.0
 *
 * `entered` is the key: while the holder may be stuck, whoever changes it back to 0 has the role.
 */
#include "engine/crew.h"

#include "base/clock.h"
#include "base/thread.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_EVERY (4 * ABL_MS) /* each look costs a switch of threads */
#define ASLEEP (2 * ABL_MS)     /* so long a holder that sleeps is waited for, at least */
#define TOO_LONG (100 * ABL_MS) /* for one that computes, or that others keep from computing */
#define LOOKS 2                 /* without a sign of life: the one that stands by may sleep */
#define SPARE 2                 /* threads that stand by; who comes back and finds so many ends */
#define REST_MIN (100 * ABL_MS) /* after somebody had to take over: nothing is entered */
#define REST_MAX (10 * ABL_SECOND)

struct abl_crew_t {
    abl_crew_work_t *work;
    void (*end)(void);
    void *ctx;
    int most;

    _Atomic int64_t entered;    /* when the holder began with what may take long; 0: it has not */
    _Atomic int64_t rest_until; /* until then nothing may be entered */
    atomic_int standing_by;
    atomic_bool awake;    /* who stands by looks after the holder regularly */
    atomic_uint signs;    /* of life */
    _Atomic pid_t holder; /* thread's id */

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    bool vacant; /* the role was given away, and nobody has it yet */
    bool stopping;
    bool looked_after; /* one of those that stand by waits for the time to look */
    int alive;
    int64_t rest; /* how long the last one was */
};

/* This thread's. */
static _Thread_local abl_crew_t *role;
static _Thread_local int64_t since; /* 0: not entered */

/* ---- the holder ------------------------------------------------------------------------------------- */

bool abl_crew_has_role(const abl_crew_t *crew)
{
    return role == crew;
}

static void wake(abl_crew_t *crew)
{
    pthread_mutex_lock(&crew->lock);
    atomic_store(&crew->awake, true);
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
}

bool abl_crew_enter(abl_crew_t *crew)
{
    int64_t now = abl_clock_now();

    if (role != crew || atomic_load(&crew->standing_by) == 0 || now < atomic_load(&crew->rest_until)) {
        return false;
    }
    since = now;
    atomic_fetch_add_explicit(&crew->signs, 1, memory_order_relaxed);
    atomic_store(&crew->entered, now);
    if (!atomic_load(&crew->awake)) {
        wake(crew);
    }
    return true;
}

/* True: the role was this thread's until now. */
static bool win_role(abl_crew_t *crew, int64_t entered)
{
    return atomic_compare_exchange_strong(&crew->entered, &entered, 0);
}

bool abl_crew_exit(abl_crew_t *crew)
{
    if (role == crew && !win_role(crew, since)) {
        role = NULL;
    }
    since = 0;
    return role == crew;
}

void abl_crew_leave(void)
{
    abl_crew_t *crew = role;

    if (crew == NULL || since == 0) {
        return;
    }
    role = NULL;
    if (win_role(crew, since)) {
        pthread_mutex_lock(&crew->lock);
        crew->vacant = true;
        pthread_cond_broadcast(&crew->changed);
        pthread_mutex_unlock(&crew->lock);
    }
}

/* ---- standing by ------------------------------------------------------------------------------------ */

/* Does the holder run, or would it if it could? A thread that waits for the processor is not stuck. */
static bool is_running(pid_t holder)
{
    char path[64], text[128];
    const char *state;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)holder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    state = strrchr(text, ')');
    return state == NULL || state[1] == '\0' || state[2] == 'R';
}

/* Who comes too late too often does better elsewhere. */
static void make_rest_locked(abl_crew_t *crew, int64_t now)
{
    bool calm = now > atomic_load(&crew->rest_until) + 10 * crew->rest;

    crew->rest = calm ? REST_MIN : 2 * crew->rest;
    if (crew->rest > REST_MAX) {
        crew->rest = REST_MAX;
    }
    atomic_store(&crew->rest_until, now + crew->rest);
}

static bool take_over_locked(abl_crew_t *crew)
{
    int64_t entered = atomic_load(&crew->entered);
    int64_t now = abl_clock_now();

    if (entered == 0 || now - entered < ASLEEP ||
        (now - entered < TOO_LONG && is_running(atomic_load(&crew->holder))) || !win_role(crew, entered)) {
        return false;
    }
    make_rest_locked(crew, now);
    return true;
}

static void look_again_soon_locked(abl_crew_t *crew)
{
    int64_t at = abl_clock_now() + LOOK_EVERY;
    struct timespec ts = {.tv_sec = at / ABL_SECOND, .tv_nsec = at % ABL_SECOND * 1000};

    crew->looked_after = true;
    pthread_cond_timedwait(&crew->changed, &crew->lock, &ts);
    crew->looked_after = false;
}

/* One wait. `signs`, `looks`: the caller's memory of the last ones. */
static void wait_locked(abl_crew_t *crew, unsigned *signs, int *looks)
{
    unsigned now = atomic_load(&crew->signs);

    if (!atomic_load(&crew->awake) || crew->looked_after) {
        pthread_cond_wait(&crew->changed, &crew->lock);
        return;
    }
    *looks = now == *signs ? *looks + 1 : 0;
    *signs = now;
    if (*looks > LOOKS) {
        *looks = 0;
        atomic_store(&crew->awake, false);
        if (atomic_load(&crew->entered) == 0) { /* else it has just been entered, and nobody was woken */
            return;
        }
        atomic_store(&crew->awake, true);
    }
    look_again_soon_locked(crew);
}

static void *run(void *data);

static void have_another_locked(abl_crew_t *crew)
{
    if (atomic_load(&crew->standing_by) == 0 && crew->alive < crew->most &&
        abl_thread_start(run, crew) == 0) {
        crew->alive++;
    }
    pthread_cond_broadcast(&crew->changed); /* somebody else has to look after this one */
}

/* True: the role is this thread's now. False: it is not needed any more. */
static bool stand_by(abl_crew_t *crew)
{
    unsigned signs = 0;
    int looks = 0;
    bool has_role;

    pthread_mutex_lock(&crew->lock);
    if (atomic_load(&crew->standing_by) >= SPARE) {
        pthread_mutex_unlock(&crew->lock);
        return false;
    }
    atomic_fetch_add(&crew->standing_by, 1);
    while (!crew->stopping && !crew->vacant && !take_over_locked(crew)) {
        wait_locked(crew, &signs, &looks);
    }
    atomic_fetch_sub(&crew->standing_by, 1);
    has_role = !crew->stopping;
    if (has_role) {
        crew->vacant = false;
        role = crew;
        atomic_store(&crew->holder, (pid_t)syscall(SYS_gettid));
        have_another_locked(crew);
    }
    pthread_mutex_unlock(&crew->lock);
    return has_role;
}

static void *run(void *data)
{
    abl_crew_t *crew = data;

    while (stand_by(crew)) {
        crew->work(crew->ctx);
        role = NULL;
    }
    if (crew->end != NULL) {
        crew->end();
    }
    pthread_mutex_lock(&crew->lock);
    crew->alive--;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* ---- starting and stopping -------------------------------------------------------------------------- */

apr_status_t abl_crew_start(abl_crew_t **made, int most, abl_crew_work_t *work, void (*end)(void), void *ctx)
{
    abl_crew_t *crew = calloc(1, sizeof(*crew));
    int rc;

    *made = crew;
    if (crew == NULL) {
        return APR_ENOMEM;
    }
    crew->work = work;
    crew->end = end;
    crew->ctx = ctx;
    crew->most = most;
    crew->vacant = true;
    pthread_mutex_init(&crew->lock, NULL);
    abl_thread_cond_init(&crew->changed);
    pthread_mutex_lock(&crew->lock);
    rc = abl_thread_start(run, crew);
    crew->alive = rc == 0 ? 1 : 0;
    pthread_mutex_unlock(&crew->lock);
    return rc;
}

void abl_crew_stop(abl_crew_t *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    pthread_cond_broadcast(&crew->changed);
    while (crew->alive > 0) {
        pthread_cond_wait(&crew->changed, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}
