/* SPDX-License-Identifier: Apache-2.0
 *
 * Rations, and when they end.
 */
#include "control/recycle.h"

#include "base/clock.h"

#define FIRST_RATION 4   /* of an instance that was not measured yet */
#define SMALL_RATION 32  /* where nothing is known to grow: at least so many, */
#define RATION_SECONDS 2 /* or as many as it serves in this time */
#define LITTLE 4096      /* bytes: what a request costs less does not count */
#define LEAD_LEAST (500 * ABL_MS)
#define LEAD_MOST (30 * ABL_SECOND)
#define FEW_REQUESTS 5            /* whose memory is used up by fewer is too small for its limit */
#define PAUSE_LEAST (20 * ABL_MS) /* between two measurements */

/* Up to a tenth less. */
static uint64_t jittered(uint64_t limit, uint32_t random)
{
    return limit - limit / 10 * (random % 1024) / 1024;
}

void abl_recycle_begin(abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint32_t random, int64_t lead)
{
    *recycle = (abl_recycle_t){0};
    recycle->requests_limit = jittered(conf->requests, random);
    recycle->age_limit = (int64_t)jittered((uint64_t)conf->age, random >> 10);
    recycle->lead = 2 * lead < LEAD_LEAST ? LEAD_LEAST : 2 * lead > LEAD_MOST ? LEAD_MOST : 2 * lead;
}

void abl_recycle_measure(abl_recycle_t *recycle, uint64_t memory, uint64_t served, int64_t now)
{
    if (recycle->measured_at != 0 && served > recycle->served_then) {
        uint64_t more = memory > recycle->memory ? memory - recycle->memory : 0;
        uint64_t cost = more / (served - recycle->served_then);
        int64_t time = now > recycle->measured_at ? now - recycle->measured_at : 1;

        /* Memory grows by leaps: what was seen is forgotten slowly. */
        recycle->growth =
            cost > recycle->growth - recycle->growth / 4 ? cost : recycle->growth - recycle->growth / 4;
        recycle->rate = (served - recycle->served_then) * (uint64_t)ABL_SECOND / (uint64_t)time;
    }
    recycle->measured_at = now;
    recycle->served_then = served;
    recycle->memory = memory;
}

/* Requests that it may be given between two measurements because of its memory. */
static uint64_t ration(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf)
{
    uint64_t most =
        recycle->rate * RATION_SECONDS > SMALL_RATION ? recycle->rate * RATION_SECONDS : SMALL_RATION;
    uint64_t left;

    if (recycle->measured_at == 0 || (recycle->served_then == 0 && recycle->growth == 0)) {
        return FIRST_RATION;
    }
    if (recycle->memory >= conf->memory) {
        return 0;
    }
    left = recycle->growth > LITTLE ? (conf->memory - recycle->memory) / recycle->growth : most;
    return left < most ? left : most;
}

uint64_t abl_recycle_most(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf)
{
    uint64_t most = conf->requests != 0 ? recycle->requests_limit : UINT64_MAX;

    if (conf->memory != 0 && recycle->served_then + ration(recycle, conf) < most) {
        most = recycle->served_then + ration(recycle, conf);
    }
    return most;
}

bool abl_recycle_is_out(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served)
{
    return abl_recycle_most(recycle, conf) <= served && (conf->memory == 0 || recycle->served_then == served);
}

bool abl_recycle_is_too_small(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served)
{
    return conf->memory != 0 && served < FEW_REQUESTS &&
           (recycle->memory >= conf->memory || abl_recycle_is_out(recycle, conf, served));
}

int64_t abl_recycle_due(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served,
                        int64_t now)
{
    if (conf->memory == 0) {
        return INT64_MAX;
    }
    if (recycle->measured_at == 0) {
        return now;
    }
    if (served - recycle->served_then >= (ration(recycle, conf) + 1) / 2) {
        return recycle->measured_at + PAUSE_LEAST;
    }
    return recycle->measured_at + conf->check;
}

abl_leave_t abl_recycle_judge(const abl_recycle_t *recycle, const abl_recycle_conf_t *conf, uint64_t served,
                              int64_t ready_at, int64_t now)
{
    uint64_t soon = recycle->rate * (uint64_t)recycle->lead / (uint64_t)ABL_SECOND; /* requests, until then */

    if (conf->memory != 0 && recycle->measured_at != 0 &&
        (recycle->memory >= conf->memory ||
         (recycle->growth > LITTLE && (conf->memory - recycle->memory) / recycle->growth <= soon))) {
        return ABL_LEAVE_MEMORY;
    }
    if (conf->requests != 0 && served + soon >= recycle->requests_limit) {
        return ABL_LEAVE_REQUESTS;
    }
    if (conf->age != 0 && now - ready_at >= recycle->age_limit) {
        return ABL_LEAVE_AGE;
    }
    return ABL_LEAVE_NOT;
}
