/* SPDX-License-Identifier: Apache-2.0
 *
 * One check: what it asks, and what it makes of the answer. Members are threads of this process with sockets.
 */
#include "control/check.h"

#include "base/clock.h"
#include "unit.h"

#include <apr_general.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct server_t {
    int fd;
    const char *answer; /* NULL: closes at once */
    size_t len;
    bool slowly; /* a byte at a time */
    char asked[8192];
    size_t nasked;
    pthread_t thread;
} server_t;

static abl_check_conf_t conf;
static abl_address_t addresses[2];
static abl_target_t target;
static server_t server;

static void *serve(void *data)
{
    server_t *s = data;
    int fd = accept(s->fd, NULL, NULL);
    size_t i = 0;
    ssize_t n = 1;

    while (n > 0 && s->answer != NULL && strstr(s->asked, "\r\n\r\n") == NULL) {
        n = read(fd, s->asked + s->nasked, sizeof(s->asked) - 1 - s->nasked);
        s->nasked += n > 0 ? (size_t)n : 0;
        s->asked[s->nasked] = '\0';
    }
    while (i < s->len) {
        size_t piece = s->slowly ? 1 : s->len - i;
        n = send(fd, s->answer + i, piece, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        i += (size_t)n;
        if (s->slowly) {
            usleep(200);
        }
    }
    close(fd);
    return NULL;
}

static void make_address(abl_address_t *address, int *fd)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&address->sa;

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof(*address));
    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->len = sizeof(*sin);
    ck_assert_int_eq(bind(*fd, (struct sockaddr *)sin, address->len), 0);
    ck_assert_int_eq(getsockname(*fd, (struct sockaddr *)sin, &address->len), 0);
}

static void set_up(void)
{
    apr_initialize();
    memset(&server, 0, sizeof(server));
    conf = (abl_check_conf_t){.uri = "/health?x=1"};
    for (int status = 200; status < 400; status++) {
        conf.expect[status / 64] |= UINT64_C(1) << (status % 64);
    }
    target = (abl_target_t){.balancer = "b",
                            .address = "http://app:80/base",
                            .addresses = addresses,
                            .naddresses = 1,
                            .url = {.authority = "app", .path = "/base"},
                            .check = &conf};
    make_address(&addresses[0], &server.fd);
}

static void listen_with(const char *answer, size_t len)
{
    server.answer = answer;
    server.len = len;
    ck_assert_int_eq(listen(server.fd, 5), 0);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
}

/* Goes on until there is a verdict, 5 s at most. */
static abl_check_verdict_t run(abl_check_t *check)
{
    abl_check_verdict_t verdict = abl_check_begin(check, &target, abl_clock_now());
    int64_t until = abl_clock_now() + 5 * ABL_SECOND;

    while (verdict == ABL_CHECK_PENDING && abl_clock_now() < until) {
        struct pollfd pfd = {.fd = abl_check_fd(check), .events = POLLIN};
        (void)poll(&pfd, 1, 1);
        verdict = abl_check_go(check, abl_clock_now());
    }
    return verdict;
}

static void expect(const char *answer, size_t len, abl_check_verdict_t expected, const char *why)
{
    abl_check_t *check = abl_check_make(&target);
    abl_check_verdict_t verdict;
    int error;

    ck_assert_ptr_nonnull(check);
    listen_with(answer, len);
    verdict = run(check);
    ck_assert_msg(verdict == expected && strstr(abl_check_why(check, &error), why) != NULL,
                  "verdict %d, not %d: %s, not %s", verdict, expected, abl_check_why(check, &error), why);
    ck_assert_int_lt(abl_check_fd(check), 0);
    pthread_join(server.thread, NULL);
    close(server.fd);
    abl_check_free(check);
}

#define EXPECT(answer, expected, why)                                                                        \
    set_up();                                                                                                \
    expect(answer, sizeof(answer) - 1, expected, why)

START_TEST(statuses)
{
    EXPECT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ABL_CHECK_PASSED, "it answers");
    ck_assert_str_eq(server.asked, "GET /base/health?x=1 HTTP/1.1\r\nHost: app\r\nUser-Agent: mod_appbalance "
                                   "(check)\r\nConnection: close\r\n\r\n");
    EXPECT("HTTP/1.1 399 X\r\n\r\n", ABL_CHECK_PASSED, "it answers");
    EXPECT("HTTP/1.1 204 No Content\r\n\r\n", ABL_CHECK_PASSED, "it answers");
    EXPECT("HTTP/1.1 503 Service Unavailable\r\n\r\n", ABL_CHECK_FAILED, "its answer has the status 503");
    EXPECT("HTTP/1.1 400 X\r\n\r\n", ABL_CHECK_FAILED, "its answer has the status 400");
    EXPECT("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
           ABL_CHECK_PASSED, "it answers");
}
END_TEST

START_TEST(interim_answers)
{
    static char answer[4096];
    size_t len = 0;

    while (len < sizeof(answer) - 64) {
        len += (size_t)sprintf(answer + len, "HTTP/1.1 102 Wait\r\n\r\n");
    }
    set_up();
    expect(answer, len, ABL_CHECK_FAILED, "it sends interim answers without end");
}
END_TEST

START_TEST(bodies)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "4\r\nrea\n\r\n5;x=y\r\ndy: 7\r\n0\r\n\r\n";

    set_up();
    conf.body = "^dy: [0-9]$";
    server.slowly = true;
    expect(answer, sizeof(answer) - 1, ABL_CHECK_PASSED, "it answers");
    set_up();
    conf.body = "ready";
    expect(answer, sizeof(answer) - 1, ABL_CHECK_FAILED, "its body does not match");
    set_up();
    conf.body = "until the end";
    expect("HTTP/1.0 200 OK\r\n\r\nuntil \0the end", 34, ABL_CHECK_FAILED, "does not match");
    set_up();
    conf.body = "the end";
    expect("HTTP/1.0 200 OK\r\n\r\nuntil \0the end", 34, ABL_CHECK_PASSED, "it answers"); /* NUL is a byte */
}
END_TEST

/* What does not fit is not looked at, and is not waited for. */
START_TEST(long_bodies)
{
    static char answer[200000];
    int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");

    memset(answer + head, 'x', sizeof(answer) - (size_t)head);
    memcpy(answer + head + ABL_CHECK_BODY_MAX - 4, "needle", 6);
    set_up();
    conf.body = "need";
    expect(answer, sizeof(answer), ABL_CHECK_PASSED, "it answers");
    set_up();
    conf.body = "needle";
    expect(answer, sizeof(answer), ABL_CHECK_FAILED, "the first 8 kB of its body");
}
END_TEST

START_TEST(no_answers)
{
    EXPECT("nonsense\r\n\r\n", ABL_CHECK_FAILED, "");
    EXPECT("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", ABL_CHECK_FAILED, "its answer breaks off");
    EXPECT("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", ABL_CHECK_FAILED, "");
    EXPECT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ABL_CHECK_FAILED, "");
    set_up();
    expect(NULL, 0, ABL_CHECK_FAILED, "it ");
}
END_TEST

START_TEST(tcp)
{
    set_up();
    conf.uri = NULL;
    expect("", 0, ABL_CHECK_PASSED, "it accepts connections");
    ck_assert_uint_eq(server.nasked, 0);
}
END_TEST

START_TEST(introduces_itself)
{
    set_up();
    target.proxy = ABL_PROXY_V1;
    conf.host = "other.example";
    expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38, ABL_CHECK_PASSED, "it answers");
    ck_assert_ptr_eq(strstr(server.asked, "PROXY UNKNOWN\r\nGET /base/health"), server.asked);
    ck_assert_ptr_nonnull(strstr(server.asked, "\r\nHost: other.example\r\n"));
}
END_TEST

START_TEST(nobody)
{
    abl_check_t *check;
    int refusing, error;

    set_up();
    make_address(&addresses[1], &refusing);
    target.naddresses = 2;
    check = abl_check_make(&target);
    ck_assert_int_eq(run(check), ABL_CHECK_NOBODY);
    ck_assert_str_eq(abl_check_why(check, &error), "cannot connect");
    ck_assert_int_eq(error, ECONNREFUSED);
    abl_check_free(check);
    close(server.fd);
    set_up(); /* one of them is enough */
    addresses[1] = addresses[0];
    memcpy(&addresses[0], &(abl_address_t){.len = 0}, sizeof(addresses[0]));
    close(refusing);
    make_address(&addresses[0], &refusing);
    target.naddresses = 2;
    expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38, ABL_CHECK_PASSED, "it answers");
    close(refusing);
}
END_TEST

START_TEST(tls_that_cannot_be)
{
    abl_check_t *check;
    int error;

    set_up();
    target.url.tls = true;
    target.tls_conf = (abl_tls_conf_t){.name = "app", .ca = "/nowhere/ca.pem"};
    check = abl_check_make(&target);
    ck_assert_int_eq(run(check), ABL_CHECK_UNTRIED);
    ck_assert_ptr_nonnull(strstr(abl_check_why(check, &error), "tls-ca=/nowhere/ca.pem cannot be used"));
    abl_check_free(check);
    close(server.fd);
}
END_TEST

UNIT_MAIN("check", statuses, interim_answers, bodies, long_bodies, no_answers, tcp, introduces_itself, nobody,
          tls_that_cannot_be)
