/* SPDX-License-Identifier: Apache-2.0
 *
 * Is an instance ready? This process is the instance, or the stranger.
 */
#include <apr_general.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/probe.h"
#include "unit.h"

static int listener;
static int ports[1];
static abl_app_conf_t app;
static abl_probe_t probe;

/* Somebody listens; or has just ceased to, so that nobody does. */
static void begin(const char *ready_uri, bool listens)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sin, len), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ports[0] = ntohs(sin.sin_port);
    if (!listens) {
        close(listener);
    }
    app = (abl_app_conf_t){.place = ABL_PLACE_PORT, .ports = ports, .nslots = 1, .ready_uri = ready_uri};
    memset(&probe, 0, sizeof(probe));
}

static abl_probe_verdict_t look(void)
{
    return abl_probe_look(&probe, &app, 0, getpgrp(), abl_clock_now());
}

/* Looks until it is something else than NOT_YET, or for a while. */
static abl_probe_verdict_t look_long(void)
{
    abl_probe_verdict_t verdict = look();

    for (int i = 0; i < 200 && verdict == ABL_PROBE_NOT_YET; i++) {
        usleep(1000);
        verdict = look();
    }
    return verdict;
}

/* Takes the request of the connection that is there, and answers. */
static void answer(const char *text)
{
    char request[4096];
    int fd = accept(listener, NULL, NULL);
    ssize_t n = read(fd, request, sizeof(request) - 1);

    ck_assert_int_gt((int)n, 0);
    request[n] = '\0';
    ck_assert_ptr_nonnull(strstr(request, "GET /health HTTP/1.1\r\nHost: localhost\r\n"));
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

/* Until the request is sent. */
static void ask(void)
{
    for (int i = 0; i < 1000 && !probe.sent; i++) {
        ck_assert_int_eq(look(), ABL_PROBE_NOT_YET);
    }
    ck_assert(probe.sent);
}

START_TEST(nobody)
{
    begin(NULL, false);
    ck_assert_int_eq(look(), ABL_PROBE_NOT_YET);
    ck_assert_int_eq(look(), ABL_PROBE_NOT_YET);
    ck_assert_int_eq(probe.fd_plus_one, 0);
}
END_TEST

START_TEST(who_accepts_is_ready)
{
    begin(NULL, true);
    ck_assert_int_eq(look_long(), ABL_PROBE_READY);
    ck_assert_int_eq(probe.fd_plus_one, 0);
}
END_TEST

START_TEST(unless_it_is_another)
{
    pid_t other = getpgrp() == 1 ? 2 : 1; /* a group that this process does not descend from */

    begin("/health", true);
    for (int i = 0; i < 200; i++) {
        abl_probe_verdict_t verdict = abl_probe_look(&probe, &app, 0, INT32_MAX - other, abl_clock_now());
        ck_assert_int_ne(verdict, ABL_PROBE_READY);
        ck_assert(!probe.sent); /* a stranger is not even asked */
        if (verdict == ABL_PROBE_STRANGER) {
            return;
        }
        usleep(1000);
    }
    ck_abort_msg("the stranger was not noticed");
}
END_TEST

START_TEST(what_it_answers)
{
    static const struct {
        const char *text;
        abl_probe_verdict_t verdict;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ABL_PROBE_READY},
        {"HTTP/1.0 302 Found\r\n\r\nbody", ABL_PROBE_READY},
        {"HTTP/1.1 503 Wait\r\n\r\n", ABL_PROBE_NOT_YET},
        {"HTTP/1.1 404 Not Found\r\n\r\n", ABL_PROBE_NOT_YET},
        {"HTTP/1.1 100 Continue\r\n\r\n", ABL_PROBE_NOT_YET},
        {"220 smtp.example ESMTP\r\n", ABL_PROBE_NOT_YET},
        {"HTTP/1.1 200 OK\r\n", ABL_PROBE_NOT_YET}, /* and the connection ends */
        {"x", ABL_PROBE_NOT_YET},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        begin("/health", true);
        ask();
        answer(cases[i].text);
        if (cases[i].verdict == ABL_PROBE_READY) {
            ck_assert_int_eq(look_long(), ABL_PROBE_READY);
        } else {
            for (int k = 0; k < 200 && probe.fd_plus_one != 0; k++) {
                ck_assert_int_eq(look(), ABL_PROBE_NOT_YET);
                usleep(probe.fd_plus_one != 0 ? 1000 : 0);
            }
        }
        abl_probe_end(&probe);
        close(listener);
    }
}
END_TEST

START_TEST(too_much_is_no_answer)
{
    char *text = malloc(20000);

    begin("/health", true);
    memset(text, 'a', 19999);
    memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
    memcpy(text + 19995, "\r\n\r\n", 4); /* whole, but longer than a head that is read */
    text[19999] = '\0';
    ask();
    answer(text);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(look(), ABL_PROBE_NOT_YET);
    }
    abl_probe_end(&probe);
    free(text);
}
END_TEST

/* Whoever does not answer is asked anew. */
START_TEST(no_answer)
{
    int64_t now = abl_clock_now();
    int first;

    begin("/health", true);
    ask();
    first = accept(listener, NULL, NULL);
    ck_assert_int_eq(abl_probe_look(&probe, &app, 0, getpgrp(), now + 6 * ABL_SECOND), ABL_PROBE_NOT_YET);
    ask();
    answer("HTTP/1.1 200 OK\r\n\r\n");
    ck_assert_int_eq(look_long(), ABL_PROBE_READY);
    close(first);
}
END_TEST

START_TEST(a_socket_that_was_handed_over_accepts_anyway)
{
    begin(NULL, true);
    app.place = ABL_PLACE_FD;
    ck_assert_int_eq(look(), ABL_PROBE_READY);
}
END_TEST

UNIT_MAIN("probe", nobody, who_accepts_is_ready, unless_it_is_another, what_it_answers, too_much_is_no_answer,
          no_answer, a_socket_that_was_handed_over_accepts_anyway)
