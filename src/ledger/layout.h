/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in the segment. Shared by the files of this folder, and nobody else.
 *
 *     ┌────────┬────────────┬─────────┬─────────┬─────────┬───────┬───────────┬──────────────────────────┐
 *     │ shared │ balancers  │ rows    │ names   │ sites   │ seats │ tickets   │ held                     │
 *     │ lock   │ queue ─────┼─────────┼─────────┼─────────┼───────┼─► ticket  │ seat 1: leases of row 1… │
 *     │ dirty  │ listed ────┼─► row   │ address │ epoch   │ mail ─┼─► ticket  │ seat 2: leases of row 1… │
 *     │ free ──┼────────────┼─────────┼─────────┼─────────┼───────┼─► ticket  │ …                        │
 *     └────────┴────────────┴─────────┴─────────┴─────────┴───────┴───────────┴──────────────────────────┘
 *     ┌──────────────┬───────────────┬───────────────────────────┐
 *     │ tallies      │ histories     │ chronicles                │   for those who look only
 *     │ per balancer │ per balancer  │ per row: times, failures  │
 *     └──────────────┴───────────────┴───────────────────────────┘
 *
 * A **row** is one member. Everything is named by its index, from 1; 0 is nobody. Everything is read and
 * written inside the lock, except what is said to be otherwise.
 *
 * **Truth and cache.** The truth is what says it is truth below; each piece of it changes by a single store,
 * so that a process may be killed between any two instructions. All the rest is a cache of it, and whoever
 * finds the `dirty` word set makes the caches anew (rebuild.c). A lease is held by a seat (`held`) or, from
 * its grant until it is collected, by a ticket (`grant`): that is why handing a lease on is one store too.
 */
#ifndef ABL_LEDGER_LAYOUT_H
#define ABL_LEDGER_LAYOUT_H

#include "base/ip.h"
#include "ledger/chronicle.h"
#include "ledger/history.h"
#include "ledger/journal.h"
#include "ledger/latency.h"
#include "ledger/secret.h"
#include "ledger/steer.h"
#include "ledger/tally.h"

#include <pthread.h>
#include <stdatomic.h>

#define ABL_ROW_BUCKETS 4096
#define ABL_CLIENT_BUCKETS 1024 /* of one balancer's table of clients that wait */
#define ABL_REFUSED UINT32_MAX  /* as a grant: no member may be used any more */
#define ABL_DOUBTS 16           /* requests that failed lately, of one balancer (health.c) */
#define ABL_RUN_CLIENTS 8       /* of whom failures in a row are remembered */

/* A list of tickets, oldest first. */
typedef struct abl_list_t {
    uint32_t first;
    uint32_t last;
    uint32_t length;
} abl_list_t;

/* Requests in a part of BalancerEject's over=. */
typedef struct abl_window_t {
    int64_t since;
    uint32_t good, bad;
} abl_window_t;

/* What is wrong with a member; health.c's. All of it is its own truth. */
typedef struct abl_ailment_t {
    uint8_t away;    /* nobody could be reached there */
    uint8_t ejected; /* it has failed too often */
    uint8_t by_rate; /* that is why */
    uint8_t by_wish; /* or it has asked for it */
    uint8_t by_hand; /* or somebody has (steer.h) */
    uint8_t
        on_trial;  /* it was ejected: one failure more, before it has shown that it works, and it is again */
    uint8_t met;   /* somebody was there once */
    uint8_t unfit; /* its checks have failed (checks.h) */
    uint8_t unproven;  /* none of its checks has passed yet, and it gets no request before */
    int16_t checks;    /* passed in a row while it was unfit; below 0: failed in a row */
    uint8_t nclients;  /* in `clients` */
    int error;         /* why it is away */
    int64_t until;     /* it is ejected */
    int64_t well_at;   /* a request went well, last */
    int64_t broke_at;  /* a connection, last, with a failure that counted */
    int64_t back_at;   /* when it came back last; 0: never away or ejected */
    uint32_t times;    /* it was ejected, lately */
    uint32_t run;      /* failures in a row that count, twice where there was no answer at all */
    uint32_t raw;      /* all in a row, but those of requests that fail everywhere */
    uint32_t good_run; /* requests that went well in a row */
    uint32_t fails;    /* it was ejected for */
    abl_window_t now, before;
    uint64_t clients[ABL_RUN_CLIENTS]; /* whose failures are among `run` */
} abl_ailment_t;

/* A request that has failed: is it the request's fault or the member's? */
typedef struct abl_doubt_t {
    uint64_t what;      /* hash of its target; 0: free */
    uint32_t row;       /* where it failed first, */
    uint64_t client;    /* and for whom */
    uint8_t everywhere; /* it has failed at another member, too */
    uint8_t elsewhere;  /* it has gone well at another member */
    uint8_t pending;    /* what will count against `row` then */
    int64_t at;
} abl_doubt_t;

typedef struct abl_row_t {
    uint32_t balancer; /* truth; 0: the row is free */
    uint32_t same;     /* another row of its bucket (rows.h); 0: none */
    uint32_t born;     /* truth; the generation since which it has been listed without a break */
    uint32_t gone;     /* truth; unless it is listed: the generation that does not list it any more */
    uint32_t before, before_gone; /* truth; born and gone before the last break; 0: there was none */
    uint32_t order;               /* truth; of its line in the section */
    uint8_t listed;               /* truth; it is in the configuration */
    uint8_t drain;                /* truth; somebody marked it */
    uint8_t status;               /* truth; abl_status_t */
    uint8_t set;                  /* truth */
    uint8_t supervised;           /* truth; of an application that is looked after (gate.h), */
    uint8_t shut;                 /* truth; and there is nobody at its address now */
    uint8_t suspected;            /* truth; shut by a child, which has found nobody there */
    uint8_t accused;              /* truth; a request has been there for too long */
    uint8_t naming;               /* truth; abl_naming_t (site.h): until it is known where it is it is shut */
    uint8_t conf_status;          /* truth; abl_status_t, as the configuration says */
    uint8_t steered;              /* truth; ABL_STEERED_*, what was changed by hand */
    uint32_t conf_weight, conf_limit; /* truth; as the configuration says */
    uint8_t vacant;                   /* truth; nobody is there: as if it were not listed */
    uint32_t weight;                  /* truth; c.weight is less while it starts slowly */
    uint32_t allowed;                 /* leases at once, while it starts slowly less than c.limit */
    int64_t slow_start;               /* truth; µs */
    int64_t moved_at;                 /* truth; its addresses are what they are since; 0: for ever */
    uint32_t ceiling;  /* while more than `limit` are busy because the limit was lowered: how many at most */
    abl_list_t queue;  /* tickets that wait for this member only */
    uint64_t requests; /* leases taken so far */
    uint64_t requests_then; /* when statistics were begun anew; they show what came since */
    uint64_t opened;        /* truth; `requests` when the gate was opened */
    uint64_t until;         /* truth; no lease is given when `requests` is there; UINT64_MAX: no such limit */
    uint64_t failures;
    uint64_t bytes;
    abl_candidate_t c; /* busy, queued: caches; `usable` means nothing here */
    abl_ailment_t ailment;
} abl_row_t;

typedef struct abl_name_t {
    char address[ABL_ADDRESS_MAX + 1];
    char route[ABL_NAME_MAX + 1];
} abl_name_t;

/* Addresses of a row. */
typedef struct abl_site_set_t {
    uint32_t n;
    abl_ip_t ips[ABL_ADDRESSES_MAX];
} abl_site_set_t;

#define ABL_SITE_WORDS (sizeof(abl_site_set_t) / sizeof(uint32_t))

/* Truth. Read without the lock. */
typedef struct abl_site_row_t {
    _Atomic uint32_t epoch;                   /* its lowest bit says which of the two it is */
    _Atomic uint32_t sets[2][ABL_SITE_WORDS]; /* abl_site_set_t, word by word */
} abl_site_row_t;

typedef struct abl_balancer_row_t {
    char name[ABL_NAME_MAX + 1]; /* truth; empty: the row is free */
    char method[ABL_NAME_MAX + 1];
    uint8_t listed;         /* truth; it is in the configuration */
    uint8_t simple;         /* every listed row is on, in one set and not draining */
    uint32_t queue_length;  /* truth */
    uint32_t per_client;    /* truth */
    uint32_t savings;       /* towards retries, in hundredths of one */
    uint32_t retry_percent; /* truth; of each request, added to them */
    uint32_t waiting;       /* tickets in all its queues */
    abl_list_t queue;       /* tickets that wait for any member */
    uint32_t clients[ABL_CLIENT_BUCKETS];
    abl_eject_conf_t eject; /* truth */
    abl_hedge_conf_t hedge; /* truth */
    uint32_t hedge_savings; /* towards second tries, in hundredths of one */
    abl_latency_t latencies;
    _Atomic int64_t late_after; /* an answer is, µs; 0: not known */
    uint8_t checked;            /* truth; its members are checked, */
    uint8_t mandatory;          /* truth; and new ones get no request before a check has passed */
    int64_t outage_wait;        /* truth; how long members that are all away are waited for, µs */
    int64_t outage_since;       /* a request has found all of them away; 0: none has */
    int64_t change_at;          /* when time alone changes something about its members; 0: it does not */
    int64_t reset_at;           /* statistics were begun anew, seconds since 1970; 0: never */
    _Atomic uint32_t ndoubts;
    abl_doubt_t doubts[ABL_DOUBTS];
    uint32_t nlisted;
    uint32_t rows[ABL_MEMBERS_MAX]; /* listed ones, by set and order; last: most of it is never touched */
} abl_balancer_row_t;

/* See tally.h: nothing but counters, each added to without the lock. */
typedef struct abl_tally_row_t {
    _Atomic uint64_t ended[ABL_TALLY_ENDS][ABL_TALLY_CLASSES];
    _Atomic uint64_t out, took_sum, in, waited, waits_sum, retries, hedged;
    _Atomic uint64_t took[ABL_LATENCY_STEPS];
    _Atomic uint64_t waits[ABL_LATENCY_STEPS];
} abl_tally_row_t;

/* See history.h: without the lock, by one writer. */
typedef struct abl_history_row_t {
    _Atomic uint64_t ever;
    int64_t end;
    abl_percentiles_t minute_took, minute_wait;
    abl_sample_t samples[ABL_SAMPLES];
} abl_history_row_t;

/* What is remembered of a member, see chronicle.h. */
typedef struct abl_chronicle_row_t {
    abl_latency_t latencies;             /* to the first byte */
    char notes[ABL_NOTES][ABL_NOTE_MAX]; /* who has changed it by hand, and why; empty: nobody */
    uint32_t nfailures;                  /* ever; the ring has the last of them */
    abl_failure_t failures[ABL_FAILURES_KEPT];
} abl_chronicle_row_t;

/* See journal.h. */
typedef struct abl_journal_row_t {
    _Atomic uint64_t n;       /* entries ever; read without the lock */
    _Atomic uint64_t steered; /* changes with every change of steer.h; likewise */
    abl_entry_t entries[ABL_JOURNAL_ENTRIES];
} abl_journal_row_t;

typedef struct abl_place_row_t {
    uint32_t seat;       /* truth; 0: the ticket is free */
    uint32_t grant;      /* truth; 0: it waits; else the row whose lease it holds, or ABL_REFUSED */
    uint32_t balancer;   /* truth */
    uint32_t only;       /* truth; the row it waits for, 0: any */
    uint32_t generation; /* truth; of the child that made it: it may not get a row born later */
    uint8_t strict;      /* truth */
    uint8_t mailed;      /* it is in its seat's mail */
    uint64_t place;      /* truth; queues are in this order */
    uint64_t client;     /* truth */
    int64_t since;       /* truth; when it began to wait, abl_clock_now() */
    uint32_t prev, next; /* in a queue, in the mail, or among the free */
    uint32_t client_prev, client_next; /* among the waiting of one bucket */
    abl_tried_t tried;                 /* truth; rows. Last: most of it is never touched */
} abl_place_row_t;

typedef struct abl_seat_row_t {
    uint32_t generation; /* truth; of the configuration that its child knows */
    uint32_t turn;       /* truth; changes with whoever sits here: pids are used again, turns are not */
    uint8_t kept;        /* truth; the parent keeps the seat for a child that has not sat down yet */
    _Atomic pid_t pid;   /* truth; 0: the seat is free */
    abl_list_t mail;     /* tickets that were granted or refused, and whose owner has not been told */
    abl_seat_counts_t counts;
} abl_seat_row_t;

typedef struct abl_shared_t {
    pthread_mutex_t lock; /* robust */
    uint32_t dirty;       /* somebody is inside, or died there */
    uint32_t generation;  /* truth; of the configuration */
    uint32_t leader;      /* the seat that watches all others */
    uint32_t people;      /* changes whenever a seat is taken or left, or the leader changes */
    uint32_t rows_used;   /* no row above was ever used */
    uint32_t tickets_used;
    uint32_t balancers_used;
    uint32_t free_ticket; /* head of the list of those below tickets_used that are free */
    uint64_t place;       /* truth; the last one given */
    uint64_t rebuilds;
    bool has_secret; /* see secret.h */
    unsigned char secret[ABL_SECRET_BYTES];
} abl_shared_t;

/* This process's view of the segment. Made by the parent, inherited by its children, never freed. */
struct abl_segment_t {
    abl_shared_t *shared;
    abl_balancer_row_t *balancers;   /* [1..ABL_LEDGER_BALANCERS] */
    abl_row_t *rows;                 /* [1..ABL_LEDGER_MEMBERS] */
    abl_name_t *names;               /* of the row with the same index */
    abl_site_row_t *sites;           /* likewise */
    abl_seat_row_t *seats;           /* [1..nseats] */
    abl_place_row_t *tickets;        /* [1..ABL_LEDGER_TICKETS] */
    uint32_t *held;                  /* truth; see abl_held() */
    uint32_t *buckets;               /* [0..ABL_ROW_BUCKETS-1]; see rows.h */
    abl_tally_row_t *tallies;        /* of the balancer with the same index */
    abl_history_row_t *histories;    /* likewise */
    abl_chronicle_row_t *chronicles; /* of the row with the same index */
    abl_journal_row_t *journal;
    uint32_t nseats;
    uint32_t generation; /* of the configuration that this process, or its parent when it forked, has read */
    int *wakers;         /* [1..nseats]: the eventfd that wakes the seat's child */
    int bell;            /* an eventfd: a member has changed (health.h) */
    struct abl_scratch_t *scratch; /* pick.h's; each process has a copy of its own */
};

/* What a child has of its own. Made once, never freed: threads may run until the very end of the process. */
struct abl_child_t {
    abl_segment_t *segment;
    uint32_t seat;
    uint32_t turn; /* the seat is ours as long as this is its turn */
    int *fds;      /* [ticket]: the descriptor of the request of this child that has it; inside the lock */
    pthread_mutex_t lock; /* protects idle and nidle */
    abl_ticket_t *idle;   /* to be used again */
    int nidle;
};

struct abl_ticket_t {
    uint32_t index;
    int fd; /* an eventfd */
    abl_ticket_t *next;
};

/* A member that affinity by a key may choose. */
typedef struct abl_home_t {
    uint64_t id;
    apr_uint32_t weight;
    int member;
} abl_home_t;

/* The arrays are in the same piece of memory, behind it. */
struct abl_ledger_t {
    abl_segment_t *segment;
    abl_child_t *child; /* NULL in the parent */
    const abl_method_t *method;
    uint32_t balancer;
    uint32_t generation;
    int n;
    uint32_t *row_of;  /* [n], by index; 0: it was left out */
    bool roams;        /* who some members are may change: homes are looked for each time (site.c) */
    int nhomes;        /* members that affinity by a key chooses among */
    abl_home_t *homes; /* [nhomes], with room for n */
};

/* How much memory the ledger of a balancer of n members takes, */
size_t abl_ledger_size(int n);

/* and where in it the arrays are. */
void abl_ledger_lay_out(abl_ledger_t *ledger);

/* Leases of a row held by a seat. */
static inline uint32_t *abl_held(const abl_segment_t *segment, uint32_t seat, uint32_t row)
{
    return &segment->held[(size_t)seat * (ABL_LEDGER_MEMBERS + 1) + row];
}

/* Is it in the configuration of this generation? (Of breaks before the last one nothing is known any more.)
 */
static inline bool abl_row_is_of(const abl_row_t *row, uint32_t generation)
{
    return (row->born <= generation && (row->listed || generation < row->gone)) ||
           (row->before <= generation && generation < row->before_gone);
}

static inline bool abl_row_has_room(const abl_row_t *row)
{
    return (row->c.limit == 0 || row->c.busy < row->allowed) && row->requests < row->until && !row->shut &&
           !row->vacant && !row->ailment.away && !row->ailment.unproven;
}

/* journal.c: as abl_journal_add(), inside the lock. */
void abl_journal_write(abl_segment_t *segment, const abl_entry_t *entry);

/* tally.c, history.c: begin anew. */
void abl_tally_clear(abl_segment_t *segment, uint32_t balancer);
void abl_history_clear(abl_segment_t *segment, uint32_t balancer);

/* Where a process can be made to die, by tests. */
typedef enum abl_probe_t {
    ABL_PROBE_BEFORE, /* the lock */
    ABL_PROBE_ENTERED,
    ABL_PROBE_COUNTED, /* a lease was counted, or uncounted, and nothing else has been done about it */
    ABL_PROBE_TICKET,  /* a ticket was made and is in no list */
    ABL_PROBE_GRANTED, /* a lease was handed on, and nobody knows */
    ABL_PROBE_REAPING, /* in the middle of a dead child's leases */
    ABL_PROBE_REBUILDING,
    ABL_PROBE_SITE, /* addresses are written, and nobody is pointed at them; or all but that somebody is there
                     */
    ABL_PROBE_STEERED, /* a member is changed, and nothing says so; or not all that goes with it is */
    ABL_PROBE_LEAVING, /* the lock */
    ABL_PROBE_AFTER
} abl_probe_t;

extern void (*abl_ledger_probe)(abl_probe_t at);

static inline void abl_probe(abl_probe_t at)
{
    if (abl_ledger_probe != NULL) {
        abl_ledger_probe(at);
    }
}

/* Keeps the compiler from moving stores across: a process that is killed has done what stands above. */
static inline void abl_in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

#endif
