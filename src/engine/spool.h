/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that one side brings faster than the other takes them: first in, first out, in memory up to a limit,
 * and beyond it in a temporary file that nobody else can see. When the file cannot be written, because the
 * disk is full for example, nothing is lost: there is just no room until everything has been read.
 *
 * A spool belongs to one thread at a time; nothing is locked. A file is written and read with blocking calls,
 * which as a rule end in the page cache.
 */
#ifndef ABL_ENGINE_SPOOL_H
#define ABL_ENGINE_SPOOL_H

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABL_SPOOL_BLOCK 16384 /* bytes of memory taken at once */

typedef struct abl_spool_block_t abl_spool_block_t;

/* The owner sets the limits once, everything else to zero. */
typedef struct abl_spool_t {
    uint64_t memory_max; /* bytes in memory */
    uint64_t file_max;   /* bytes in the file; 0: there is none */
    const char *folder;  /* for the file; stays the owner's */

    /* The spool's own. */
    abl_spool_block_t *first, *last;
    uint64_t in_memory;         /* bytes unread there, which came before all in the file */
    uint64_t file_start;        /* of what is unread in the file */
    uint64_t file_end;          /* of what was written to it */
    int file_plus_one;          /* its descriptor; 0: none */
    abl_spool_block_t *reading; /* a part of the file; NULL: none */
    abl_spool_block_t *tail;    /* what the file did not take, and comes after it */
    uint64_t in_tail;
    bool keeps;              /* what is taken away stays: */
    abl_spool_block_t *kept; /* its part in memory, oldest first */
    abl_spool_block_t *last_kept;
    apr_status_t failed; /* why the file could not be written, at some time; APR_SUCCESS: it never failed */
} abl_spool_t;

/* Bytes that have been written and not been read. */
uint64_t abl_spool_length(const abl_spool_t *spool);

/* May more be written? A single write may go over the limits; only the owner knows how long his are. */
bool abl_spool_has_room(const abl_spool_t *spool);

/* Would so many bytes more go to the disk? */
static inline bool abl_spool_needs_file(const abl_spool_t *spool, uint64_t more)
{
    return spool->file_end != 0 || spool->in_memory + more > spool->memory_max;
}

/* Adds bytes at the end. APR_ENOMEM: some of them may have been written, and the spool can only be freed. */
apr_status_t abl_spool_write(abl_spool_t *spool, const char *bytes, size_t len);

/* The bytes at the front, *len > 0 of them unless the spool is empty, valid until the next call. APR_ENOMEM,
 * or what the file system says. */
apr_status_t abl_spool_peek(abl_spool_t *spool, const char **bytes, size_t *len);

/* Takes bytes away, as many as the last abl_spool_peek() showed, or fewer. */
void abl_spool_drop(abl_spool_t *spool, size_t len);

/* Nothing will be written any more, and nothing was taken away yet: from now on what is taken away can be had
 * again. False: it cannot be done, because the file could not be written. */
bool abl_spool_keep(abl_spool_t *spool);

/* After abl_spool_keep(): everything is at the front again, as it was then. */
void abl_spool_rewind(abl_spool_t *spool);

/* Frees everything; the limits stay, and the spool is empty. */
void abl_spool_clear(abl_spool_t *spool);

#endif
