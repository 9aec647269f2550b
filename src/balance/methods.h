/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in balancing methods. Pure functions over an array of candidates; see mod_appbalance.h for the
 * rules they keep. Among members that a method finds equally good, smooth weighted round robin decides, so
 * that at low load weights still count and nobody is always first.
 */
#ifndef ABL_BALANCE_METHODS_H
#define ABL_BALANCE_METHODS_H

#include "mod_appbalance.h"

/* Smooth weighted round robin: every usable candidate earns its weight in credit at each pick, the richest
 * is picked and pays what all earned together. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c. */
extern const abl_method_t abl_method_roundrobin;

/* Fewest requests per weight, those that wait for this member included. */
extern const abl_method_t abl_method_leastbusy;

/* Fewest bytes per weight over the last seconds, with what the requests under way will probably add. */
extern const abl_method_t abl_method_traffic;

/* Shortest expected wait: latency × (1 + requests per weight). Slow answers and failures count at once and
 * fade slowly. */
extern const abl_method_t abl_method_latency;

/* The member that the key belongs to; another one while that has more than 5/4 of its share of the load. When
 * members come and go, only the keys of those move. A request without a key goes to the least busy. */
extern const abl_method_t abl_method_hash;

/* The methods above, ended by NULL. */
extern const abl_method_t *const abl_methods[];

#endif
