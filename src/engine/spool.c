/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of blocks, then a file. Once the file is begun everything goes there until it has been read: that
 * keeps the order. Then it is emptied, and memory is used again. What the file does not take waits in a list
 * of its own behind it.
 */
#include "engine/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct abl_spool_block_t {
    abl_spool_block_t *next;
    size_t start, end; /* unread bytes */
    char bytes[ABL_SPOOL_BLOCK];
};

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static uint64_t in_file(const abl_spool_t *spool)
{
    return spool->file_end - spool->file_start;
}

/* Bytes of the file that have been read from it and not been taken away. */
static size_t ahead(const abl_spool_t *spool)
{
    return spool->reading != NULL ? spool->reading->end - spool->reading->start : 0;
}

uint64_t abl_spool_length(const abl_spool_t *spool)
{
    return spool->in_memory + in_file(spool) + spool->in_tail;
}

bool abl_spool_has_room(const abl_spool_t *spool)
{
    if (spool->in_tail > 0) {
        return false;
    }
    if (spool->file_max == 0 || spool->file_end == 0) {
        return spool->in_memory < spool->memory_max || spool->file_max > 0;
    }
    return spool->file_end < spool->file_max;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static abl_spool_block_t *add_block(abl_spool_t *spool)
{
    abl_spool_block_t *block = malloc(sizeof(*block));

    if (block == NULL) {
        return NULL;
    }
    block->next = NULL;
    block->start = block->end = 0;
    *(spool->last != NULL ? &spool->last->next : &spool->first) = block;
    spool->last = block;
    return block;
}

static apr_status_t write_memory(abl_spool_t *spool, const char *bytes, size_t len)
{
    while (len > 0) {
        abl_spool_block_t *block = spool->last;
        size_t n;

        if (block == NULL || block->end == ABL_SPOOL_BLOCK) {
            block = add_block(spool);
        }
        if (block == NULL) {
            return APR_ENOMEM;
        }
        n = least(ABL_SPOOL_BLOCK - block->end, len);
        memcpy(block->bytes + block->end, bytes, n);
        block->end += n;
        spool->in_memory += n;
        bytes += n;
        len -= n;
    }
    return APR_SUCCESS;
}

/* A file without a name; where the file system has none such, one whose name is taken away at once. */
static int open_file(const char *folder)
{
    char name[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return fd;
    }
    if (snprintf(name, sizeof(name), "%s/appbalance-XXXXXX", folder) >= (int)sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) {
        unlink(name);
    }
    return fd;
}

/* Returns how many bytes the file took. */
static size_t write_file(abl_spool_t *spool, const char *bytes, size_t len)
{
    size_t done = 0;

    if (spool->file_plus_one == 0) {
        spool->file_plus_one = open_file(spool->folder) + 1;
    }
    while (spool->file_plus_one != 0 && done < len) {
        ssize_t n = pwrite(spool->file_plus_one - 1, bytes + done, len - done, (off_t)spool->file_end);
        if (n <= 0 && errno != EINTR) {
            break;
        }
        spool->file_end += n > 0 ? (uint64_t)n : 0;
        done += n > 0 ? (size_t)n : 0;
    }
    if (done < len) {
        spool->failed = errno;
    }
    return done;
}

/* Memory after the file: what stands before it is put aside for the moment. */
static apr_status_t write_tail(abl_spool_t *spool, const char *bytes, size_t len)
{
    abl_spool_block_t *first = spool->first, *last = spool->last;
    uint64_t in_memory = spool->in_memory;
    apr_status_t rv;

    spool->first = spool->tail;
    for (spool->last = spool->tail; spool->last != NULL && spool->last->next != NULL;
         spool->last = spool->last->next) {
    }
    rv = write_memory(spool, bytes, len);
    spool->tail = spool->first;
    spool->in_tail += len;
    spool->first = first;
    spool->last = last;
    spool->in_memory = in_memory;
    return rv;
}

apr_status_t abl_spool_write(abl_spool_t *spool, const char *bytes, size_t len)
{
    size_t n = 0;
    apr_status_t rv;

    if (spool->file_max == 0) {
        return write_memory(spool, bytes, len);
    }
    if (spool->in_tail > 0) {
        return write_tail(spool, bytes, len);
    }
    if (spool->file_end == 0 && spool->in_memory < spool->memory_max) {
        n = least(spool->memory_max - spool->in_memory, len);
    }
    rv = write_memory(spool, bytes, n);
    if (rv == APR_SUCCESS && n < len) {
        n += write_file(spool, bytes + n, len - n);
    }
    return rv == APR_SUCCESS && n < len ? write_tail(spool, bytes + n, len - n) : rv;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static apr_status_t read_file(abl_spool_t *spool)
{
    abl_spool_block_t *block = spool->reading;
    ssize_t n;

    if (block == NULL) {
        block = spool->reading = malloc(sizeof(*block));
    }
    if (block == NULL) {
        return APR_ENOMEM;
    }
    block->start = block->end = 0;
    do {
        n = pread(spool->file_plus_one - 1, block->bytes, least(in_file(spool), ABL_SPOOL_BLOCK),
                  (off_t)spool->file_start);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return n < 0 ? errno : APR_EOF; /* somebody has cut our file */
    }
    block->end = (size_t)n;
    return APR_SUCCESS;
}

/* Everything before it has been read. */
static void take_tail(abl_spool_t *spool)
{
    spool->first = spool->tail;
    for (spool->last = spool->tail; spool->last->next != NULL; spool->last = spool->last->next) {
    }
    spool->in_memory = spool->in_tail;
    spool->tail = NULL;
    spool->in_tail = 0;
}

apr_status_t abl_spool_peek(abl_spool_t *spool, const char **bytes, size_t *len)
{
    const abl_spool_block_t *block;

    *len = 0;
    if (spool->in_memory == 0 && in_file(spool) == 0 && spool->in_tail > 0) {
        take_tail(spool);
    }
    block = spool->first;
    if (spool->in_memory == 0) {
        if (in_file(spool) == 0) {
            return APR_SUCCESS;
        }
        if (ahead(spool) == 0) {
            apr_status_t rv = read_file(spool);
            if (rv != APR_SUCCESS) {
                return rv;
            }
        }
        block = spool->reading;
    }
    *bytes = block->bytes + block->start;
    *len = block->end - block->start;
    return APR_SUCCESS;
}

static void keep_block(abl_spool_t *spool, abl_spool_block_t *block)
{
    block->next = NULL;
    *(spool->last_kept != NULL ? &spool->last_kept->next : &spool->kept) = block;
    spool->last_kept = block;
}

static void drop_memory(abl_spool_t *spool, size_t len)
{
    abl_spool_block_t *block = spool->first;

    block->start += len;
    spool->in_memory -= len;
    if (block->start == block->end) {
        spool->first = block->next;
        if (spool->first == NULL) {
            spool->last = NULL;
        }
        if (spool->keeps) {
            keep_block(spool, block);
        } else {
            free(block);
        }
    }
}

/* A file that cannot be emptied goes on growing, which the limit bounds. */
static void drop_file(abl_spool_t *spool, size_t len)
{
    spool->reading->start += len;
    spool->file_start += len;
    if (in_file(spool) == 0 && !spool->keeps && ftruncate(spool->file_plus_one - 1, 0) == 0) {
        spool->file_start = spool->file_end = 0;
        free(spool->reading);
        spool->reading = NULL;
    }
}

void abl_spool_drop(abl_spool_t *spool, size_t len)
{
    if (len == 0) {
        return;
    }
    if (spool->in_memory > 0) {
        drop_memory(spool, len);
    } else {
        drop_file(spool, len);
    }
}

bool abl_spool_keep(abl_spool_t *spool)
{
    spool->keeps = spool->failed == APR_SUCCESS;
    return spool->keeps;
}

void abl_spool_rewind(abl_spool_t *spool)
{
    abl_spool_block_t *block;

    if (spool->kept != NULL) {
        spool->last_kept->next = spool->first;
        spool->last = spool->last != NULL ? spool->last : spool->last_kept;
        spool->first = spool->kept;
        spool->kept = spool->last_kept = NULL;
    }
    spool->in_memory = 0;
    for (block = spool->first; block != NULL; block = block->next) {
        block->start = 0;
        spool->in_memory += block->end;
    }
    spool->file_start = 0;
    free(spool->reading);
    spool->reading = NULL;
}

static void free_blocks(abl_spool_block_t *block)
{
    while (block != NULL) {
        abl_spool_block_t *next = block->next;
        free(block);
        block = next;
    }
}

void abl_spool_clear(abl_spool_t *spool)
{
    free_blocks(spool->first);
    free_blocks(spool->tail);
    free_blocks(spool->kept);
    free(spool->reading);
    if (spool->file_plus_one > 0) {
        close(spool->file_plus_one - 1);
    }
    *spool =
        (abl_spool_t){.memory_max = spool->memory_max, .file_max = spool->file_max, .folder = spool->folder};
}
