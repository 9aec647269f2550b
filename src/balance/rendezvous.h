/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendezvous hashing: each key has its member, and keeps it when others come and go.
 */
#ifndef ABL_BALANCE_RENDEZVOUS_H
#define ABL_BALANCE_RENDEZVOUS_H

#include <apr.h>

/* Whom a key belongs to, of those who have drawn. */
typedef struct abl_draw_t {
    apr_uint64_t number;
    apr_uint32_t weight;
    int who; /* has the best draw so far; -1: nobody */
} abl_draw_t;

#define ABL_DRAW_NONE ((abl_draw_t){.who = -1})

/* One more draws. Each id gets keys in proportion to its weight (at least 1). Without some of the ids the
 * others keep what they have, and share only the keys of those that are gone. Ids and keys must be hashes
 * already: all their bits count. */
void abl_rendezvous_draw(abl_draw_t *best, int who, apr_uint64_t id, apr_uint32_t weight, apr_uint64_t key);

#endif
