/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendezvous (highest random weight) hashing: each key has its member, and keeps it when others come and go.
 *
 * Every member draws a number for the key, and the best draw wins; what one draws does not depend on the
 * others.
 */
#ifndef ABL_BALANCE_RENDEZVOUS_H
#define ABL_BALANCE_RENDEZVOUS_H

#include <apr.h>

/* Whom a key belongs to, of those who have drawn. */
typedef struct abl_draw_t {
    apr_uint64_t number;
    apr_uint32_t weight;
    int who; /* -1: nobody has drawn */
} abl_draw_t;

#define ABL_DRAW_NONE ((abl_draw_t){.who = -1})

/* Where neither number nor weight alone tells. */
int abl_rendezvous_beats(const abl_draw_t *a, const abl_draw_t *b);

/* The last step of MurmurHash3: each bit of the result depends on every bit of x. The two that are put
 * together here are siphashes, so nobody can choose them to meet. */
static inline apr_uint64_t abl_rendezvous_mix(apr_uint64_t x)
{
    x = (x ^ (x >> 33)) * APR_UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ (x >> 33)) * APR_UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

/* One more draws. Each id gets keys in proportion to its weight (at least 1). Without some of the ids the
 * others keep what they have, and share only the keys of those that are gone. Ids and keys must be hashes
 * already: all their bits count. */
static inline void abl_rendezvous_draw(abl_draw_t *best, int who, apr_uint64_t id, apr_uint32_t weight,
                                       apr_uint64_t key)
{
    abl_draw_t draw = {abl_rendezvous_mix(key ^ id), weight, who};

    if (best->who >= 0 && draw.number <= best->number && weight <= best->weight) {
        return;
    }
    if (best->who < 0 || (draw.number >= best->number && weight >= best->weight) ||
        abl_rendezvous_beats(&draw, best)) {
        *best = draw;
    }
}

#endif
