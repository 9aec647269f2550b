/* SPDX-License-Identifier: Apache-2.0
 *
 * Which address of a name sits in which of its slots, in which order addresses are tried, and what the
 * numbers of SRV records mean. Pure: numbers in, numbers out.
 */
#ifndef ABL_CONTROL_SLOTS_H
#define ABL_CONTROL_SLOTS_H

#include "base/ip.h"

typedef struct abl_slot_seen_t {
    uint64_t id; /* of who sits there; 0: nobody */
    bool busy;   /* requests are under way there */
} abl_slot_seen_t;

/* Who sits somewhere stays; the others take free slots, and those of who is not found any more, first where
 * nothing is under way. slot_of[i]: the slot of found[i]; -1: there is none left. Returns how many have none.
 * No two of `found` are the same. */
int abl_slots_assign(const abl_slot_seen_t *slots, int nslots, const uint64_t *found, int nfound,
                     int *slot_of);

/* The addresses of a name, `n` of them in `ips`, become those of its answer: the ones that stay keep their
 * order, new ones come behind. At most ABL_ADDRESSES_MAX. Returns how many there are then. */
int abl_slots_merge(abl_ip_t *ips, int n, const abl_ip_t *answer, int nanswer);

/* One SRV record. */
typedef struct abl_weighed_t {
    uint16_t priority, weight; /* as it says */
    uint32_t share;            /* as a member's weight, in hundredths: on average 100 within a priority */
    int set;
} abl_weighed_t;

/* Works out share and set. Priorities become sets in their order, from `set` to `most`. Weight 0 beside
 * others is next to nothing; all of weight 0 are equal. */
void abl_slots_weigh(abl_weighed_t *records, int n, int set, int most);

#endif
