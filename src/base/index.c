/* SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing; at most half of the table is used.
 */
#include "base/index.h"

#include <stdlib.h>

struct abl_index_entry_t {
    uint64_t key;
    void *value; /* NULL: it is free */
};

bool abl_index_begin(abl_index_t *index, int most)
{
    uint64_t size = 2;

    while (size < 2 * (uint64_t)most) {
        size *= 2;
    }
    free(index->entries);
    index->entries = calloc(size, sizeof(*index->entries));
    index->mask = size - 1;
    return index->entries != NULL;
}

/* Where it is, or belongs. */
static abl_index_entry_t *place_of(const abl_index_t *index, uint64_t key)
{
    uint64_t at = key & index->mask;

    while (index->entries[at].value != NULL && index->entries[at].key != key) {
        at = (at + 1) & index->mask;
    }
    return &index->entries[at];
}

void abl_index_add(abl_index_t *index, uint64_t key, void *value)
{
    abl_index_entry_t *entry = index->entries != NULL ? place_of(index, key) : NULL;

    if (entry != NULL && entry->value == NULL) {
        *entry = (abl_index_entry_t){key, value};
    }
}

void *abl_index_find(const abl_index_t *index, uint64_t key)
{
    return index->entries != NULL ? place_of(index, key)->value : NULL;
}
