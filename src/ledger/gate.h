/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that come and go while the configuration stays: the instances of applications that are looked
 * after. Such a member is shut until somebody opens it; requests that have nobody else wait until then.
 *
 * The process that looks after them opens and shuts. It outlives configurations, so it names members as the
 * segment does: by balancer and address. A member that is not known is no error: it has just gone from the
 * configuration, or had no room in the ledger. httpd's children, who meet the instances, tell what they have
 * met (suspect, accuse).
 */
#ifndef ABL_LEDGER_GATE_H
#define ABL_LEDGER_GATE_H

#include "ledger/ledger.h"

/* A member's place in the ledger. Not the ledger's: whoever made it keeps the texts for as long as he uses
 * it. */
typedef struct abl_gate_t {
    abl_segment_t *segment;
    const abl_child_t *child; /* the caller's seat */
    const char *balancer;     /* its name */
    const char *address;      /* the member's */
} abl_gate_t;

/* For the ledger's own files, inside its lock: the row of this member, supervised or not; 0: there is none.
 */
uint32_t abl_gate_find(const abl_gate_t *gate);

/* Lets at most `most` requests go there, until it is opened again or that number is changed; UINT64_MAX: any
 * number. Requests that had tried the one who was there before may try again. False: there is no such member.
 */
bool abl_gate_open(const abl_gate_t *gate, apr_uint64_t most);

/* From now on nobody is sent there, and who waited for it because of affinity waits for all. */
void abl_gate_shut(const abl_gate_t *gate);

/* From now on at most `most` requests, those that it has had since it was opened included. */
void abl_gate_ration(const abl_gate_t *gate, apr_uint64_t most);

/* A suspicion (abl_gate_suspect) was wrong: it is open again, and what it has had counts on. */
void abl_gate_clear(const abl_gate_t *gate);

typedef struct abl_gate_view_t {
    bool is_open;
    bool suspected;        /* that is why it is not open */
    bool accused;          /* abl_gate_accuse(), since it was opened */
    apr_uint32_t busy;     /* requests there now */
    apr_uint64_t requests; /* since it was opened */
} abl_gate_view_t;

/* False: there is no such member. */
bool abl_gate_look(const abl_gate_t *gate, abl_gate_view_t *view);

/* Age of the request that waits longest in this member's balancer, µs; 0: nobody waits. */
int64_t abl_gate_head_age(const abl_gate_t *gate);

/* ---- from httpd's children, about a member of their configuration ----------------------------------- */

/* Nobody is at this member's address: it is shut until whoever looks after it has had a look. So no request
 * goes to a stranger who comes there meanwhile. Child; any thread. */
void abl_gate_suspect(abl_ledger_t *ledger, int member);

/* A request has been at this member for longer than it may be. Child; any thread. */
void abl_gate_accuse(abl_ledger_t *ledger, int member);

#endif
