/* SPDX-License-Identifier: Apache-2.0
 *
 * What HAProxy's proxy-protocol.txt says about the sender's side.
 */
#include "wire/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const char SIGNATURE[] = "\r\n\r\n\0\r\nQUIT\n";
#define SIGNATURE_LEN 12
#define V2_HEAD 16
#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define V2_TCP4 0x11
#define V2_TCP6 0x21

/* One end: an IPv4 address is kept as the IPv6 one that stands for it. */
typedef struct end_t {
    struct in6_addr address;
    in_port_t port; /* in the network's order */
} end_t;

static bool read_end(const struct sockaddr *sa, end_t *end)
{
    if (sa != NULL && sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        memset(&end->address, 0, 10);
        memset(end->address.s6_addr + 10, 0xff, 2);
        memcpy(end->address.s6_addr + 12, &in->sin_addr, 4);
        end->port = in->sin_port;
        return true;
    }
    if (sa != NULL && sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        end->address = in6->sin6_addr;
        end->port = in6->sin6_port;
        return true;
    }
    return false;
}

static size_t write_v1(const end_t *client, const end_t *local, bool ip4, char *out)
{
    int family = ip4 ? AF_INET : AF_INET6;
    size_t skip = ip4 ? 12 : 0;
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], line[ABL_PROXY_MAX + 1];
    int len;

    (void)inet_ntop(family, client->address.s6_addr + skip, from, sizeof(from));
    (void)inet_ntop(family, local->address.s6_addr + skip, to, sizeof(to));
    len = snprintf(line, sizeof(line), "PROXY TCP%d %s %s %d %d\r\n", ip4 ? 4 : 6, from, to,
                   ntohs(client->port), ntohs(local->port));
    memcpy(out, line, (size_t)len);
    return (size_t)len;
}

static char *put(char *to, const void *bytes, size_t len)
{
    memcpy(to, bytes, len);
    return to + len;
}

static size_t write_v2(const end_t *client, const end_t *local, bool ip4, char *out)
{
    size_t skip = ip4 ? 12 : 0;
    const char head[4] = {V2_PROXY, ip4 ? V2_TCP4 : V2_TCP6, 0, ip4 ? 12 : 36};
    char *at = put(out, SIGNATURE, SIGNATURE_LEN);

    at = put(at, head, sizeof(head));
    at = put(at, client->address.s6_addr + skip, 16 - skip);
    at = put(at, local->address.s6_addr + skip, 16 - skip);
    at = put(at, &client->port, 2);
    at = put(at, &local->port, 2);
    return (size_t)(at - out);
}

static size_t write_unknown(abl_proxy_t version, char *out)
{
    static const char line[] = "PROXY UNKNOWN\r\n";
    static const char head[4] = {V2_LOCAL, 0, 0, 0};

    if (version == ABL_PROXY_V1) {
        memcpy(out, line, sizeof(line) - 1);
        return sizeof(line) - 1;
    }
    memcpy(put(out, SIGNATURE, SIGNATURE_LEN), head, sizeof(head));
    return V2_HEAD;
}

size_t abl_proxy_write(abl_proxy_t version, const struct sockaddr *client, const struct sockaddr *local,
                       char *out)
{
    end_t from, to;
    bool ip4;

    if (version == ABL_PROXY_OFF) {
        return 0;
    }
    if (!read_end(client, &from) || !read_end(local, &to)) {
        return write_unknown(version, out);
    }
    ip4 = IN6_IS_ADDR_V4MAPPED(&from.address) && IN6_IS_ADDR_V4MAPPED(&to.address);
    return version == ABL_PROXY_V1 ? write_v1(&from, &to, ip4, out) : write_v2(&from, &to, ip4, out);
}
