/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that come and go while the configuration stays: the instances of applications that are looked
 * after. Such a member is shut until somebody opens it; requests that have nobody else wait until then.
 *
 * Called by the process that looks after them. It outlives configurations, so it names members as the
 * segment does: by balancer and address. A member that is not known is no error: it has just gone from the
 * configuration, or had no room in the ledger.
 */
#ifndef ABL_LEDGER_GATE_H
#define ABL_LEDGER_GATE_H

#include "ledger/ledger.h"

/* Lets at most `most` requests go there, until it is opened again or that number is changed. Requests that
 * had tried the one who was there before may try again. False: there is no such member. */
bool abl_gate_open(abl_segment_t *segment, const abl_child_t *child, const char *balancer,
                   const char *address, apr_uint64_t most);

/* From now on nobody is sent there, and who waited for it because of affinity waits for all. */
void abl_gate_shut(abl_segment_t *segment, const abl_child_t *child, const char *balancer,
                   const char *address);

/* From now on at most `most` requests, those that it has had since it was opened included. */
void abl_gate_ration(abl_segment_t *segment, const abl_child_t *child, const char *balancer,
                     const char *address, apr_uint64_t most);

#define ABL_GATE_ANY UINT64_MAX /* any number of them */

/* A suspicion (abl_gate_suspect) was wrong: it is open again, and what it has had counts on. */
void abl_gate_clear(abl_segment_t *segment, const abl_child_t *child, const char *balancer,
                    const char *address);

typedef struct abl_gate_view_t {
    bool is_open;
    bool suspected;        /* that is why it is not open */
    bool accused;          /* abl_gate_accuse(), since it was opened */
    apr_uint32_t busy;     /* requests there now */
    apr_uint64_t requests; /* since it was opened */
} abl_gate_view_t;

/* False: there is no such member. */
bool abl_gate_look(abl_segment_t *segment, const abl_child_t *child, const char *balancer,
                   const char *address, abl_gate_view_t *view);

/* Age of the request that waits longest in this balancer, µs; 0: nobody waits. */
int64_t abl_gate_head_age(abl_segment_t *segment, const abl_child_t *child, const char *balancer);

/* Nobody is at this member's address: it is shut until whoever looks after it has had a look. So no request
 * goes to a stranger who comes there meanwhile. Child; any thread. */
void abl_gate_suspect(abl_ledger_t *ledger, int member);

/* A request has been at this member for longer than it may be. Child; any thread. */
void abl_gate_accuse(abl_ledger_t *ledger, int member);

#endif
