/* SPDX-License-Identifier: Apache-2.0
 *
 * When an instance has served enough: memory=, requests=, age=. Pure.
 *
 * Memory cannot be watched without pause, so requests are rationed: an instance gets no more of them until
 * its next measurement than it can serve within its limit, if each costs what the last ones have cost.
 */
#ifndef ABL_CONTROL_RECYCLE_H
#define ABL_CONTROL_RECYCLE_H

#include "control/instance.h"

typedef struct abl_recycle_conf_t {
    uint64_t memory;   /* bytes of its processes together; 0: no limit */
    uint64_t requests; /* 0: no limit */
    int64_t age;       /* µs; 0: no limit */
    int64_t check;     /* µs between two measurements, when nothing asks for one earlier */
} abl_recycle_conf_t;

typedef struct abl_recycle_t {
    uint64_t requests_limit; /* this one's: the limit less up to a tenth, so that not all go at once */
    int64_t age_limit;       /* likewise */
    int64_t lead;            /* a replacement is wanted so long before the end, µs */
    int64_t measured_at;     /* 0: never */
    uint64_t served_then;
    uint64_t memory; /* bytes, then */
    uint64_t growth; /* bytes that one request costs */
    uint64_t rate;   /* requests in a second */
} abl_recycle_t;

/* An instance begins. `random`: any number. `lead`: how long the last one took to become ready, µs. */
void abl_recycle_begin(abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint32_t random, int64_t lead);

/* It has this much memory, after so many requests that are over. */
void abl_recycle_measure(abl_recycle_t *recycle, uint64_t memory, uint64_t served, int64_t now);

/* When it has to be measured again, if nothing more happens; `served`: those that are over by now. */
int64_t abl_recycle_due(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served,
                        int64_t now);

/* How many requests it may be given in all. When it has had them it has served its time. UINT64_MAX: any
 * number. */
uint64_t abl_recycle_most(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf);

/* It has had all of these, and what the last ones have cost is known: there will be no more. */
bool abl_recycle_is_out(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served);

/* Its memory was used up by hardly any request: memory= is too small for this application. */
bool abl_recycle_is_too_small(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served);

/* Why it should be replaced, or soon; ABL_LEAVE_NOT: it should not. `ready_at`: since when it serves. */
abl_leave_t abl_recycle_judge(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served,
                              int64_t ready_at, int64_t now);

#endif
