/* SPDX-License-Identifier: Apache-2.0
 *
 * From hashes to what they stand for: a table of which is known at the beginning how much there will be in
 * it.
 */
#ifndef ABL_BASE_INDEX_H
#define ABL_BASE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

typedef struct abl_index_entry_t abl_index_entry_t;

/* All zero: nothing is in it, and there is no room. */
typedef struct abl_index_t {
    abl_index_entry_t *entries; /* owned */
    uint64_t mask;
} abl_index_t;

/* Empties it, and makes room for so many. False: there is no memory, and no room. */
bool abl_index_begin(abl_index_t *index, int most);

/* Nothing happens where there is no room. The first one of the same key is found. */
void abl_index_add(abl_index_t *index, uint64_t key, void *value);

/* NULL: nothing is there. */
void *abl_index_find(const abl_index_t *index, uint64_t key);

#endif
