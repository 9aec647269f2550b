/* SPDX-License-Identifier: Apache-2.0
 *
 * IP addresses, compact.
 */
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool abl_ip_read(const char *literal, uint16_t port, abl_ip_t *ip)
{
    memset(ip, 0, sizeof(*ip));
    ip->port = port;
    ip->family = inet_pton(AF_INET, literal, ip->bytes) == 1    ? 4
                 : inet_pton(AF_INET6, literal, ip->bytes) == 1 ? 6
                                                                : 0;
    return ip->family != 0;
}

static bool read_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *port = (uint16_t)n;
    return *text >= '0' && *text <= '9' && *end == '\0' && n > 0 && n <= UINT16_MAX;
}

bool abl_ip_parse(const char *text, abl_ip_t *ip)
{
    char literal[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    uint16_t port;

    text += brackets;
    len -= brackets ? 2 : 0;
    if (len == 0 || len >= sizeof(literal) || !read_port(colon + 1, &port)) {
        return false;
    }
    memcpy(literal, text, len);
    literal[len] = '\0';
    return abl_ip_read(literal, port, ip) && brackets == (ip->family == 6);
}

bool abl_ip_from(const struct sockaddr *sa, uint16_t port, abl_ip_t *ip)
{
    memset(ip, 0, sizeof(*ip));
    ip->port = port;
    if (sa->sa_family == AF_INET) {
        ip->family = 4;
        memcpy(ip->bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        ip->family = 6;
        memcpy(ip->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    }
    return ip->family != 0;
}

socklen_t abl_ip_to(const abl_ip_t *ip, struct sockaddr_storage *sa)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

    memset(sa, 0, sizeof(*sa));
    if (ip->family == 4) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(ip->port);
        memcpy(&v4->sin_addr, ip->bytes, 4);
        return sizeof(*v4);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(ip->port);
    memcpy(&v6->sin6_addr, ip->bytes, 16);
    return sizeof(*v6);
}

const char *abl_ip_text(const abl_ip_t *ip, char text[ABL_IP_TEXT])
{
    char plain[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->bytes, plain, sizeof(plain));
    (void)snprintf(text, ABL_IP_TEXT, ip->family == 4 ? "%s:%u" : "[%s]:%u", plain, ip->port);
    return text;
}
