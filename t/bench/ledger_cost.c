/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger costs: a lease taken and given back, by one process and by eight that fight for the same
 * members, and a pick among as many members as there may be. Prints a section of docs/benchmarks.md.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "balance/methods.h"
#include "ledger/ledger.h"

#define ROUNDS 7
#define TIMES 400000

static apr_pool_t *pool;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s failed\n", what);
        _exit(1);
    }
}

static abl_ledger_t *make(abl_segment_t **segment, const abl_method_t *method, int n)
{
    abl_member_conf_t *members = apr_pcalloc(pool, (size_t)n * sizeof(*members));
    abl_ledger_conf_t conf = {
        .name = "bench",
        .method = method,
        .queue_length = 1000,
        .eject = {.failures = 5, .rate = 50, .over = 30000000, .duration = 10000000, .max_share = 50},
        .members = members,
        .nmembers = n,
        .retry_percent = ABL_RETRY_PERCENT};
    abl_ledger_t *ledger;
    int i, left_out;

    for (i = 0; i < n; i++) {
        const char *name = apr_psprintf(pool, "http://127.0.0.1:%d", 10000 + i);
        members[i] =
            (abl_member_conf_t){.address = name, .route = name, .weight = 100 + (apr_uint32_t)(i % 2)};
    }
    must(abl_segment_create(32, segment) == APR_SUCCESS, "abl_segment_create");
    must(abl_segment_configure(*segment, &conf, 1, pool, &ledger, &left_out) == APR_SUCCESS,
         "abl_segment_configure");
    return ledger;
}

static abl_ledger_t *join(abl_segment_t *segment, abl_ledger_t *ledger)
{
    abl_child_t *child;

    must(abl_segment_join(segment, &child) == APR_SUCCESS, "abl_segment_join");
    return abl_ledger_join(ledger, child);
}

static void take_and_give(abl_ledger_t *ledger, int times)
{
    abl_outcome_t outcome = {.bytes = 1000, .latency = 1000};
    abl_want_t want = {.only = -1, .has_key = true};
    abl_ticket_t *ticket;
    int member;

    while (times-- > 0) {
        want.key = (apr_uint64_t)times * UINT64_C(0x9e3779b97f4a7c15);
        must(abl_ledger_take(ledger, &want, &member, &ticket) == APR_SUCCESS, "abl_ledger_take");
        abl_ledger_give(ledger, member, &outcome);
    }
}

/* ---- measuring -------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;

    return (d > 0) - (d < 0);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

/* µs for one take and give, nobody else there. In a child, so that each measurement has a fresh process. */
static void alone(abl_segment_t *segment, abl_ledger_t *ledger, int times, double *result)
{
    if (fork() == 0) {
        double begin;
        ledger = join(segment, ledger);
        take_and_give(ledger, times / 10);
        begin = now();
        take_and_give(ledger, times);
        *result = (now() - begin) * 1e6 / times;
        _exit(0);
    }
    wait(NULL);
}

/* µs of the machine's time for one: elapsed time over all that were done, by so many processes at once. */
static double together(abl_segment_t *segment, abl_ledger_t *ledger, int processes, atomic_int *ready)
{
    double begin;
    int i;

    atomic_store(ready, 0);
    for (i = 0; i < processes; i++) {
        if (fork() == 0) {
            abl_ledger_t *mine = join(segment, ledger);
            atomic_fetch_add(ready, 1);
            while (atomic_load(ready) <= processes) {
                usleep(1000);
            }
            take_and_give(mine, TIMES);
            _exit(0);
        }
    }
    while (atomic_load(ready) < processes) {
        usleep(1000);
    }
    begin = now();
    atomic_fetch_add(ready, 1);
    for (i = 0; i < processes; i++) {
        abl_segment_reap(segment, wait(NULL));
    }
    return (now() - begin) * 1e6 / ((double)processes * TIMES);
}

static double measure_alone(const abl_method_t *method, int n, int times)
{
    double *result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double values[ROUNDS];
    abl_segment_t *segment;
    abl_ledger_t *ledger = make(&segment, method, n);
    int i;

    for (i = 0; i < ROUNDS; i++) {
        alone(segment, ledger, times, result);
        values[i] = *result;
    }
    return median(values);
}

static double measure_together(int processes, int n)
{
    atomic_int *ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double values[ROUNDS];
    abl_segment_t *segment;
    abl_ledger_t *ledger = make(&segment, &abl_method_leastbusy, n);
    char verdict[ABL_CHECK_MAX];
    int i;

    for (i = 0; i < ROUNDS; i++) {
        values[i] = together(segment, ledger, processes, ready);
    }
    must(abl_ledger_check(segment, verdict), verdict);
    return median(values);
}

/* ---- the section ------------------------------------------------------------------------------------ */

static void row(const char *what, double us, double needed)
{
    printf("| %s | %.2f µs | %.0f µs |\n", what, us, needed);
    fflush(stdout);
}

int main(void)
{
    const abl_method_t *const *method;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    printf("## The ledger\n\n"
           "`make bench BENCH=ledger`. A lease taken and given back, everything included: the lock that all "
           "processes "
           "share, the choice, the counts, what is learnt of the answer. Medians of %d rounds. With several "
           "processes: elapsed time over all that were done.\n\n"
           "| | costs | at most |\n|---|--:|--:|\n",
           ROUNDS);
    row("one process, 16 members", measure_alone(&abl_method_leastbusy, 16, TIMES), 1);
    row("8 processes at once, 16 members", measure_together(8, 16), 3);
    for (method = abl_methods; *method != NULL; method++) {
        row(apr_psprintf(pool, "one process, 256 members, %s", (*method)->name),
            measure_alone(*method, 256, TIMES / 10), 10);
    }
    row("one process, 10,000 members, leastbusy", measure_alone(&abl_method_leastbusy, 10000, TIMES / 400),
        1000);
    return 0;
}
