/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in balancing methods. Pure functions over an array of candidates; see mod_appbalance.h for the
 * rules they keep.
 */
#ifndef ABL_BALANCE_METHODS_H
#define ABL_BALANCE_METHODS_H

#include "mod_appbalance.h"

/* Smooth weighted round robin: every usable candidate earns its weight in credit at each pick, the richest
 * is picked and pays what all earned together. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c. */
extern const abl_method_t abl_method_roundrobin;

/* Fewest requests per weight. Among equals, smooth weighted round robin decides, so that at low load
 * weights still count and nobody is always first. */
extern const abl_method_t abl_method_leastbusy;

/* The methods above, ended by NULL. */
extern const abl_method_t *const abl_methods[];

#endif
