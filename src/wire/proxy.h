/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of the PROXY protocol, versions 1 and 2: who the client is, said to a member before anything
 * else.
 */
#ifndef ABL_WIRE_PROXY_H
#define ABL_WIRE_PROXY_H

#include "wire/wire.h"

#include <sys/socket.h>

#define ABL_PROXY_MAX                                                                                        \
    107 /* bytes of the longest header, a version 1 with two IPv6 addresses and its CRLF                     \
         */

typedef enum abl_proxy_t {
    ABL_PROXY_OFF = 0,
    ABL_PROXY_V1, /* a line of text */
    ABL_PROXY_V2  /* binary */
} abl_proxy_t;

/* Writes the header into `out`, which has room for ABL_PROXY_MAX bytes, and returns its length. `client` and
 * `local`: the two ends of the client's connection. Where one of them is NULL or no internet address, the
 * header says that nothing is known: UNKNOWN, or LOCAL without an address. IPv4 addresses that are written as
 * IPv6 ones go out as IPv4, and both as IPv6 where only one of them is IPv4. Pure. */
size_t abl_proxy_write(abl_proxy_t version, const struct sockaddr *client, const struct sockaddr *local,
                       char *out);

#endif
