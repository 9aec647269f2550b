/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses with ports, as people write them.
 */
#include "base/ip.h"
#include "unit.h"

START_TEST(good_ones)
{
    static const char *const texts[] = {"10.0.0.3:8080", "[::1]:80", "0.0.0.0:1", "[2001:db8::1]:65535"};
    char text[ABL_IP_TEXT];
    abl_ip_t ip;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_msg(abl_ip_parse(texts[i], &ip), "%s", texts[i]);
        ck_assert_str_eq(abl_ip_text(&ip, text), texts[i]);
    }
}
END_TEST

START_TEST(bad_ones)
{
    static const char *const texts[] = {"",
                                        "10.0.0.3",
                                        "10.0.0.3:",
                                        "10.0.0.3:0",
                                        "10.0.0.3:65536",
                                        "10.0.0.3:-1",
                                        ":80",
                                        "[]:80",
                                        "[::1]",
                                        "::1:80",
                                        "[10.0.0.3]:80",
                                        "app:80",
                                        "[::1:80",
                                        "10.0.0.3: 80",
                                        "10.0.0.3:80x",
                                        "10.0.0.300:80",
                                        "[::g]:80",
                                        "10.0.0.3:99999999999999999999",
                                        "[fe80::1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:80"};
    abl_ip_t ip;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_msg(!abl_ip_parse(texts[i], &ip), "%s", texts[i]);
    }
}
END_TEST

UNIT_MAIN("ip", good_ones, bad_ones)
