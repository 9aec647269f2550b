/* SPDX-License-Identifier: Apache-2.0
 *
 * What there is to see of the ledger: copies, made inside the lock, to look at outside it.
 */
#ifndef ABL_LEDGER_VIEW_H
#define ABL_LEDGER_VIEW_H

#include "ledger/chronicle.h"
#include "ledger/site.h"
#include "ledger/steer.h"

typedef struct abl_member_view_t {
    char address[ABL_ADDRESS_MAX + 1];
    char route[ABL_NAME_MAX + 1];
    abl_status_t status;
    int set;
    bool draining;       /* marked, beside what its status says */
    bool removed;        /* not in the configuration any more; finishes its requests */
    apr_uint32_t weight; /* hundredths */
    apr_uint32_t share;  /* percent of its weight that it has now (slow-start=) */
    apr_uint32_t concurrency;
    apr_uint32_t busy;
    apr_uint32_t queued;   /* waiting for this member only */
    apr_uint64_t requests; /* so far, or since statistics were begun anew; and so the next two */
    apr_uint64_t failures;
    apr_uint64_t bytes;
    apr_uint64_t latency;  /* µs; 0: none yet */
    bool away;             /* it cannot be reached, see health.h */
    bool unfit, unproven;  /* what its checks say, see checks.h */
    bool ejected;          /* too many of its requests have failed */
    int64_t ejected_for;   /* still so long, µs */
    bool unreachable;      /* nobody has come to its address yet: its application starts it */
    int error;             /* why it is away, an errno */
    bool by_rate, by_wish; /* why it is ejected, see abl_health_view_t */
    apr_uint32_t fails;
    apr_uint32_t percentiles[3]; /* 50, 90, 99: to the first byte, µs; 0: none yet */
    int nfailures;
    abl_failure_t last[ABL_FAILURES_KEPT]; /* the newest first */
    abl_status_t conf_status;              /* as the configuration says, and so the next two */
    apr_uint32_t conf_weight, conf_concurrency;
    unsigned steered;                    /* ABL_STEERED_*: what was changed by hand */
    bool added;                          /* at run time; its address is where it is */
    bool by_hand;                        /* somebody has ejected it */
    char notes[ABL_NOTES][ABL_NOTE_MAX]; /* who has changed it, and why; empty: nobody */
    bool supervised;                     /* an instance of an application */
    bool named;                          /* its address is a name, */
    abl_site_t site;                     /* and there it is */
} abl_member_view_t;

typedef struct abl_balancer_view_t {
    char name[ABL_NAME_MAX + 1];
    char method[ABL_NAME_MAX + 1];
    bool removed;
    apr_uint32_t waiting;
    apr_uint32_t queue_length;
    apr_uint32_t per_client;
    apr_uint32_t places, free_places; /* for members added at run time */
    apr_int64_t reset_at;             /* statistics were begun anew, seconds since 1970; 0: never */
    int64_t head_age;                 /* µs the oldest has waited; 0: nobody waits */
    int nmembers;                     /* removed ones included */
} abl_balancer_view_t;

/* The balancer with this index, from 1 to abl_view_balancers(). False: there is none there. */
bool abl_view_balancer(abl_segment_t *segment, int index, abl_balancer_view_t *view);

/* How far somebody has come who looks at a balancer's members. All but `balancer`, its index, is 0 at first.
 */
typedef struct abl_view_place_t {
    int balancer;
    apr_uint64_t next; /* set and order of the next one */
    apr_uint32_t row;  /* of the last removed one */
} abl_view_place_t;

#define ABL_VIEW_PORTION                                                                                     \
    64 /* members at once: the lock is held for so long, and no request is late for it                       \
        */

/* The next members, at most `room`, in the order of the configuration, removed ones last. Returns how many;
 * 0: all have been seen. Others may come and go between two calls: whoever is there all the time is seen
 * once. */
int abl_view_members(abl_segment_t *segment, abl_view_place_t *from, abl_member_view_t *members, int room);

int abl_view_balancers(abl_segment_t *segment);

/* How many wait in this balancer's queues now, and how many are at its members. `child`: the caller's seat;
 * NULL: it has none. */
void abl_view_load(abl_segment_t *segment, const abl_child_t *child, int index, apr_uint32_t *waiting,
                   apr_uint32_t *busy);

typedef struct abl_seat_view_t {
    int seat;
    pid_t pid;
    bool old;                                         /* of an earlier generation: it finishes what it has */
    apr_uint32_t parked, adopted, lingering, threads; /* see abl_seat_counts_t */
} abl_seat_view_t;

/* The seats that are taken, at most `room`. Returns how many. */
int abl_view_seats(abl_segment_t *segment, abl_seat_view_t *seats, int room);

/* How often somebody died inside the lock and the counts were made anew. */
apr_uint64_t abl_view_rebuilds(abl_segment_t *segment);

#endif
