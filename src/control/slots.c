/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots, orders and weights.
 */
#include "control/slots.h"

#include <string.h>

#define SHARE_MAX 100000 /* hundredths, as the ledger takes them */
#define AVERAGE 100

/* ---- slots ------------------------------------------------------------------------------------------ */

static int slot_with(const abl_slot_seen_t *slots, int nslots, uint64_t id)
{
    int i = 0;

    while (i < nslots && slots[i].id != id) {
        i++;
    }
    return i < nslots ? i : -1;
}

/* Nobody in it, nobody coming; and idle, unless `any` will do. -1: none. */
static int find_free(const abl_slot_seen_t *slots, const bool *taken, int nslots, bool any)
{
    int i = 0;

    while (i < nslots && (taken[i] || (slots[i].busy && !any))) {
        i++;
    }
    return i < nslots ? i : -1;
}

int abl_slots_assign(const abl_slot_seen_t *slots, int nslots, const uint64_t *found, int nfound,
                     int *slot_of)
{
    bool taken[256] = {false};
    int i, left_out = 0;

    for (i = 0; i < nfound; i++) {
        slot_of[i] = slot_with(slots, nslots, found[i]);
        if (slot_of[i] >= 0) {
            taken[slot_of[i]] = true;
        }
    }
    for (i = 0; i < nfound; i++) {
        if (slot_of[i] < 0) {
            int slot = find_free(slots, taken, nslots, false);
            slot_of[i] = slot >= 0 ? slot : find_free(slots, taken, nslots, true);
        }
        if (slot_of[i] >= 0) {
            taken[slot_of[i]] = true;
        } else {
            left_out++;
        }
    }
    return left_out;
}

/* ---- addresses of one member ------------------------------------------------------------------------ */

static bool has(const abl_ip_t *ips, int n, const abl_ip_t *ip)
{
    while (n > 0 && !abl_ip_same(&ips[n - 1], ip)) {
        n--;
    }
    return n > 0;
}

int abl_slots_merge(abl_ip_t *ips, int n, const abl_ip_t *answer, int nanswer)
{
    int i, kept = 0;

    for (i = 0; i < n; i++) {
        if (has(answer, nanswer, &ips[i])) {
            ips[kept++] = ips[i];
        }
    }
    for (i = 0; i < nanswer && kept < ABL_ADDRESSES_MAX; i++) {
        if (!has(ips, kept, &answer[i])) {
            ips[kept++] = answer[i];
        }
    }
    return kept;
}

/* ---- SRV records ------------------------------------------------------------------------------------ */

/* How many different priorities are lower than this one. */
static int rank_of(const abl_weighed_t *records, int n, uint16_t priority)
{
    int i, j, rank = 0;

    for (i = 0; i < n; i++) {
        for (j = 0; j < i && records[j].priority != records[i].priority; j++) {
        }
        rank += j == i && records[i].priority < priority;
    }
    return rank;
}

static uint32_t share_of(const abl_weighed_t *records, int n, const abl_weighed_t *record)
{
    uint64_t sum = 0, count = 0, share;
    int i;

    for (i = 0; i < n; i++) {
        sum += records[i].priority == record->priority ? records[i].weight : 0;
        count += records[i].priority == record->priority;
    }
    share = sum > 0 ? record->weight * count * AVERAGE / sum : AVERAGE;
    return share == 0 ? 1 : share > SHARE_MAX ? SHARE_MAX : (uint32_t)share;
}

void abl_slots_weigh(abl_weighed_t *records, int n, int set, int most)
{
    int i;

    for (i = 0; i < n; i++) {
        int at = set + rank_of(records, n, records[i].priority);
        records[i].set = at < most ? at : most;
        records[i].share = share_of(records, n, &records[i]);
    }
}
