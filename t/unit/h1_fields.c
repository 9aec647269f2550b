/* SPDX-License-Identifier: Apache-2.0
 *
 * Which field names are special, and how lists and values are read.
 */
#include "unit.h"
#include "wire/h1_fields.h"

typedef bool (*name_fn)(const char *name, size_t len);

static bool ask(name_fn fn, const char *name)
{
    size_t len = strlen(name);
    char *copy = unit_copy(name, len);
    bool answer = fn(copy, len);

    free(copy);
    return answer;
}

static void flip_case(char *name, unsigned mask)
{
    for (size_t i = 0; name[i]; i++) {
        bool letter = (name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z';
        if (letter && (mask >> (i % 8) & 1)) {
            name[i] ^= 0x20;
        }
    }
}

/* In any case, and not with a byte more, less or changed. */
static void check_name(name_fn fn, const char *name)
{
    char other[64];

    for (unsigned mask = 0; mask < 256; mask++) {
        strcpy(other, name);
        flip_case(other, mask);
        ck_assert_msg(ask(fn, other), "%s", other);
    }
    for (size_t i = 0; name[i]; i++) {
        strcpy(other, name);
        other[i] = '!';
        ck_assert_msg(!ask(fn, other), "%s", other);
    }
    strcpy(other, "x");
    ck_assert_msg(!ask(fn, strcat(other, name)), "%s", other);
    strcpy(other, name);
    other[strlen(name) - 1] = '\0';
    ck_assert_msg(!ask(fn, other), "%s", other);
}

static void check_whole_name(name_fn fn, const char *name)
{
    char longer[64];

    check_name(fn, name);
    strcpy(longer, name);
    ck_assert_msg(!ask(fn, strcat(longer, "x")), "%s", longer);
}

static void check_none(name_fn fn, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(!ask(fn, names[i]), "%s", names[i]);
    }
}

START_TEST(knows_hop_fields)
{
    static const char *const hop[] = {"Connection",
                                      "Keep-Alive",
                                      "Proxy-Connection",
                                      "Proxy-Authenticate",
                                      "Proxy-Authorization",
                                      "TE",
                                      "Transfer-Encoding",
                                      "Upgrade",
                                      "Proxy"};
    static const char *const others[] = {
        "",           "Trailer",         "Host", "Content-Length", "Expect",
        "Keep_Alive", "X-Forwarded-For", "Date", "Proxy-Status",   "Set-Cookie",
        "ET"};

    for (size_t i = 0; i < COUNT(hop); i++) {
        /* "Proxy" without its last letter and the like are no other name of the list */
        check_whole_name(abl_h1_field_is_hop, hop[i]);
    }
    check_none(abl_h1_field_is_hop, others, COUNT(others));
}
END_TEST

static const char *const forwarded[] = {"Forwarded", "X-Real-IP", "X_Real_IP", "X-Real_IP"};
static const char *const forwarded_any[] = {"X-Forwarded-", "X_Forwarded_", "X-Forwarded_", "X_Forwarded-"};

START_TEST(knows_forwarded_fields)
{
    static const char *const others[] = {
        "",         "X",   "X-Forwarded",    "Forwarded-For",   "X-Real-IPs",
        "Host",     "Via", "XForwarded-For", "X Forwarded-For", "Content-Type",
        "X.Real.IP"};

    for (size_t i = 0; i < COUNT(forwarded); i++) {
        check_whole_name(abl_h1_field_is_forwarded, forwarded[i]);
    }
    for (size_t i = 0; i < COUNT(forwarded_any); i++) {
        check_name(abl_h1_field_is_forwarded, forwarded_any[i]);
    }
    ck_assert(ask(abl_h1_field_is_forwarded, "X-Forwarded-For"));
    ck_assert(ask(abl_h1_field_is_forwarded, "x_forwarded_proto"));
    ck_assert(ask(abl_h1_field_is_forwarded, "X-FORWARDED-Some-Thing"));
    check_none(abl_h1_field_is_forwarded, others, COUNT(others));
}
END_TEST

START_TEST(knows_protected_fields)
{
    static const char *const whole[] = {"Host", "Transfer-Encoding", "Transfer_Encoding"};
    static const char *const others[] = {"",          "Connection",     "Content", "Contents",
                                         "Host-Name", "Keep-Alive",     "Upgrade", "TE",
                                         "Cookie",    "X-Content-Type", "Hos"};

    for (size_t i = 0; i < COUNT(whole); i++) {
        check_whole_name(abl_h1_field_is_protected, whole[i]);
    }
    for (size_t i = 0; i < COUNT(forwarded); i++) {
        check_whole_name(abl_h1_field_is_protected, forwarded[i]);
    }
    for (size_t i = 0; i < COUNT(forwarded_any); i++) {
        check_name(abl_h1_field_is_protected, forwarded_any[i]);
    }
    check_name(abl_h1_field_is_protected, "Content-");
    check_name(abl_h1_field_is_protected, "Content_");
    ck_assert(ask(abl_h1_field_is_protected, "Content-Length"));
    ck_assert(ask(abl_h1_field_is_protected, "content_type"));
    check_none(abl_h1_field_is_protected, others, COUNT(others));
}
END_TEST

static bool list_has(const char *list, const char *token)
{
    size_t len = strlen(list);
    char *copy = unit_copy(list, len);
    bool answer = abl_h1_list_has(copy, len, token);

    free(copy);
    return answer;
}

START_TEST(finds_list_elements)
{
    static const char *const lists[] = {"close",
                                        "CLOSE",
                                        "Close",
                                        " close ",
                                        "\tclose\t",
                                        "a,close",
                                        "a, close",
                                        "close,a",
                                        "close ,a",
                                        ",close",
                                        ",, ,close,,",
                                        "a,b ,\tclose, c",
                                        "close;q=1",
                                        "close ; q=1",
                                        "a;x=\"y,z\", close",
                                        "a;x=\"\\\",\", close",
                                        "closed, close",
                                        "xclose,close",
                                        "a;b,close"};

    for (size_t i = 0; i < COUNT(lists); i++) {
        ck_assert_msg(list_has(lists[i], "close"), "%s", lists[i]);
        ck_assert_msg(list_has(lists[i], "Close"), "%s", lists[i]);
        ck_assert_msg(!list_has(lists[i], "clos"), "%s", lists[i]);
        ck_assert_msg(!list_has(lists[i], "lose"), "%s", lists[i]);
    }
    ck_assert(list_has("Keep-Alive, Upgrade", "upgrade"));
    ck_assert(list_has("x", "X"));
}
END_TEST

START_TEST(finds_nothing_else)
{
    static const char *const lists[] = {
        "",        "clos",      "closed",    "xclose",  "close x", "x close",         "close=1",
        "a;close", "a;b=close", "\"close\"", "clo,se",  "close-x", "a;x=\",close,\"", "a;x=\"\\\",close\"",
        ",",       " ",         ";close",    "close\"", "cl\tose", "a;x=\",close"};

    for (size_t i = 0; i < COUNT(lists); i++) {
        ck_assert_msg(!list_has(lists[i], "close"), "%s", lists[i]);
    }
    ck_assert(!list_has("a_b", "a-b"));
    ck_assert(!list_has("@", "`")); /* only letters have two cases */
    ck_assert(!list_has("[", "{"));
}
END_TEST

START_TEST(checks_values)
{
    ck_assert(abl_h1_value_ok("", 0));
    ck_assert(abl_h1_value_ok(BYTES("a\tb c: \"d\" \xc3\xa4\xff")));
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 9; at++) {
            char value[] = "123456789";
            value[at] = (char)c;
            bool expected = c == '\t' || (c >= ' ' && c != 0x7f);
            ck_assert_msg(abl_h1_value_ok(value, 9) == expected, "byte %d", c);
            ck_assert(abl_h1_value_ok(value, at));
        }
    }
}
END_TEST

UNIT_MAIN("h1_fields", knows_hop_fields, knows_forwarded_fields, knows_protected_fields, finds_list_elements,
          finds_nothing_else, checks_values)
