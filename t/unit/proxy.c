/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol's headers, byte by byte.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "unit.h"
#include "wire/proxy.h"

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define LONGEST "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

typedef struct sample_t {
    const char *client;
    int client_port;
    const char *local;
    int local_port;
    const char *v1;
    const char *v2;
    size_t v2_len;
} sample_t;

#define V2(bytes) SIGNATURE bytes, sizeof(SIGNATURE bytes) - 1

static const sample_t samples[] = {
    {"192.0.2.1", 56324, "198.51.100.2", 443, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
     V2("\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb")},
    {"2001:db8::1", 1, "::1", 65535, "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
     V2("\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
        "\x00\x01\xff\xff")},
    {"::ffff:192.0.2.1", 80, "127.0.0.1", 81, "PROXY TCP4 192.0.2.1 127.0.0.1 80 81\r\n",
     V2("\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\x00\x50\x00\x51")},
    {"127.0.0.1", 80, "::1", 81, "PROXY TCP6 ::ffff:127.0.0.1 ::1 80 81\r\n",
     V2("\x21\x21\x00\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\x00\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
        "\x00\x50\x00\x51")},
    {NULL, 0, "::1", 81, "PROXY UNKNOWN\r\n", V2("\x20\x00\x00\x00")},
    {"127.0.0.1", 80, NULL, 0, "PROXY UNKNOWN\r\n", V2("\x20\x00\x00\x00")},
    {"unix", 0, "127.0.0.1", 80, "PROXY UNKNOWN\r\n", V2("\x20\x00\x00\x00")},
};

static const struct sockaddr *address(const char *text, int port, struct sockaddr_storage *ss)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof(*ss));
    if (text == NULL) {
        return NULL;
    }
    if (strcmp(text, "unix") == 0) {
        ss->ss_family = AF_UNIX;
    } else if (strchr(text, ':') != NULL) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        ck_assert_int_eq(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
    } else {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        ck_assert_int_eq(inet_pton(AF_INET, text, &in->sin_addr), 1);
    }
    return (const struct sockaddr *)ss;
}

static void check(abl_proxy_t version, const sample_t *sample, const char *expected, size_t len)
{
    struct sockaddr_storage client, local;
    char out[ABL_PROXY_MAX + 1];

    memset(out, '#', sizeof(out));
    ck_assert_uint_eq(abl_proxy_write(version, address(sample->client, sample->client_port, &client),
                                      address(sample->local, sample->local_port, &local), out),
                      len);
    ck_assert_mem_eq(out, expected, len);
    ck_assert_int_eq(out[len], '#');
}

START_TEST(writes_both_versions)
{
    for (size_t i = 0; i < COUNT(samples); i++) {
        check(ABL_PROXY_V1, &samples[i], samples[i].v1, strlen(samples[i].v1));
        check(ABL_PROXY_V2, &samples[i], samples[i].v2, samples[i].v2_len);
    }
}
END_TEST

START_TEST(the_longest_fits)
{
    static const sample_t longest = {LONGEST, 65535, LONGEST, 65535, NULL, NULL, 0};
    static const char line[] = "PROXY TCP6 " LONGEST " " LONGEST " 65535 65535\r\n";

    ck_assert_uint_le(sizeof(line) - 1, ABL_PROXY_MAX);
    check(ABL_PROXY_V1, &longest, line, sizeof(line) - 1);
}
END_TEST

START_TEST(off_is_nothing)
{
    check(ABL_PROXY_OFF, &samples[0], "", 0);
}
END_TEST

UNIT_MAIN("proxy", writes_both_versions, the_longest_fits, off_is_nothing)
