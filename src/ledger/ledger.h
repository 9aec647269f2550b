/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has how many requests where, over all httpd processes and both generations of a graceful restart: the
 * one interface through which the rest of the module sees the ledger.
 *
 * The ledger is a segment of memory that the parent makes once and every child shares. A **seat** is the row
 * of one child, a **lease** the right to have one request at one member, a **ticket** a place in the queue of
 * a balancer. A lease that is given back while somebody waits is handed on in the same step.
 *
 *   parent, once        abl_segment_create
 *   parent, each time   abl_segment_configure: the configuration was read (again)
 *   child, at its start abl_segment_join, abl_ledger_join
 *   child, each request abl_ledger_take [ … abl_ledger_collect | abl_ledger_leave ] … abl_ledger_give
 *   parent, child died  abl_segment_reap
 *
 * The functions of a child may be called from any of its threads. None of them blocks, apart from the lock,
 * which nobody holds longer than it takes to look at the members of one balancer. Any process may be killed
 * at any instant.
 */
#ifndef ABL_LEDGER_H
#define ABL_LEDGER_H

#include "mod_appbalance.h"

#include <apr_errno.h>
#include <apr_pools.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct abl_segment_t abl_segment_t; /* the whole shared memory */
typedef struct abl_ledger_t abl_ledger_t; /* one balancer, as one generation of the configuration knows it */
typedef struct abl_child_t abl_child_t;   /* what a child has of its own */
typedef struct abl_ticket_t abl_ticket_t; /* a request of this child that waits */

#define ABL_LEDGER_LAYOUT "15" /* changes whenever what lies in the segment does */

#define ABL_LEDGER_MEMBERS 16384  /* of all balancers together, those that are being drained included */
#define ABL_LEDGER_BALANCERS 512  /* those with members left to drain included */
#define ABL_LEDGER_TICKETS 131072 /* requests that wait at once, in all balancers together */
#define ABL_NAME_MAX 64           /* bytes of a balancer's name or a member's route */
#define ABL_ADDRESS_MAX 400       /* bytes of a member's address */
#define ABL_SEATS_MAX 4096        /* children at once */
#define ABL_SETS_MAX 99           /* the highest number of a set */

/* ---- configuration ---------------------------------------------------------------------------------- */

typedef enum abl_status_t {
    ABL_STATUS_ON = 0,
    ABL_STATUS_SPARE,   /* used while one of the set's members that are on cannot be: one for one */
    ABL_STATUS_BACKUP,  /* used when no other member can be */
    ABL_STATUS_DRAIN,   /* gets only requests whose affinity names it */
    ABL_STATUS_DISABLED /* gets no request */
} abl_status_t;

/* What a member's address names; see site.h. */
typedef enum abl_naming_t {
    ABL_NAMING_NONE = 0, /* the member itself */
    ABL_NAMING_HOST,     /* a host: its addresses are tried in turn */
    ABL_NAMING_SLOT,     /* one of a host's addresses: who it is may change */
    ABL_NAMING_RECORD,   /* one of a name's SRV records: and its weight and set may, too */
    ABL_NAMING_OPEN      /* nobody, until somebody is put there at run time (steer.h) */
} abl_naming_t;

typedef struct abl_member_conf_t {
    const char *address;      /* its identity within the balancer, at most ABL_ADDRESS_MAX bytes */
    const char *route;        /* at most ABL_NAME_MAX bytes */
    apr_uint32_t weight;      /* hundredths */
    apr_uint32_t concurrency; /* requests at it at once; 0: no limit */
    abl_status_t status;
    int set;            /* 0..ABL_SETS_MAX: a set is used when none before it has a usable member */
    bool supervised;    /* nobody is there until abl_gate_open() says so (gate.h) */
    int64_t slow_start; /* for so long after it came (back) its weight and concurrency grow, µs; 0: at once */
    abl_naming_t naming; /* unless it is none nobody knows where it is until abl_site_settle() says so */
} abl_member_conf_t;

/* When a member is ejected; see health.h. */
typedef struct abl_eject_conf_t {
    bool off;
    apr_uint32_t failures;  /* so many in a row */
    apr_uint32_t rate;      /* or this percentage of its requests */
    int64_t over;           /* of this time, µs */
    int64_t duration;       /* for so long, the first time, µs */
    apr_uint32_t max_share; /* percent of the balancer's members that may be left out */
} abl_eject_conf_t;

/* When a request is given to a second member beside the first; see hedge.h. All zero: never. */
typedef struct abl_hedge_conf_t {
    apr_uint32_t
        percentile;       /* its answer takes longer than that of so many percent, 1 to 99; 0: than `after` */
    apr_uint32_t percent; /* of the balancer's requests; 100 and more: all of them */
    int64_t after;        /* µs; 0: never */
    bool limited;         /* members with a limit of requests at once are among those, too */
} abl_hedge_conf_t;

typedef struct abl_ledger_conf_t {
    const char *name; /* identity, letters' case apart, at most ABL_NAME_MAX bytes */
    const abl_method_t *method;
    apr_uint32_t queue_length; /* requests that may wait; 0: none */
    apr_uint32_t per_client;   /* of those, of one client; 0: no limit of its own */
    int64_t outage_wait; /* so long members that have worked before are waited for when all are away, µs */
    abl_eject_conf_t eject;
    bool checked;   /* somebody checks its members (checks.h), those that are not supervised */
    bool mandatory; /* and new ones get no request before a check has passed */
    const abl_member_conf_t *members;
    int nmembers;               /* 1..ABL_MEMBERS_MAX */
    apr_uint32_t retry_percent; /* of the requests that may be sent again; 100 and more: any number */
    abl_hedge_conf_t hedge;
} abl_ledger_conf_t;

/* Makes the segment, for at most `seats` children at once, and the descriptors that wake them. Parent, before
 * the first fork; it lives as long as the process and every process forked from it. */
apr_status_t abl_segment_create(int seats, abl_segment_t **segment);

/* Brings the segment in line with a configuration. Balancers are matched by name and members by address:
 * what is known keeps its leases, statistics, drain mark and queue; what is new begins at zero; a member that
 * is gone gets no request of the new generation, and is forgotten when the last of the old one's has ended:
 * those of them that wait for it, or for which no other member is left, are still served by it. ledgers[i]
 * becomes the ledger of confs[i], allocated from `pool`, which must live as long as this generation's
 * children. APR_ENOSPC: the segment is full; *left_out members of this configuration have no row (everything
 * else is in place, and they are never picked). Parent; children may be at work. */
apr_status_t abl_segment_configure(abl_segment_t *segment, const abl_ledger_conf_t *confs, int n,
                                   apr_pool_t *pool, abl_ledger_t **ledgers, int *left_out);

/* ---- children --------------------------------------------------------------------------------------- */

/* Takes a seat, and starts the thread that brings grants to those who wait and notices the death of other
 * children. APR_ENOSPC: every seat is taken. Child, once, at its start, before any other call. */
apr_status_t abl_segment_join(abl_segment_t *segment, abl_child_t **child);

/* What a child tells about itself, for whoever looks; nothing depends on it. Never NULL. Only the child
 * changes it, while it lives. Any thread. */
typedef struct abl_seat_counts_t {
    _Atomic apr_uint32_t parked;    /* requests that wait without a thread */
    _Atomic apr_uint32_t lingering; /* threads that stay with a connection for a moment */
    _Atomic apr_uint32_t threads;   /* that it has for requests */
    _Atomic apr_uint32_t adopted; /* connections that the module looks after, those of the former included */
} abl_seat_counts_t;

abl_seat_counts_t *abl_segment_counts(abl_child_t *child);

/* The ledger as this child uses it: a copy that lives as long as the process. NULL: no memory. */
abl_ledger_t *abl_ledger_join(const abl_ledger_t *ledger, abl_child_t *child);

/* This process, a copy that the child has forked, has the child's seat from now on; in the child itself every
 * call fails. False: the child has died, and its seat is no longer its own. */
bool abl_segment_move(abl_child_t *child);

/* The configuration was read again, and this process goes on with the new one: what only older ones knew is
 * not kept for it. */
void abl_segment_renew(abl_child_t *child);

/* Is this descriptor one of the segment's? */
bool abl_segment_needs(const abl_child_t *child, int fd);

/* A child was forked and will sit down: until then its seat is kept for it, and what its generation knows is
 * not forgotten. Parent, before it does anything else with the segment. */
void abl_segment_expect(abl_segment_t *segment, pid_t pid);

/* A child is dead: its leases are given back or handed on, its tickets go, its seat is free. Nothing happens
 * when `pid` has no seat. Any process that knows the death for certain, in httpd the parent. */
void abl_segment_reap(abl_segment_t *segment, pid_t pid);

/* ---- leases ----------------------------------------------------------------------------------------- */

#define ABL_TRIED_MAX 128

/* The members that one request has already tried. Whoever has tried ABL_TRIED_MAX is taken to have tried all.
 * n = 0: none. */
typedef struct abl_tried_t {
    apr_uint16_t n;
    apr_uint16_t members[ABL_TRIED_MAX];
} abl_tried_t;

static inline bool abl_tried_has(const abl_tried_t *tried, int member)
{
    int i;

    for (i = 0; i < tried->n && tried->members[i] != member; i++) {
    }
    return i < tried->n || tried->n == ABL_TRIED_MAX;
}

static inline void abl_tried_add(abl_tried_t *tried, int member)
{
    if (!abl_tried_has(tried, member)) {
        tried->members[tried->n++] = (apr_uint16_t)member;
    }
}

/* What a request wants. Members are named by their index in abl_ledger_conf_t. */
typedef struct abl_want_t {
    abl_tried_t tried;
    int only;       /* the member that affinity names, waited for when it is full; -1: any */
    bool home;      /* `only` is abl_ledger_home()'s: it does not count while the member is draining */
    bool strict;    /* no other member if `only` cannot be used */
    bool hurry;     /* it may not wait: when all are full, ABL_QUEUE_FULL */
    bool beside;    /* beside a try that goes on: nobody of a lower tier, and no panic, because of `tried` */
    bool unlimited; /* with `beside`: nobody who has a limit of requests at once */
    bool has_key;   /* for methods that take a key */
    apr_uint64_t key;
    apr_uint64_t client; /* who asks, hashed, for per_client; 0: nobody in particular */
    apr_uint64_t place;  /* 0 at first; the ledger's: a request that queues again keeps its place */
} abl_want_t;

/* None of these is an errno or one of APR's own. */
#define ABL_QUEUE_FULL (APR_OS_START_USERERR + 1)
#define ABL_CLIENT_QUEUE_FULL (APR_OS_START_USERERR + 2)

/* Takes a lease: the method picks among the members that may be used, and the pick is counted in the same
 * step. APR_SUCCESS: *member is its index and abl_ledger_give() is owed. APR_EINPROGRESS: all of them are
 * full; *ticket is the request's place in the queue. APR_ENOENT: no member may be used. ABL_QUEUE_FULL,
 * ABL_CLIENT_QUEUE_FULL: the queue, or this client's part of it, is full. Anything else: why it cannot wait,
 * such as no descriptor. */
apr_status_t abl_ledger_take(abl_ledger_t *ledger, abl_want_t *want, int *member, abl_ticket_t **ticket);

/* Becomes readable when there is something to collect. Level-triggered; poll it, do not read it. */
int abl_ticket_fd(const abl_ticket_t *ticket);

/* What came of a ticket. APR_SUCCESS: as with take. APR_EAGAIN: it still waits. APR_ENOENT: no member may be
 * used any more. The ticket is gone (NULL) unless it still waits. */
apr_status_t abl_ledger_collect(abl_ledger_t *ledger, abl_ticket_t **ticket, int *member);

/* Leaves the queue. A lease that has just been granted is handed on. *ticket becomes NULL. */
void abl_ledger_leave(abl_ledger_t *ledger, abl_ticket_t **ticket);

/* What there is to learn from a request that has ended. */
typedef struct abl_outcome_t {
    apr_uint64_t bytes;  /* both ways */
    apr_int64_t latency; /* µs until the first byte of the answer; below 0: there was none */
    bool failed;         /* the member's fault: it counts, and costs its latency a penalty */
    bool unanswered;     /* it has failed, and there was no whole answer */
    bool broken;         /* because its connection broke */
    int64_t rest;        /* it asks to be left alone for so long, µs; 0: it does not */
    int64_t began;       /* when its lease was taken, abl_clock_now() */
    bool says_nothing;   /* about its health: it could not be reached, or the client has left */
    apr_uint64_t what;   /* hash of what was asked for; 0: unknown. See abl_health_asks() */
    apr_uint64_t client; /* who has asked, hashed; 0: unknown */
    int status;          /* of an answer that is a failure; 0: there was none, */
    const char *why;     /* but this; NULL: not known */
    int error;           /* and an errno, or one of APR's; 0: none */
} abl_outcome_t;

/* Gives a lease back, or hands it on. `outcome` may be NULL: nothing is learnt. */
void abl_ledger_give(abl_ledger_t *ledger, int member, const abl_outcome_t *outcome);

#define ABL_RETRY_PERCENT 20 /* the default */
#define ABL_RETRY_BURST 100

/* May a request that has perhaps reached a member be sent to another one? A share of the balancer's requests
 * may (retry_percent, saved up to ABL_RETRY_BURST), so that a pool that fails everything is not also
 * asked everything twice. True: the retry has been counted. */
bool abl_ledger_spend_retry(abl_ledger_t *ledger);

/* Nothing came of the retry that has been counted: it may be spent by another request. */
void abl_ledger_return_retry(abl_ledger_t *ledger);

/* The member (index) that requests with this hashed key go to while the configuration stays, -1: none.
 * Weights count; how busy a member is does not, nor whether it works now. */
int abl_ledger_home(abl_ledger_t *ledger, apr_uint64_t key);

/* Marks a member as draining, or takes the mark away: from now on it gets only requests whose affinity names
 * it. The mark outlives restarts. For whoever administers; any process that has the ledger. */
void abl_ledger_drain(abl_ledger_t *ledger, int member, bool drain);

/* Has it a limit of requests at once now? Somebody may have changed what the configuration says (steer.h).
 * Outside the lock: a moment late does no harm. */
bool abl_ledger_is_limited(const abl_ledger_t *ledger, int member);

/* ---- looking ---------------------------------------------------------------------------------------- */

/* Requests at this member now. */
apr_uint32_t abl_ledger_busy(abl_ledger_t *ledger, int member);

/* Age of the request that waits longest, µs; 0: nobody waits. */
int64_t abl_ledger_head_age(abl_ledger_t *ledger);

#define ABL_CHECK_MAX 160 /* bytes of a verdict */

/* Proves the whole segment: every count against the truth it is made of, every list against its links, no
 * lease and no ticket of an empty seat, no limit exceeded. True: it is sound. Otherwise `verdict` says what
 * is wrong first. Any process. Takes the lock for as long as it takes to look at everything in use. */
bool abl_ledger_check(abl_segment_t *segment, char verdict[ABL_CHECK_MAX]);

#endif
