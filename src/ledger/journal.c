/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: a ring.
 */
#include "ledger/journal.h"

#include "ledger/rebuild.h"

void abl_journal_write(abl_segment_t *segment, const abl_entry_t *entry)
{
    abl_journal_row_t *j = segment->journal;
    uint64_t number = atomic_load(&j->n) + 1;
    abl_entry_t *to = &j->entries[number % ABL_JOURNAL_ENTRIES];

    *to = *entry;
    to->number = number;
    atomic_store(&j->n, number);
}

void abl_journal_add(abl_segment_t *segment, const abl_entry_t *entry)
{
    if (abl_enter(segment, NULL)) {
        abl_journal_write(segment, entry);
        abl_leave(segment);
    }
}

int abl_journal_read(abl_segment_t *segment, abl_entry_t entries[ABL_JOURNAL_ENTRIES])
{
    const abl_journal_row_t *j = segment->journal;
    uint64_t number;
    int n = 0;

    if (!abl_enter(segment, NULL)) {
        return 0;
    }
    for (number = atomic_load(&j->n); number > 0 && n < ABL_JOURNAL_ENTRIES; number--) {
        entries[n++] = j->entries[number % ABL_JOURNAL_ENTRIES];
    }
    abl_leave(segment);
    return n;
}

apr_uint64_t abl_journal_number(const abl_segment_t *segment)
{
    return atomic_load(&segment->journal->n);
}
