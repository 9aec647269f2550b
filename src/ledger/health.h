/* SPDX-License-Identifier: Apache-2.0
 *
 * Which members are left out because they have failed, and when they come back.
 *
 * - **away**: nobody could be reached there. No request goes there until somebody who has tried says that it
 *   is back; requests that have nobody else wait for it, if it has worked before.
 * - **ejected**: too many requests that it has answered, or should have, have failed. It is left out for a
 *   time. It can be reached, so where nobody else is left it is used all the same (panic).
 * - **unfit**, **unproven**: what checks say (checks.h). Who is unfit is used in panic, too; who is unproven
 *   is waited for.
 *
 * What is busy, slow but answering, or left by its client has not failed.
 *
 * Whoever tries members that are away (the control process) names them as the segment does, because it
 * outlives configurations; see abl_gate_t.
 */
#ifndef ABL_LEDGER_HEALTH_H
#define ABL_LEDGER_HEALTH_H

#include "ledger/gate.h"

/* ---- from httpd's children -------------------------------------------------------------------------- */

/* Nobody accepts connections at this member. Child; any thread. `error`: why, an errno; `began`: when
 * that was tried, abl_clock_now(): who has come back since is there. A member that is supervised is shut
 * instead, see abl_gate_suspect(). */
void abl_health_away(abl_ledger_t *ledger, int member, int error, int64_t began);

/* Is it away? Outside the lock: a moment late does no harm. Child; any thread. */
bool abl_health_is_away(const abl_ledger_t *ledger, int member);

/* Does anybody want to know what successful requests were about (abl_outcome_t.what)? Outside the lock: a
 * moment late does no harm. */
bool abl_health_asks(const abl_ledger_t *ledger);

/* ---- from who looks after them ---------------------------------------------------------------------- */

/* Becomes readable when a member has changed; to be read by one process only. */
int abl_health_bell(const abl_segment_t *segment);

/* Nobody accepts connections at this member; `error`: why, an errno. */
void abl_health_gone(const abl_gate_t *gate, int error);

/* Somebody accepts connections at this member again. Returns false where it was not away. */
bool abl_health_back(const abl_gate_t *gate);

typedef struct abl_health_view_t {
    char balancer[ABL_NAME_MAX + 1];
    char address[ABL_ADDRESS_MAX + 1];
    char name[ABL_ADDRESS_MAX + 80]; /* for messages: where it is, too, if the address is a name (site.h) */
    apr_uint64_t id;                 /* of who is there */
    bool away;
    int error; /* why it is away, an errno */
    bool ejected;
    int64_t until;  /* it is ejected, abl_clock_now() */
    bool unfit;     /* its checks have failed (checks.h) */
    bool unproven;  /* no check has passed yet, and one has to */
    bool failing;   /* its last check has failed */
    bool disabled;  /* it gets no request anyway */
    bool by_rate;   /* ejected because of its rate of failures, not because of a row of them */
    bool by_wish;   /* or because it has asked for it (Retry-After) */
    bool by_hand;   /* or because somebody wanted it (steer.h) */
    unsigned fails; /* failures that it was ejected for: in a row, or percent */
} abl_health_view_t;

/* The next listed member after *row, which is 0 at first. False: there is none. */
bool abl_health_next(abl_segment_t *segment, const abl_child_t *child, uint32_t *row,
                     abl_health_view_t *view);

/* What time alone changes: members that were ejected for long enough come back. Returns when to ask again,
 * INT64_MAX: not before the bell. Requests do the same on their way; this is for the time without any. */
int64_t abl_health_tick(abl_segment_t *segment, const abl_child_t *child);

#endif
