/* SPDX-License-Identifier: Apache-2.0
 *
 * What administrators have done lately: a short list that all processes share.
 */
#ifndef ABL_LEDGER_JOURNAL_H
#define ABL_LEDGER_JOURNAL_H

#include "ledger/ledger.h"

#define ABL_JOURNAL_ENTRIES 32
#define ABL_REASON_MAX 200 /* bytes of a reason */

/* All texts end with a NUL, and are empty where there is nothing to say. */
typedef struct abl_entry_t {
    apr_uint64_t number; /* from 1 */
    apr_int64_t time;    /* seconds since 1970 */
    char who[64], from[64];
    char action[16];
    char balancer[ABL_NAME_MAX + 1];
    char target[ABL_ADDRESS_MAX + 1];
    char value[32];
    char reason[ABL_REASON_MAX + 1];
    char result[160];
} abl_entry_t;

/* Any process. Its number is set here. */
void abl_journal_add(abl_segment_t *segment, const abl_entry_t *entry);

/* The last ones, the newest first, at most ABL_JOURNAL_ENTRIES. Returns how many. Any process. */
int abl_journal_read(abl_segment_t *segment, abl_entry_t entries[ABL_JOURNAL_ENTRIES]);

/* Changes with every entry. Without the lock. */
apr_uint64_t abl_journal_number(const abl_segment_t *segment);

#endif
