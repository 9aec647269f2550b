/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws between different weights.
 *
 * With u the draw between 0 and 1, the winner by weight is the highest weight / -ln(u).
 */
#include "balance/rendezvous.h"

#include <math.h>

/* -ln(u): how far the draw is from the best one possible. 52 bits and a half, exact in a double, never 0. */
static double distance(apr_uint64_t number)
{
    return -log(((double)(number >> 12) + 0.5) * 0x1p-52);
}

int abl_rendezvous_beats(const abl_draw_t *a, const abl_draw_t *b)
{
    return a->weight * distance(b->number) > b->weight * distance(a->number);
}
