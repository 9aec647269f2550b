/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendezvous hashing: each key has its member, and keeps it when others come and go.
 */
#ifndef ABL_BALANCE_RENDEZVOUS_H
#define ABL_BALANCE_RENDEZVOUS_H

#include <apr.h>

/* The index that `key` belongs to; -1: n is 0. Each id gets keys in proportion to its weight (at least 1).
 * Without some of the ids the others keep what they have, and share only the keys of those that are gone.
 * Ids and keys must be hashes already: all their bits count. */
int abl_rendezvous(const apr_uint64_t *ids, const apr_uint32_t *weights, int n, apr_uint64_t key);

/* The same, one after the other: */
typedef struct abl_draw_t {
    apr_uint64_t number;
    apr_uint32_t weight;
    int who; /* has the best draw so far; -1: nobody */
} abl_draw_t;

#define ABL_DRAW_NONE ((abl_draw_t){.who = -1})

void abl_rendezvous_draw(abl_draw_t *best, int who, apr_uint64_t id, apr_uint32_t weight, apr_uint64_t key);

#endif
