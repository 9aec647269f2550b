/* SPDX-License-Identifier: Apache-2.0
 *
 * An IP address and a port in 20 bytes, for memory that processes share: what a host name stands for.
 */
#ifndef ABL_BASE_IP_H
#define ABL_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ABL_ADDRESSES_MAX 16 /* of one host name; more are ignored */
#define ABL_IP_TEXT 56       /* bytes of the longest text, with its end */

typedef struct abl_ip_t {
    uint8_t bytes[16]; /* in network order; the first four of IPv4, then zeros */
    uint16_t port;     /* in the machine's order */
    uint16_t family;   /* 4 or 6; 0: none */
} abl_ip_t;

/* Any thread, all of them. */

static inline bool abl_ip_same(const abl_ip_t *a, const abl_ip_t *b)
{
    return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

/* From a literal, IPv6 without brackets. False: it is none, but a name perhaps. */
bool abl_ip_read(const char *literal, uint16_t port, abl_ip_t *ip);

/* From "10.0.0.3:8080" or "[::1]:80"; both parts are needed. False: it is neither. */
bool abl_ip_parse(const char *text, abl_ip_t *ip);

/* From a socket's address. False: it is no IP address. */
bool abl_ip_from(const struct sockaddr *sa, uint16_t port, abl_ip_t *ip);

/* As a socket wants it; returns the length. */
socklen_t abl_ip_to(const abl_ip_t *ip, struct sockaddr_storage *sa);

/* "10.0.0.3:8080", "[::1]:80". Returns `text`. */
const char *abl_ip_text(const abl_ip_t *ip, char text[ABL_IP_TEXT]);

#endif
