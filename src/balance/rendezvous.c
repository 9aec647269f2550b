/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendezvous (highest random weight) hashing.
 *
 * Every member draws a number for the key, and the best draw wins; what one draws does not depend on the
 * others. With u the draw between 0 and 1, the winner by weight is the highest weight / -ln(u).
 */
#include "balance/rendezvous.h"

#include <math.h>

/* The last step of MurmurHash3: each bit of the result depends on every bit of x. The two that are put
 * together here are siphashes, so nobody can choose them to meet. */
static apr_uint64_t mix(apr_uint64_t x)
{
    x = (x ^ (x >> 33)) * APR_UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ (x >> 33)) * APR_UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

/* -ln(u): how far the draw is from the best one possible. 52 bits and a half, exact in a double, never 0. */
static double distance(apr_uint64_t number)
{
    return -log(((double)(number >> 12) + 0.5) * 0x1p-52);
}

/* Between equal weights, and in most other cases, the answer needs no logarithm. */
static int beats(const abl_draw_t *a, const abl_draw_t *b)
{
    if (a->number <= b->number && a->weight <= b->weight) {
        return 0;
    }
    if (a->number >= b->number && a->weight >= b->weight) {
        return 1;
    }
    return a->weight * distance(b->number) > b->weight * distance(a->number);
}

void abl_rendezvous_draw(abl_draw_t *best, int who, apr_uint64_t id, apr_uint32_t weight, apr_uint64_t key)
{
    abl_draw_t draw = {mix(key ^ id), weight, who};

    if (best->who < 0 || beats(&draw, best)) {
        *best = draw;
    }
}
