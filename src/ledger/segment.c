/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the segment. Memory is given by the kernel when it is first touched, so the arrays are as long as
 * anybody may need.
 */
#include "ledger/lock.h"
#include "ledger/pick.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static size_t round_up(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

/* An array of `size` bytes behind what is laid out already; NULL as long as there is no memory. */
static void *carve(char *base, size_t *used, size_t size)
{
    void *begin = base != NULL ? base + *used : NULL;

    *used += round_up(size);
    return begin;
}

/* Returns how much memory it takes; without any it only measures. */
static size_t lay_out(abl_segment_t *s, char *base)
{
    size_t used = 0;

    s->shared = carve(base, &used, sizeof(*s->shared));
    s->balancers = carve(base, &used, sizeof(*s->balancers) * (ABL_LEDGER_BALANCERS + 1));
    s->rows = carve(base, &used, sizeof(*s->rows) * (ABL_LEDGER_MEMBERS + 1));
    s->names = carve(base, &used, sizeof(*s->names) * (ABL_LEDGER_MEMBERS + 1));
    s->sites = carve(base, &used, sizeof(*s->sites) * (ABL_LEDGER_MEMBERS + 1));
    s->buckets = carve(base, &used, sizeof(*s->buckets) * ABL_ROW_BUCKETS);
    s->seats = carve(base, &used, sizeof(*s->seats) * ((size_t)s->nseats + 1));
    s->tickets = carve(base, &used, sizeof(*s->tickets) * (ABL_LEDGER_TICKETS + 1));
    s->held = carve(base, &used, sizeof(*s->held) * ((size_t)s->nseats + 1) * (ABL_LEDGER_MEMBERS + 1));
    s->tallies = carve(base, &used, sizeof(*s->tallies) * (ABL_LEDGER_BALANCERS + 1));
    s->histories = carve(base, &used, sizeof(*s->histories) * (ABL_LEDGER_BALANCERS + 1));
    s->chronicles = carve(base, &used, sizeof(*s->chronicles) * (ABL_LEDGER_MEMBERS + 1));
    s->journal = carve(base, &used, sizeof(*s->journal));
    return used;
}

static apr_status_t make_wakers(abl_segment_t *s)
{
    uint32_t seat;

    s->wakers = calloc((size_t)s->nseats + 1, sizeof(int));
    s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wakers == NULL || s->bell < 0) {
        return s->wakers == NULL ? APR_ENOMEM : errno;
    }
    for (seat = 1; seat <= s->nseats; seat++) {
        s->wakers[seat] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->wakers[seat] < 0) {
            return errno;
        }
    }
    return APR_SUCCESS;
}

/* There is no memory for it. */
static apr_status_t forsake(abl_segment_t *s, void *memory)
{
    if (memory != MAP_FAILED) {
        (void)munmap(memory, lay_out(s, NULL));
    }
    free(s->scratch);
    free(s);
    return APR_ENOMEM;
}

apr_status_t abl_segment_create(int seats, abl_segment_t **segment)
{
    abl_segment_t *s = calloc(1, sizeof(*s));
    void *memory;
    apr_status_t rv;

    if (s == NULL) {
        return APR_ENOMEM;
    }
    s->nseats = (uint32_t)seats;
    s->scratch = calloc(1, sizeof(*s->scratch));
    memory = mmap(NULL, lay_out(s, NULL), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (memory == MAP_FAILED || s->scratch == NULL) {
        return forsake(s, memory);
    }
    lay_out(s, memory);
    rv = abl_lock_create(s->shared);
    *segment = s;
    return rv == APR_SUCCESS ? make_wakers(s) : rv;
}
