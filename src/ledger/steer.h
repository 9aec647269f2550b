/* SPDX-License-Identifier: Apache-2.0
 *
 * Members changed at run time, by whoever administers. What was changed here holds, over restarts too, until
 * the configuration says something else about the same thing than it did then: the configuration wins.
 *
 * Members may also be added at run time: each balancer has some **open places** (ABL_NAMING_OPEN), which are
 * members that nobody is at until somebody is put there.
 */
#ifndef ABL_LEDGER_STEER_H
#define ABL_LEDGER_STEER_H

#include "base/ip.h"
#include "ledger/gate.h"

#define ABL_STEERED_STATUS 1u /* bits: what differs from the configuration */
#define ABL_STEERED_WEIGHT 2u
#define ABL_STEERED_LIMIT 4u

#define ABL_NOTE_MAX 320 /* bytes of who has changed a member, and why */

/* There are two notes of each member: they are about different things. */
typedef enum abl_note_of_t { ABL_NOTE_OF_STATUS, ABL_NOTE_OF_REST, ABL_NOTES } abl_note_of_t;

typedef enum abl_steer_t {
    ABL_STEER_ENABLE,  /* neither draining nor disabled, whatever the configuration says */
    ABL_STEER_DRAIN,   /* only requests whose affinity names it */
    ABL_STEER_DISABLE, /* no request */
    ABL_STEER_WEIGHT,  /* value: hundredths, at least 1 */
    ABL_STEER_LIMIT,   /* value: requests at once; 0: no limit */
    ABL_STEER_RESTORE, /* as the configuration says */
    ABL_STEER_EJECT,   /* value: left out for so long, µs */
    ABL_STEER_RETURN   /* whatever it was left out for is forgotten */
} abl_steer_t;

/* Any process, about a member by its address, or for an added one by the address it was added with.
 * APR_ENOENT: there is no such member. `note`: who, and why, for those who look. gate->child may be NULL. */
apr_status_t abl_steer_member(const abl_gate_t *gate, abl_steer_t what, apr_uint64_t value, const char *note);

/* Puts somebody at an open place of gate->balancer. APR_ENOENT: there is no such balancer. APR_ENOSPC: no
 * place is free. APR_EEXIST: it is a member already. `weight`: hundredths. */
apr_status_t abl_steer_add(const abl_gate_t *gate, const abl_ip_t *where, apr_uint32_t weight,
                           const char *note);

/* Frees the place again; requests under way there finish. APR_EACCES: it is a member of the configuration. */
apr_status_t abl_steer_remove(const abl_gate_t *gate);

/* Statistics of a balancer and its members begin anew. `now`: seconds since 1970. */
apr_status_t abl_steer_reset(const abl_gate_t *gate, apr_int64_t now);

/* Whoever looks after applications is to look at what is wanted of them. */
void abl_steer_ring(const abl_segment_t *segment);

/* ---- over a full stop -------------------------------------------------------------------------------- */

/* What somebody has changed about one member. */
typedef struct abl_steered_t {
    char balancer[ABL_NAME_MAX + 1];
    char address[ABL_ADDRESS_MAX + 1]; /* of an added one: where it is */
    bool added;
    unsigned what; /* ABL_STEERED_*; of an added one the weight is always told */
    bool drain;
    int status, conf_status; /* abl_status_t: what holds, and what the configuration said */
    apr_uint32_t weight, conf_weight;
    apr_uint32_t limit, conf_limit;
    char notes[ABL_NOTES][ABL_NOTE_MAX];
} abl_steered_t;

/* The next one after *row, which is 0 at first. False: there is none. Any process. */
bool abl_steer_next(abl_segment_t *segment, uint32_t *row, abl_steered_t *steered);

/* Makes it so again, where the configuration is what it was then. Returns the bits of `what` that are out of
 * date; *found: there is such a member (or a place for it). Parent, after abl_segment_configure(). */
unsigned abl_steer_again(abl_segment_t *segment, const abl_steered_t *steered, bool *found);

/* Changes whenever one of them may have. Without the lock. */
apr_uint64_t abl_steer_number(const abl_segment_t *segment);

#endif
