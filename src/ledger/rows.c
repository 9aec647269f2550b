/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of chains.
 */
#include "ledger/rows.h"

#include "base/hash.h"

#include <string.h>
#include <strings.h>

static uint32_t *bucket_of(const abl_segment_t *segment, uint32_t balancer, const char *address)
{
    return &segment->buckets[(abl_hash_text(address) + balancer) % ABL_ROW_BUCKETS];
}

uint32_t abl_rows_find_balancer(const abl_segment_t *segment, const char *name)
{
    uint32_t i = segment->shared->balancers_used;

    while (i > 0 && strcasecmp(segment->balancers[i].name, name) != 0) {
        i--;
    }
    return i;
}

uint32_t abl_rows_find(const abl_segment_t *segment, uint32_t balancer, const char *address)
{
    uint32_t row = *bucket_of(segment, balancer, address);

    while (row != 0 &&
           (segment->rows[row].balancer != balancer || strcmp(segment->names[row].address, address) != 0)) {
        row = segment->rows[row].same;
    }
    return row;
}

void abl_rows_add(abl_segment_t *segment, uint32_t row)
{
    uint32_t *bucket = bucket_of(segment, segment->rows[row].balancer, segment->names[row].address);

    segment->rows[row].same = *bucket;
    *bucket = row;
}

void abl_rows_remove(abl_segment_t *segment, uint32_t row)
{
    uint32_t *link = bucket_of(segment, segment->rows[row].balancer, segment->names[row].address);

    while (*link != 0 && *link != row) {
        link = &segment->rows[*link].same;
    }
    *link = segment->rows[*link].same; /* that of row 0 is 0 */
}

void abl_rows_add_all(abl_segment_t *segment)
{
    uint32_t row;

    memset(segment->buckets, 0, ABL_ROW_BUCKETS * sizeof(*segment->buckets));
    for (row = 1; row <= segment->shared->rows_used; row++) {
        if (segment->rows[row].balancer != 0) {
            abl_rows_add(segment, row);
        }
    }
}
