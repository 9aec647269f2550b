/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything there is to see, as JSON (docs/steering.md).
 */
#ifndef ABL_HTTPD_STATUS_JSON_H
#define ABL_HTTPD_STATUS_JSON_H

#include "base/json.h"
#include "httpd/config.h"

#define ABL_STATUS_VERSION 1

/* What a reader may do. */
typedef struct abl_steering_t {
    bool manager;        /* the location's handler is balancer-manager */
    const char *token;   /* NULL: actions are refused, */
    const char *why_not; /* and this is why */
} abl_steering_t;

/* What a reader of the stream has been sent already; see status_stream.c. */
typedef struct abl_seen_t abl_seen_t;

struct abl_seen_t {
    /* Was this text sent under this name the last time? Remembers that it is sent now. Names are told apart
     * by `kind`, and `of`. */
    bool (*is_known)(abl_seen_t *seen, const char *kind, const char *of, const char *name, const char *text,
                     size_t len);
    /* Samples of this balancer's history that were sent, of all that there were ever; sets it to `ever`. */
    apr_uint64_t (*history)(abl_seen_t *seen, const char *balancer, apr_uint64_t ever);
    bool whole; /* nothing was */
};

/* `seen`: NULL for all of it. Memory for a moment from `pool`. */
void abl_status_json(abl_json_t *json, apr_pool_t *pool, const server_rec *s, const abl_steering_t *steering,
                     abl_seen_t *seen);

#endif
