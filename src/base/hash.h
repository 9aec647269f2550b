/* SPDX-License-Identifier: Apache-2.0
 *
 * One hash for whatever must come out the same in every process, after every restart and on every front
 * server: members' ids, keys of requests, clients.
 */
#ifndef ABL_BASE_HASH_H
#define ABL_BASE_HASH_H

#include <apr_siphash.h>

#include <string.h>

static inline apr_uint64_t abl_hash(const void *bytes, apr_size_t len)
{
    static const unsigned char key[APR_SIPHASH_KSIZE] = "mod_appbalance";

    return apr_siphash24(bytes, len, key);
}

static inline apr_uint64_t abl_hash_text(const char *text)
{
    return abl_hash(text, strlen(text));
}

#endif
