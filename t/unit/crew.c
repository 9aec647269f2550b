/* SPDX-License-Identifier: Apache-2.0
 *
 * The crew: one holder at any time, and always one.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "await.h"
#include "base/clock.h"
#include "engine/crew.h"
#include "unit.h"

#define WAIT_MS 5000

static abl_crew_t *crew;
static atomic_bool ends;
static sem_t got_role, came_back, go_on;
static atomic_int holders, rounds, taken, left, ended;
static _Atomic int64_t entered_at, entered_again_at;
static atomic_bool two;
static unsigned char kinds[4096];

static void pause_ms(int ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&ts, NULL);
}

static void reset(void)
{
    atomic_store(&ends, false);
    atomic_store(&holders, 0);
    atomic_store(&rounds, 0);
    sem_init(&got_role, 0, 0);
    sem_init(&came_back, 0, 0);
    sem_init(&go_on, 0, 0);
}

static void note_end(void)
{
    atomic_fetch_add(&ended, 1);
}

static void start(int most, abl_crew_work_t *work)
{
    reset();
    ck_assert_int_eq(abl_crew_start(&crew, most, work, note_end, NULL), APR_SUCCESS);
}

static void stop(void)
{
    atomic_store(&ends, true);
    abl_crew_stop(crew);
    ck_assert_int_gt(atomic_load(&ended), 0); /* each before it was over */
}

static void until_the_end(void)
{
    while (!atomic_load(&ends) && abl_crew_has_role(crew)) {
        pause_ms(1);
    }
}

/* The standing by is not there at once. */
static bool enters(void)
{
    int64_t until = abl_clock_now() + WAIT_MS * ABL_MS;

    while (!abl_crew_enter(crew)) {
        if (abl_clock_now() > until) {
            return false;
        }
        pause_ms(1);
    }
    return true;
}

/* The first holder is stuck until it is told to go on. */
static void stuck_first(void *ctx)
{
    (void)ctx;
    sem_post(&got_role);
    if (atomic_fetch_add(&rounds, 1) == 0 && enters()) {
        sem_wait(&go_on);
        atomic_store(&taken, abl_crew_exit(crew) ? 0 : 1);
        sem_post(&came_back);
    }
    until_the_end();
}

START_TEST(who_is_stuck_loses_the_role)
{
    start(4, stuck_first);
    ck_assert(await(&got_role, WAIT_MS));
    ck_assert(await(&got_role, WAIT_MS)); /* another one, while the first is stuck */
    sem_post(&go_on);
    ck_assert(await(&came_back, WAIT_MS));
    ck_assert_int_eq(atomic_load(&taken), 1);
    ck_assert(!abl_crew_has_role(crew));
    stop();
}
END_TEST

static void compute_first(void *ctx)
{
    (void)ctx;
    if (atomic_fetch_add(&rounds, 1) == 0 && enters()) {
        int64_t until = abl_clock_now() + 20 * ABL_MS;
        while (abl_clock_now() < until) {
        }
        atomic_store(&taken, abl_crew_exit(crew) ? 0 : 1);
        sem_post(&came_back);
    }
    until_the_end();
}

START_TEST(who_computes_keeps_it)
{
    start(4, compute_first);
    ck_assert(await(&came_back, WAIT_MS));
    ck_assert_int_eq(atomic_load(&taken), 0);
    stop();
}
END_TEST

static void leave_first(void *ctx)
{
    (void)ctx;
    sem_post(&got_role);
    if (atomic_fetch_add(&rounds, 1) == 0 && enters()) {
        abl_crew_leave();
        abl_crew_leave(); /* once is enough */
        ck_assert(!abl_crew_has_role(crew));
        sem_wait(&go_on);
        atomic_store(&taken, abl_crew_exit(crew) ? 0 : 1);
        sem_post(&came_back);
    }
    until_the_end();
}

START_TEST(who_leaves_gives_it_away)
{
    start(4, leave_first);
    ck_assert(await(&got_role, WAIT_MS));
    ck_assert(await(&got_role, WAIT_MS));
    sem_post(&go_on);
    ck_assert(await(&came_back, WAIT_MS));
    ck_assert_int_eq(atomic_load(&taken), 1);
    stop();
}
END_TEST

static void try_to_enter(void *ctx)
{
    (void)ctx;
    pause_ms(20);
    atomic_store(&taken, abl_crew_enter(crew) ? 1 : 0);
    sem_post(&came_back);
    until_the_end();
}

START_TEST(alone_nothing_is_entered)
{
    start(1, try_to_enter);
    ck_assert(await(&came_back, WAIT_MS));
    ck_assert_int_eq(atomic_load(&taken), 0);
    ck_assert(!abl_crew_enter(crew)); /* nor by who is no holder */
    abl_crew_leave();
    stop();
}
END_TEST

/* After somebody had to take over nothing is entered for a while; then again. */
static void stuck_then_try(void *ctx)
{
    (void)ctx;
    if (atomic_fetch_add(&rounds, 1) == 0) {
        atomic_store(&entered_at, abl_clock_now());
        if (enters()) {
            sem_wait(&go_on);
            (void)abl_crew_exit(crew);
        }
        return;
    }
    atomic_store(&taken, abl_crew_enter(crew) ? 1 : 0);
    sem_post(&got_role);
    if (enters()) {
        atomic_store(&entered_again_at, abl_clock_now());
        sem_post(&came_back);
        (void)abl_crew_exit(crew);
    }
    until_the_end();
}

START_TEST(a_rest_after_that)
{
    start(4, stuck_then_try);
    ck_assert(await(&got_role, WAIT_MS));
    ck_assert_int_eq(atomic_load(&taken), 0);
    sem_post(&go_on);
    ck_assert(await(&came_back, WAIT_MS));
    ck_assert_int_gt(atomic_load(&entered_again_at) - atomic_load(&entered_at), 100 * ABL_MS);
    stop();
}
END_TEST

START_TEST(a_stop_waits_for_who_is_stuck)
{
    start(4, stuck_first);
    ck_assert(await(&got_role, WAIT_MS));
    ck_assert(await(&got_role, WAIT_MS));
    sem_post(&go_on); /* otherwise it would not return */
    stop();
    ck_assert(await(&came_back, 0)); /* has been, before the stop returned */
}
END_TEST

/* Everything at once: outside of what was entered there is one, and it goes on for ever. */
static void anything(void *ctx)
{
    (void)ctx;
    while (!atomic_load(&ends) && abl_crew_has_role(crew)) {
        int kind = kinds[atomic_fetch_add(&rounds, 1) % (int)sizeof(kinds)];
        if (atomic_fetch_add(&holders, 1) != 0) {
            atomic_store(&two, true);
        }
        atomic_fetch_sub(&holders, 1);
        if (!abl_crew_enter(crew)) {
            pause_ms(1);
            continue;
        }
        if (kind < 4) {
            pause_ms(kind + 1);
        } else if (kind < 20) {
            abl_crew_leave();
            pause_ms(kind % 3);
        }
        if (!abl_crew_exit(crew)) {
            atomic_fetch_add(&left, 1);
        }
    }
}

START_TEST(never_two_and_never_none)
{
    unsigned seed = 1;
    size_t i;
    int before, times;

    for (i = 0; i < sizeof(kinds); i++) {
        seed = seed * 1103515245 + 12345;
        kinds[i] = (unsigned char)(seed >> 16);
    }
    start(6, anything);
    for (times = 0; times < 10; times++) {
        before = atomic_load(&rounds);
        pause_ms(200);
        ck_assert_int_gt(atomic_load(&rounds), before);
    }
    stop();
    ck_assert(!atomic_load(&two));
    ck_assert_int_gt(atomic_load(&left), 10);
}
END_TEST

UNIT_MAIN("crew", who_is_stuck_loses_the_role, who_computes_keeps_it, who_leaves_gives_it_away,
          alone_nothing_is_entered, a_rest_after_that, a_stop_waits_for_who_is_stuck,
          never_two_and_never_none)
