/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted of requests that have ended, per balancer, for whoever looks; nothing is decided by it.
 * Outside the lock: every number is added to on its own, so that those who read see sums of which some may
 * be a request ahead of others until the load ends.
 */
#ifndef ABL_LEDGER_TALLY_H
#define ABL_LEDGER_TALLY_H

#include "ledger/latency.h"
#include "ledger/ledger.h"

#include <stdatomic.h>

#define ABL_TALLY_ENDS 16   /* ways in which a request may end; the caller's numbers, from 0 */
#define ABL_TALLY_CLASSES 6 /* of statuses: 0 none, 1 to 5 their first digit */

/* What there is to count of one request. */
typedef struct abl_tally_event_t {
    unsigned end;     /* below ABL_TALLY_ENDS */
    int status;       /* as the client got it; 0: it had left */
    int64_t took;     /* all of it, µs; below 0: that is nobody's latency */
    int64_t waited;   /* of that in the queue, µs; below 0: it was never there */
    unsigned retries; /* tries after the first */
    bool hedged;      /* there was a second try beside the first */
    apr_uint64_t in;  /* bytes of its body */
    apr_uint64_t out; /* bytes to the client */
} abl_tally_event_t;

/* Child; any thread. */
void abl_tally_count(abl_ledger_t *ledger, const abl_tally_event_t *event);

/* A copy of all that was counted. */
typedef struct abl_tally_t {
    apr_uint64_t ended[ABL_TALLY_ENDS][ABL_TALLY_CLASSES];
    apr_uint64_t waited, retries, hedged, in, out;
    apr_uint64_t took_sum, waits_sum;     /* µs */
    apr_uint64_t took[ABL_LATENCY_STEPS]; /* as steps of latency.h; so is `waits` */
    apr_uint64_t waits[ABL_LATENCY_STEPS];
} abl_tally_t;

/* Any process. `balancer` is an index, as of view.h. */
void abl_tally_read(const abl_segment_t *segment, int balancer, abl_tally_t *tally);

#endif
