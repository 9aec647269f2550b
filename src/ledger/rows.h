/* SPDX-License-Identifier: Apache-2.0
 *
 * Balancers by name, rows by balancer and address. All of it inside the lock.
 *
 *     bucket ──► row ──► row        `same` is the next one of a bucket; both are caches
 */
#ifndef ABL_LEDGER_ROWS_H
#define ABL_LEDGER_ROWS_H

#include "ledger/layout.h"

/* A balancer's index; 0: there is none of that name, in whatever letters. */
uint32_t abl_rows_find_balancer(const abl_segment_t *segment, const char *name);

/* The row of this member; 0: there is none. */
uint32_t abl_rows_find(const abl_segment_t *segment, uint32_t balancer, const char *address);

/* A row is somebody's from now on, or nobody's any more; its balancer and address are known. */
void abl_rows_add(abl_segment_t *segment, uint32_t row);
void abl_rows_remove(abl_segment_t *segment, uint32_t row);

/* Adds all rows anew. For rebuilding. */
void abl_rows_add_all(abl_segment_t *segment);

#endif
