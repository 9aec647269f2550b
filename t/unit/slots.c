/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets which slot, in which order addresses are tried, what SRV records weigh.
 */
#include "control/slots.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

/* Slots as a text, "a" an occupant, "A" one with requests under way, "." nobody, "*" nobody with requests
 * under way; and who is found. Returns the slots afterwards, and what was left out behind a space. */
static const char *assign(const char *before, const char *found)
{
    static char after[64];
    abl_slot_seen_t slots[16];
    uint64_t ids[16] = {0};
    int slot_of[16], n = (int)strlen(before), nfound = (int)strlen(found), left_out;

    for (int i = 0; i < n; i++) {
        bool is_free = before[i] == '.' || before[i] == '*';
        slots[i] = (abl_slot_seen_t){is_free ? 0 : (uint64_t)(before[i] | 0x20),
                                     before[i] == '*' || (before[i] >= 'A' && before[i] <= 'Z')};
        after[i] = '.';
    }
    for (int i = 0; i < nfound; i++) {
        ids[i] = (uint64_t)found[i];
    }
    left_out = abl_slots_assign(slots, n, ids, nfound, slot_of);
    for (int i = 0; i < nfound; i++) {
        if (slot_of[i] >= 0) {
            ck_assert_int_eq(after[slot_of[i]], '.');
            after[slot_of[i]] = found[i];
        }
    }
    (void)snprintf(after + n, sizeof(after) - (size_t)n, left_out > 0 ? " %d" : "", left_out);
    return after;
}

START_TEST(slots)
{
    static const struct {
        const char *before, *found, *after;
    } cases[] = {
        {"....", "ab", "ab.."},  {"ab..", "ba", "ab.."}, {"ab..", "bca", "abc."}, {"abc.", "ac", "a.c."},
        {"a.c.", "adc", "adc."}, {"ABc", "de", "e.d"},   {"Abc", "def", "fde"},   {"*..", "ab", ".ab"},
        {"*..", "abc", "cab"},   {"ab", "abc", "ab 1"},  {"ab", "cba", "ab 1"},   {"ab", "cd", "cd"},
        {"ab", "", ".."},        {"..", "abcd", "ab 2"}, {"a", "b", "b"},         {"A", "b", "b"},
        {"Ab.", "bc", ".bc"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_str_eq(assign(cases[i].before, cases[i].found), cases[i].after);
    }
}
END_TEST

static int read_ips(const char *text, abl_ip_t *ips)
{
    int n = 0;

    for (; text[n] != '\0'; n++) {
        char address[16];
        (void)snprintf(address, sizeof(address), "10.0.0.%d", text[n]);
        ck_assert(abl_ip_read(address, 80, &ips[n]));
    }
    return n;
}

static const char *merge(const char *before, const char *answer)
{
    static char after[ABL_ADDRESSES_MAX + 1];
    abl_ip_t ips[ABL_ADDRESSES_MAX], answers[64];
    int n = abl_slots_merge(ips, read_ips(before, ips), answers, read_ips(answer, answers));

    for (int i = 0; i < n; i++) {
        after[i] = (char)ips[i].bytes[3];
    }
    after[n] = '\0';
    return after;
}

START_TEST(order)
{
    ck_assert_str_eq(merge("", "ab"), "ab");
    ck_assert_str_eq(merge("ab", "ba"), "ab");
    ck_assert_str_eq(merge("ab", "cba"), "abc");
    ck_assert_str_eq(merge("abc", "dc"), "cd");
    ck_assert_str_eq(merge("ab", "cd"), "cd");
    ck_assert_str_eq(merge("", "aabba"), "ab");
    ck_assert_str_eq(merge("xyz", "abcdefghijklmnopqrstuvwxyz"), "xyzabcdefghijklm");
}
END_TEST

START_TEST(weights)
{
    abl_weighed_t some[] = {{.priority = 10, .weight = 3},
                            {.priority = 10, .weight = 1},
                            {.priority = 5},
                            {.priority = 5},
                            {.priority = 20, .weight = 0},
                            {.priority = 20, .weight = 9},
                            {.priority = 20, .weight = 9}};
    abl_weighed_t huge[64] = {{.weight = 65535}};
    abl_weighed_t deep[3] = {{.priority = 1}, {.priority = 2}, {.priority = 3}};

    abl_slots_weigh(some, COUNT(some), 4, 99);
    ck_assert_int_eq(some[0].share, 150);
    ck_assert_int_eq(some[1].share, 50);
    ck_assert_int_eq(some[2].share, 100); /* all of weight 0 are equal */
    ck_assert_int_eq(some[3].share, 100);
    ck_assert_int_eq(some[4].share, 1); /* weight 0 beside others */
    ck_assert_int_eq(some[5].share, 150);
    ck_assert_int_eq(some[2].set, 4);
    ck_assert_int_eq(some[0].set, 5);
    ck_assert_int_eq(some[6].set, 6);
    abl_slots_weigh(huge, COUNT(huge), 0, 99);
    ck_assert_int_eq(huge[0].share, 6400);
    ck_assert_int_eq(huge[1].share, 1);
    abl_slots_weigh(deep, COUNT(deep), 98, 99);
    ck_assert_int_eq(deep[0].set, 98);
    ck_assert_int_eq(deep[1].set, 99);
    ck_assert_int_eq(deep[2].set, 99);
}
END_TEST

START_TEST(addresses)
{
    char text[ABL_IP_TEXT];
    struct sockaddr_storage sa;
    abl_ip_t ip, back;

    ck_assert(abl_ip_read("10.0.0.3", 8080, &ip));
    ck_assert_str_eq(abl_ip_text(&ip, text), "10.0.0.3:8080");
    (void)abl_ip_to(&ip, &sa);
    ck_assert(abl_ip_from((struct sockaddr *)&sa, 8080, &back) && abl_ip_same(&ip, &back));
    ck_assert(abl_ip_read("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535, &ip));
    ck_assert_str_eq(abl_ip_text(&ip, text), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    (void)abl_ip_to(&ip, &sa);
    ck_assert(abl_ip_from((struct sockaddr *)&sa, 65535, &back) && abl_ip_same(&ip, &back));
    ck_assert(!abl_ip_read("app.internal", 80, &ip));
    ck_assert(!abl_ip_read("10.0.0", 80, &ip));
}
END_TEST

UNIT_MAIN("slots", slots, order, weights, addresses)
