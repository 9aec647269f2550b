/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking for names, by c-ares, which nothing else in the module knows. Nothing here waits: the descriptors
 * are the control process's to watch. The same question of several askers is asked once, and not more than
 * ABL_LOOKUPS_MAX are under way.
 *
 * Only the control process calls these functions, with one thread.
 */
#ifndef ABL_CONTROL_RESOLVER_H
#define ABL_CONTROL_RESOLVER_H

#include "base/ip.h"
#include "control/name.h"

#define ABL_LOOKUPS_MAX 32 /* under way at once */
#define ABL_FOUND_MAX 256  /* addresses or records of one answer; what comes behind is left out */
#define ABL_TARGET_MAX 255 /* bytes of a name in an SRV record */

typedef struct abl_resolver_t abl_resolver_t;

/* Watches a descriptor, or none of both: not any more. */
typedef struct abl_resolver_watch_t {
    void (*watch)(void *ctx, int fd, bool for_read, bool for_write);
    void *ctx;
} abl_resolver_watch_t;

typedef struct abl_srv_t {
    char target[ABL_TARGET_MAX + 1]; /* lower case, no dot at the end */
    uint16_t port, priority, weight;
} abl_srv_t;

typedef enum abl_found_as_t {
    ABL_FOUND,       /* at least one */
    ABL_FOUND_NONE,  /* whoever knows says that there is none */
    ABL_FOUND_FAILED /* nobody who knows has answered */
} abl_found_as_t;

typedef struct abl_found_t {
    abl_found_as_t as;
    const char *why; /* there is none, or it has failed */
    uint32_t ttl;    /* seconds, the least of all parts of the answer */
    int n;
    const abl_ip_t *ips; /* without ports; or */
    const abl_srv_t *records;
} abl_found_t;

/* The answer; what it points at is gone when this returns. */
typedef void abl_resolver_fn_t(void *ctx, const abl_found_t *found);

/* NULL: no memory. */
abl_resolver_t *abl_resolver_create(const abl_resolver_watch_t *watch);

/* Who is asked from now on. Copies all of it. */
void abl_resolver_configure(abl_resolver_t *resolver, const abl_resolver_conf_t *conf);

/* Families of addresses, bits. */
#define ABL_FAMILY_4 1u
#define ABL_FAMILY_6 2u

/* Asks for the addresses of a host, or, with `records`, for the SRV records of a name. `had`: the families of
 * addresses that are known from before: when all of one are missing that is asked for once more, because half
 * of an answer may have got lost. The answer never comes from within this call. */
void abl_resolver_ask(abl_resolver_t *resolver, const char *name, bool records, unsigned had,
                      abl_resolver_fn_t *answer, void *ctx);

/* This one (`ctx`) does not want to know any more. */
void abl_resolver_forget(abl_resolver_t *resolver, const void *ctx);

/* A descriptor that is watched is ready. */
void abl_resolver_ready(abl_resolver_t *resolver, int fd, bool for_read, bool for_write);

/* Goes on with what is due. Returns when to call again, abl_clock_now()'s scale; INT64_MAX: not before a
 * descriptor is ready or somebody asks. */
int64_t abl_resolver_work(abl_resolver_t *resolver, int64_t now);

#endif
