/* SPDX-License-Identifier: Apache-2.0
 *
 * Rations, and when they end.
 */
#include "control/wear.h"

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

void abl_wear_begin(abl_wear_t *wear, const abl_wear_conf_t *conf, uint32_t random, int64_t lead)
{
    *wear = (abl_wear_t){0};
    wear->requests_limit = jittered(conf->requests, random);
    wear->age_limit = (int64_t)jittered((uint64_t)conf->age, random >> 10);
    wear->lead = 2 * lead < LEAD_LEAST ? LEAD_LEAST : 2 * lead > LEAD_MOST ? LEAD_MOST : 2 * lead;
}

void abl_wear_measure(abl_wear_t *wear, uint64_t memory, uint64_t served, int64_t now)
{
    if (wear->measured_at != 0 && served > wear->served_then) {
        uint64_t more = memory > wear->memory ? memory - wear->memory : 0;
        uint64_t cost = more / (served - wear->served_then);
        int64_t time = now > wear->measured_at ? now - wear->measured_at : 1;

        /* Memory grows by leaps: what was seen is forgotten slowly. */
        wear->growth = cost > wear->growth - wear->growth / 4 ? cost : wear->growth - wear->growth / 4;
        wear->rate = (served - wear->served_then) * (uint64_t)ABL_SECOND / (uint64_t)time;
    }
    wear->measured_at = now;
    wear->served_then = served;
    wear->memory = memory;
}

/* Requests that it may be given between two measurements because of its memory. */
static uint64_t ration(const abl_wear_t *wear, const abl_wear_conf_t *conf)
{
    uint64_t most = wear->rate * RATION_SECONDS > SMALL_RATION ? wear->rate * RATION_SECONDS : SMALL_RATION;
    uint64_t left;

    if (wear->measured_at == 0 || (wear->served_then == 0 && wear->growth == 0)) {
        return FIRST_RATION;
    }
    if (wear->memory >= conf->memory) {
        return 0;
    }
    left = wear->growth > LITTLE ? (conf->memory - wear->memory) / wear->growth : most;
    return left < most ? left : most;
}

uint64_t abl_wear_most(const abl_wear_t *wear, const abl_wear_conf_t *conf)
{
    uint64_t most = conf->requests != 0 ? wear->requests_limit : UINT64_MAX;

    if (conf->memory != 0 && wear->served_then + ration(wear, conf) < most) {
        most = wear->served_then + ration(wear, conf);
    }
    return most;
}

bool abl_wear_is_out(const abl_wear_t *wear, const abl_wear_conf_t *conf, uint64_t served)
{
    return abl_wear_most(wear, conf) <= served && (conf->memory == 0 || wear->served_then == served);
}

bool abl_wear_is_too_small(const abl_wear_t *wear, const abl_wear_conf_t *conf, uint64_t served)
{
    return conf->memory != 0 && served < FEW_REQUESTS &&
           (wear->memory >= conf->memory || abl_wear_is_out(wear, conf, served));
}

int64_t abl_wear_due(const abl_wear_t *wear, const abl_wear_conf_t *conf, uint64_t served, int64_t now)
{
    if (conf->memory == 0) {
        return INT64_MAX;
    }
    if (wear->measured_at == 0) {
        return now;
    }
    if (served - wear->served_then >= (ration(wear, conf) + 1) / 2) {
        return wear->measured_at + PAUSE_LEAST;
    }
    return wear->measured_at + conf->check;
}

abl_leave_t abl_wear_judge(const abl_wear_t *wear, const abl_wear_conf_t *conf, uint64_t served,
                           int64_t ready_at, int64_t now)
{
    uint64_t soon = wear->rate * (uint64_t)wear->lead / (uint64_t)ABL_SECOND; /* requests, until then */

    if (conf->memory != 0 && wear->measured_at != 0 &&
        (wear->memory >= conf->memory ||
         (wear->growth > LITTLE && (conf->memory - wear->memory) / wear->growth <= soon))) {
        return ABL_LEAVE_MEMORY;
    }
    if (conf->requests != 0 && served + soon >= wear->requests_limit) {
        return ABL_LEAVE_REQUESTS;
    }
    if (conf->age != 0 && now - ready_at >= wear->age_limit) {
        return ABL_LEAVE_AGE;
    }
    return ABL_LEAVE_NOT;
}
