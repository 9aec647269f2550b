/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerPersist: what administrators have changed (ledger/steer.h), in a file, so that it survives a full
 * stop. The control process writes it whenever something changes, in whole and under another name first; the
 * parent reads it when it begins.
 */
#ifndef ABL_CONTROL_KEEP_H
#define ABL_CONTROL_KEEP_H

#include "ledger/steer.h"

#include <apr_pools.h>
#include <sys/types.h>

#define ABL_KEEP_FILE_MAX ((off_t)16 * 1048576) /* bytes that are read */

typedef struct abl_keep_t {
    abl_segment_t *segment;
    apr_uint64_t written; /* abl_steer_number() then */
    bool begun;           /* something was written */
    int error;            /* that was said; 0: none was */
    int64_t again;        /* when it is tried again, abl_clock_now() */
    apr_uint64_t path;    /* hash of where it was written */
} abl_keep_t;

/* The control process: writes the file if anything has changed. NULL: there is none. Returns when to call
 * again at the latest; INT64_MAX: when something has changed. */
int64_t abl_keep_work(abl_keep_t *keep, const char *path, int64_t now);

/* Writes it. Returns 0 or an errno. */
int abl_keep_write(abl_segment_t *segment, const char *path);

/* What has come of reading. */
typedef struct abl_keep_news_t {
    /* A member that is no more, or bits (ABL_STEERED_*) that the configuration has changed since. */
    void (*lost)(void *ctx, const abl_steered_t *steered, unsigned stale, bool found);
    void *ctx;
} abl_keep_news_t;

/* Parent, after abl_segment_configure() of a new segment: makes it so again. Returns NULL, also when there is
 * no file; or why it cannot be read, from `pool`. */
const char *abl_keep_read(abl_segment_t *segment, const char *path, apr_pool_t *pool,
                          const abl_keep_news_t *news);

#endif
