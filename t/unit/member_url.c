/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of members: what is read, the one canonical text, and what is refused with which words.
 */
#include <sys/un.h>

#include <apr_general.h>

#include "base/member_url.h"
#include "unit.h"

typedef struct good_t {
    const char *written;
    const char *text;
    const char *host;
    const char *authority;
    const char *path;
    const char *socket_path;
    int port;
} good_t;

typedef struct bad_t {
    const char *written;
    const char *found; /* in the message: what was found, */
    const char *right; /* and what would be right or is wrong */
} bad_t;

static const good_t good[] = {
    {"http://localhost", "http://localhost:80", "localhost", "localhost", "", NULL, 80},
    {"http://localhost/", "http://localhost:80", "localhost", "localhost", "", NULL, 80},
    {"http://localhost:80", "http://localhost:80", "localhost", "localhost", "", NULL, 80},
    {"HTTP://LocalHOST:0080//", "http://localhost:80", "localhost", "localhost", "", NULL, 80},
    {"http://127.0.0.1:39564", "http://127.0.0.1:39564", "127.0.0.1", "127.0.0.1:39564", "", NULL, 39564},
    {"http://h:1", "http://h:1", "h", "h:1", "", NULL, 1},
    {"http://h:65535/", "http://h:65535", "h", "h:65535", "", NULL, 65535},
    {"http://a-b_c.d.:8080/Base/x/", "http://a-b_c.d.:8080/Base/x", "a-b_c.d.", "a-b_c.d.:8080", "/Base/x",
     NULL, 8080},
    {"http://h/base", "http://h:80/base", "h", "h", "/base", NULL, 80},
    {"http://h/base///", "http://h:80/base", "h", "h", "/base", NULL, 80},
    {"http://h/a//b|c@d:e", "http://h:80/a//b|c@d:e", "h", "h", "/a//b|c@d:e", NULL, 80},
    {"http://[::1]", "http://[::1]:80", "::1", "[::1]", "", NULL, 80},
    {"http://[::1]:80/base", "http://[::1]:80/base", "::1", "[::1]", "/base", NULL, 80},
    {"http://[2001:DB8:0:0::0001]:99/", "http://[2001:db8::1]:99", "2001:db8::1", "[2001:db8::1]:99", "",
     NULL, 99},
    {"unix:/run/app.sock|http://app", "unix:/run/app.sock|http://app", "app", "app", "", "/run/app.sock", 80},
    {"unix:/run/app.sock|http://app/", "unix:/run/app.sock|http://app", "app", "app", "", "/run/app.sock",
     80},
    {"UNIX:/Run/App|HTTP://APP/Base/", "unix:/Run/App|http://app/Base", "app", "app", "/Base", "/Run/App",
     80},
    {"unix:/a|http://app:81", "unix:/a|http://app:81", "app", "app:81", "", "/a", 81},
    {"https://h", "https://h:443", "h", "h", "", NULL, 443},
    {"HTTPS://H:443/b/", "https://h:443/b", "h", "h", "/b", NULL, 443},
    {"https://h:80", "https://h:80", "h", "h:80", "", NULL, 80},
    {"http://h:443", "http://h:443", "h", "h:443", "", NULL, 443},
    {"https://[::1]", "https://[::1]:443", "::1", "[::1]", "", NULL, 443},
    {"unix:/a|https://app", "unix:/a|https://app", "app", "app", "", "/a", 443},
    {"unix:/a|https://app:80", "unix:/a|https://app:80", "app", "app:80", "", "/a", 80},
    {"SRV:_HTTP._tcp.App.internal", "srv:_http._tcp.app.internal", "_http._tcp.app.internal", "app.internal",
     "", NULL, 0},
    {"srv:app.service.consul", "srv:app.service.consul", "app.service.consul", "app.service.consul", "", NULL,
     0},
};

static const bad_t bad[] = {
    {"", "empty", "http://host"},
    {"srv:", "missing", "srv:_http._tcp.domain"},
    {"srv:/base", "missing", "srv:_http._tcp.domain"},
    {"srv:_http._tcp.", "missing", "srv:_http._tcp.domain"},
    {"srv:_http._tcp.app:80", "has a ':'", "srv:_http._tcp.domain"},
    {"srv:http://app", "has a ':'", "srv:_http._tcp.domain"},
    {"srv:app#1", "host name", "letters"},
    {"srv:app/a#1", "fragment", "only a path"},
    {"srv:app/a/../b", "'..'", "without"},
    {"localhost", "neither", "http://host"},
    {"/path", "neither", "unix:"},
    {"//host", "neither", "http://host"},
    {"ws://h", "\"ws\"", "https://"},
    {"ws://h", "\"ws\"", "unix:"},
    {"https://", "no host", "http://host"},
    {"https://h:0", "port \"0\"", "1 to 65535"},
    {"fcgi://h:9000", "\"fcgi\"", "http://host"},
    {"httpx://h", "\"httpx\"", "http://host"},
    {"localhost:8080", "\"localhost\"", "http://host"},
    {"http://", "no host", "http://host"},
    {"http:///path", "no host", "http://host"},
    {"http://:80", "no host", "http://host"},
    {"http:/h", "no host", "http://host"},
    {"http:h", "", "http://host"},
    {"http://user@h", "user", "leave it out"},
    {"http://user:secret@h", "user", "leave it out"},
    {"http://@h", "user", "leave it out"},
    {"http://:secret@h", "user", "leave it out"},
    {"http://h?a=b", "\"?a=b\"", "only a path"},
    {"http://h/?", "\"?\"", "only a path"},
    {"http://h/p?a", "\"?a\"", "only a path"},
    {"http://h#f", "\"#f\"", "only a path"},
    {"http://h/#", "\"#\"", "only a path"},
    {"http://h:", "port \"\"", "1 to 65535"},
    {"http://h:/p", "port \"\"", "1 to 65535"},
    {"http://h:0", "port \"0\"", "1 to 65535"},
    {"http://h:65536", "port \"65536\"", "1 to 65535"},
    {"http://h:65616", "port \"65616\"", "1 to 65535"}, /* 80 in 16 bits */
    {"http://h:4294967376", "port \"4294967376\"", "1 to 65535"},
    {"http://h:http", "port \"http\"", "1 to 65535"},
    {"http://h:80x", "port \"80x\"", "1 to 65535"},
    {"http://h:-80", "port \"-80\"", "1 to 65535"},
    {"http://h:+80", "port \"+80\"", "1 to 65535"},
    {"http://h:0x50", "port \"0x50\"", "1 to 65535"},
    {"http://[::1]:0", "port \"0\"", "1 to 65535"},
    {"http://[::1]:", "port \"\"", "1 to 65535"},
    {"http://::1", "\"::1\"", "brackets"},
    {"http://2001:db8::1:80/", "\"2001:db8::1:80\"", "brackets"},
    {"http://[::1", "cannot be read", "http://host"},
    {"http://[]", "\"[]\"", "IPv6"},
    {"http://[::1]x", "::1", "IPv6"},
    {"http://[::1]x:80", "::1", "IPv6"},
    {"http://[1.2.3.4]", "1.2.3.4", "IPv6"},
    {"http://[h]", "\"[h]\"", "IPv6"},
    {"http://[fe80::1%25eth0]", "fe80", "IPv6"},
    {"http://a,b", "\"a,b\"", "host name"},
    {"http://a%20b", "\"a%20b\"", "host name"},
    {"http://\xc3\xa4", "\"\xc3\xa4\"", "host name"},
    {"http://a\\b", "\"a\\b\"", "host name"},
    {"http://a|b", "\"a|b\"", "host name"},
    {"http://999.1.1.1", "\"999.1.1.1\"", "IPv4"},
    {"http://1.2.3", "\"1.2.3\"", "IPv4"},
    {"http://h/a/../b", "\"/a/../b\"", "without"},
    {"http://h/./b", "\"/./b\"", "without"},
    {"http://h/a%zz", "\"/a%zz\"", "hexadecimal"},
    {"http://h/a%2", "\"/a%2\"", "hexadecimal"},
    {"http://a b", "space", "after 8"},
    {" http://a", "space", "after 0"},
    {"http://a ", "space", "after 8"},
    {"http://a\t", "control", "after 8"},
    {"http://a/\r\nX: y", "control", "after 9"},
    {"http://a/\x7f", "control", "after 9"},
    {"http://a/\x01", "control", "after 9"},
    {"unix:/a b|http://h", "space", "after 7"},
    {"unix:", "\"\"", "unix:/path"},
    {"unix:|http://h", "\"\"", "unix:/path"},
    {"unix:run/app|http://h", "\"run/app\"", "absolute"},
    {"unix:./app", "\"./app\"", "absolute"},
    {"unix:/run/app", "\"/run/app\"", "|http://name"},
    {"unix:/run/app|", "neither", "http://host"},
    {"unix:/run/app|app", "neither", "http://host"},
    {"unix:/run/app|http://", "no host", "http://host"},
    {"unix:/run/app|httpsx://h", "\"httpsx\"", "http://host"},
    {"unix:/run/app|fcgi://h", "\"fcgi\"", "http://host"},
    {"unix:/run/app|http://u:p@h", "user", "leave it out"},
    {"unix:/run/app|http://h?q", "\"?q\"", "only a path"},
    {"unix:/run/app|http://h#f", "\"#f\"", "only a path"},
    {"unix:/run/app|http://h:0", "port \"0\"", "1 to 65535"},
    {"unix:/a|unix:/b|http://h", "\"unix\"", "http://host"},
};

static apr_pool_t *open_pool(void)
{
    apr_pool_t *pool;

    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    return pool;
}

static void check_good(apr_pool_t *pool, const char *written, const good_t *expected)
{
    abl_member_url_t url;
    const char *why;

    memset(&url, 0x5a, sizeof(url));
    why = abl_member_url_parse(pool, written, &url);
    ck_assert_msg(!why, "%s: %s", written, why);
    ck_assert_str_eq(url.text, expected->text);
    ck_assert_str_eq(url.scheme, strstr(url.text, "https://") != NULL ? "https" : "http");
    ck_assert(url.tls == (strstr(url.text, "https://") != NULL));
    ck_assert_str_eq(url.host, expected->host);
    ck_assert_str_eq(url.authority, expected->authority);
    ck_assert_str_eq(url.path, expected->path);
    ck_assert_pstr_eq(url.socket_path, expected->socket_path);
    ck_assert_int_eq(url.port, expected->port);
}

START_TEST(reads_good_addresses)
{
    apr_pool_t *pool = open_pool();

    for (size_t i = 0; i < COUNT(good); i++) {
        check_good(pool, good[i].written, &good[i]);
        check_good(pool, good[i].text, &good[i]); /* the canonical text means itself */
    }
    apr_pool_destroy(pool);
}
END_TEST

START_TEST(knows_names)
{
    static const struct {
        const char *text;
        bool named, srv, tls;
    } cases[] = {{"http://app.internal", true, false, false}, {"https://app", true, false, true},
                 {"http://10.0.0.3:80", false, false, false}, {"http://[::1]", false, false, false},
                 {"unix:/a|http://app", false, false, false}, {"srv:_http._tcp.app", true, true, false},
                 {"srv:_https._tcp.app", true, true, true},   {"srv:_httpsx._tcp.app", true, true, false}};
    apr_pool_t *pool = open_pool();
    char longest[300] = "http://";

    for (size_t i = 0; i < COUNT(cases); i++) {
        abl_member_url_t url;
        ck_assert_ptr_null(abl_member_url_parse(pool, cases[i].text, &url));
        ck_assert_msg(url.named == cases[i].named && url.srv == cases[i].srv && url.tls == cases[i].tls, "%s",
                      cases[i].text);
        ck_assert_str_eq(url.scheme, url.tls ? "https" : "http");
    }
    memset(longest + 7, 'a', 254);
    ck_assert_ptr_nonnull(abl_member_url_parse(pool, longest, &(abl_member_url_t){.port = 0}));
    longest[7 + 253] = '\0';
    ck_assert_ptr_null(abl_member_url_parse(pool, longest, &(abl_member_url_t){.port = 0}));
    apr_pool_destroy(pool);
}
END_TEST

START_TEST(keeps_nothing_of_the_text)
{
    apr_pool_t *pool = open_pool();
    char written[] = "unix:/a|http://b:81/c";
    abl_member_url_t url;

    ck_assert_ptr_null(abl_member_url_parse(pool, written, &url));
    memset(written, '#', sizeof(written) - 1);
    ck_assert_str_eq(url.text, "unix:/a|http://b:81/c");
    ck_assert_str_eq(url.socket_path, "/a");
    ck_assert_str_eq(url.authority, "b:81");
    ck_assert_str_eq(url.path, "/c");
    apr_pool_destroy(pool);
}
END_TEST

START_TEST(refuses_bad_addresses)
{
    apr_pool_t *pool = open_pool();

    for (size_t i = 0; i < COUNT(bad); i++) {
        abl_member_url_t url;
        const char *why = abl_member_url_parse(pool, bad[i].written, &url);
        ck_assert_msg(why, "%s", bad[i].written);
        ck_assert_msg(strstr(why, bad[i].found), "%s: %s", bad[i].written, why);
        ck_assert_msg(strstr(why, bad[i].right), "%s: %s", bad[i].written, why);
        ck_assert_msg(!strstr(why, "secret"), "%s: %s", bad[i].written, why);
        for (const char *p = why; *p; p++) {
            ck_assert_msg((unsigned char)*p >= ' ' && *p != 0x7f, "%s", why);
        }
    }
    apr_pool_destroy(pool);
}
END_TEST

START_TEST(limits_the_socket_path)
{
    apr_pool_t *pool = open_pool();
    struct sockaddr_un un;
    char text[sizeof(un.sun_path) + 32] = "unix:/";
    abl_member_url_t url;

    memset(text + 6, 'x', sizeof(un.sun_path) - 1);
    strcpy(text + 5 + sizeof(un.sun_path) - 1, "|http://h"); /* one byte left for the NUL */
    ck_assert_ptr_null(abl_member_url_parse(pool, text, &url));
    ck_assert_uint_eq(strlen(url.socket_path), sizeof(un.sun_path) - 1);

    strcpy(text + 5 + sizeof(un.sun_path) - 1, "x|http://h");
    const char *why = abl_member_url_parse(pool, text, &url);
    ck_assert_ptr_nonnull(why);
    ck_assert_ptr_nonnull(strstr(why, "at most"));
    apr_pool_destroy(pool);
}
END_TEST

UNIT_MAIN("member_url", reads_good_addresses, knows_names, keeps_nothing_of_the_text, refuses_bad_addresses,
          limits_the_socket_path)
