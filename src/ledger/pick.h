/* SPDX-License-Identifier: Apache-2.0
 *
 * Which members a request may use: tiers, status, what it has tried. All of it inside the lock.
 */
#ifndef ABL_LEDGER_PICK_H
#define ABL_LEDGER_PICK_H

#include "ledger/layout.h"

/* Who asks. */
typedef struct abl_asker_t {
    uint32_t balancer;
    uint32_t generation;
    const abl_tried_t *tried; /* rows; NULL: none */
    bool unlimited;           /* see abl_want_t: abl_pick_beside() and abl_pick_may_only() */
} abl_asker_t;

/* The members that a request chooses among, busy ones included. */
typedef struct abl_group_t {
    int n;
    bool room;   /* one of them has room */
    bool outage; /* all of them are away, and can be waited for at best */
    uint32_t rows[ABL_MEMBERS_MAX];
} abl_group_t;

/* What is worked with inside the lock, and is too large for a thread's stack. Touched as far as the largest
 * balancer is long. */
typedef struct abl_scratch_t {
    abl_group_t group;
    abl_candidate_t candidates[ABL_MEMBERS_MAX];
    uint32_t marks[ABL_LEDGER_MEMBERS + 1]; /* rows with the mark of now have been chosen for something */
    uint32_t mark;
    uint32_t wanted[ABL_LEDGER_MEMBERS + 1]; /* likewise with `want`: see abl_pick_has_nobody() */
    uint32_t want;
} abl_scratch_t;

/* The first set that has a member for the asker, spares for those of it that are out of use, or else the
 * backups, or else, for an asker of an older generation, members that are gone from the configuration, or
 * else (panic) those that are ejected, or else those that are shut or away, and may be waited for. n = 0:
 * nobody. */
void abl_pick_group(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group);

/* The same for who asks beside a try of its own that goes on: the group is what it would be if he had tried
 * nobody, without those he has tried, and without who is in it in panic only. */
void abl_pick_beside(const abl_segment_t *segment, const abl_asker_t *asker, abl_group_t *group);

/* May the asker use this one because affinity names it? `strict`: for him there is no other one, so that one
 * that is ejected or unfit is used as in panic. */
bool abl_pick_may_only(const abl_segment_t *segment, const abl_asker_t *asker, uint32_t row, bool strict);

/* The group of all those of one generation who have tried nobody: for who asks for one after the other. It
 * holds as long as members change in nothing but their requests, and there is one at a time. All zero: it is
 * not known yet. */
typedef struct abl_common_t {
    uint32_t balancer;
    uint32_t generation;
    int n; /* rows; they have the mark of now (abl_scratch_t) */
} abl_common_t;

/* Is this row in the asker's group? */
bool abl_pick_has(const abl_segment_t *segment, const abl_asker_t *asker, uint32_t row, abl_common_t *common);

/* Is nobody in it? Otherwise all of them are marked as wanted: so whoever has asked for all who wait knows of
 * which members none of them can be given anything. */
bool abl_pick_has_nobody(const abl_segment_t *segment, const abl_asker_t *asker, abl_common_t *common);

/* Lets the method choose one with room. 0: none. */
uint32_t abl_pick_choose(abl_segment_t *segment, const abl_group_t *group, const abl_method_t *method,
                         const abl_pick_t *request);

/* The same without a method, for leases that are handed on: the one with the fewest requests. */
uint32_t abl_pick_any(const abl_segment_t *segment, const abl_group_t *group);

#endif
