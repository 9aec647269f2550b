/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange, step by step: the test plays the member, the client and the driver in one thread, so that
 * every order of events can be had. Each test ends with every lease given back.
 */
#include <sys/un.h>

#include "ledger/view.h"
#include "world.h"
#include "member_view.h"

/* ---- the straight path ------------------------------------------------------------------------------ */

START_TEST(a_request_and_its_answer)
{
    static const abl_h1_pair_t fields[] = {{"Accept", "*/*"}};
    world_t w;

    begin(&w, 1);
    w.request.head.fields = fields;
    w.request.head.nfields = 1;
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    ck_assert_str_eq(heard(fd), "GET /x?y HTTP/1.1\r\nHost: front\r\nAccept: */*\r\n\r\n");
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(w.seen, "{200}hello.");
    ck_assert_int_eq(abl_pool_idle(w.balancer.pools[0]), 1);
    end(&w);
}
END_TEST

START_TEST(answers_in_any_pieces)
{
    static const struct {
        const char *answer, *seen;
        bool close;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "{200}hello.", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
         "{200}hello<A: b>.", false},
        {"HTTP/1.0 200 OK\r\n\r\nhello", "{200}hello.", true},
        {"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "[103]{204}.", false},
        {"HTTP/1.1 304 Not\r\n\r\n", "{304}.", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        world_t w;
        begin(&w, 1);
        start(&w);
        int fd = listener_accept(&w.listeners[0]);
        bool waits = true;
        heard(fd); /* or closing would be a reset */
        for (const char *c = cases[i].answer; *c != '\0'; c++) {
            ck_assert(waits);
            ck_assert_int_eq(write(fd, c, 1), 1);
            waits = drive(&w);
        }
        ck_assert(waits == cases[i].close);
        close(fd);
        if (waits) {
            finish(&w);
        }
        ck_assert_str_eq(w.seen, cases[i].seen);
        ck_assert_int_eq(end(&w), ABL_END_OK);
        ck_assert_int_eq(abl_pool_idle(w.balancer.pools[0]), cases[i].close ? 0 : 1);
    }
}
END_TEST

START_TEST(a_head_that_is_too_long)
{
    static char filler[ABL_H1_HEAD_MAX];
    world_t w;

    begin(&w, 1);
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    memset(filler, 'a', sizeof(filler) - 1);
    say(fd, "HTTP/1.1 200 OK\r\nA: ");
    say(fd, filler);
    ck_assert_int_eq(finish(&w), ABL_END_BAD_ANSWER);
    end(&w);
}
END_TEST

START_TEST(a_connection_with_bytes_left_is_not_kept)
{
    world_t w;

    begin(&w, 1);
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n");
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(w.seen, "{200}a.");
    ck_assert_int_eq(abl_pool_idle(w.balancer.pools[0]), 0);
    end(&w);
}
END_TEST

/* ---- bodies ----------------------------------------------------------------------------------------- */

START_TEST(a_body_that_is_known_goes_with_the_head)
{
    world_t w;

    begin(&w, 1);
    put(&w, "POST", "abc", true);
    w.request.head.body = ABL_H1_REQUEST_LENGTH;
    w.request.head.length = 3;
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    ck_assert_str_eq(heard(fd), "POST /x?y HTTP/1.1\r\nHost: front\r\nContent-Length: 3\r\n\r\nabc");
    end(&w);
}
END_TEST

START_TEST(a_body_in_chunks_with_trailers)
{
    world_t w;

    begin(&w, 1);
    put(&w, "POST", "abc", false);
    w.request.head.body = ABL_H1_REQUEST_CHUNKED;
    w.upload = "|de|f";
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    heard(fd);
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what & ABL_READY_CLIENT_READ, ABL_READY_CLIENT_READ);
    ck_assert(run(&w, ABL_READY_CLIENT_READ));
    ck_assert_str_eq(heard(fd), "2\r\nde\r\n");
    ck_assert(run(&w, ABL_READY_CLIENT_READ));
    ck_assert_str_eq(heard(fd), "1\r\nf\r\n0\r\nX-Sum: 7\r\n\r\n");
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what & ABL_READY_CLIENT_READ, 0);
    end(&w);
}
END_TEST

START_TEST(a_body_must_keep_its_length)
{
    static const char *const uploads[] = {"ab", "abcdef"};

    for (size_t i = 0; i < COUNT(uploads); i++) {
        world_t w;
        begin(&w, 1);
        put(&w, "POST", "", false);
        w.request.head.body = ABL_H1_REQUEST_LENGTH;
        w.request.head.length = 4;
        w.upload = uploads[i];
        make(&w);
        while (run(&w, ABL_READY_MEMBER_WRITE)) {
        }
        ck_assert_int_eq(end(&w), ABL_END_CLIENT_BODY);
    }
}
END_TEST

START_TEST(both_directions_at_once)
{
    world_t w;

    begin(&w, 1);
    put(&w, "POST", "", false);
    w.request.head.body = ABL_H1_REQUEST_CHUNKED;
    w.upload = "|one||two|";
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    ck_assert(drive(&w));
    ck_assert_str_eq(w.seen, "{200}");
    ck_assert(run(&w, ABL_READY_CLIENT_READ));
    say(fd, "3\r\nONE\r\n");
    ck_assert(drive(&w));
    ck_assert_str_eq(w.seen, "{200}ONE");
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what & ABL_READY_CLIENT_READ, ABL_READY_CLIENT_READ);
    say(fd, "0\r\n\r\n");
    ck_assert(!drive(&w)); /* it has answered in full without having read all */
    ck_assert_int_eq(end(&w), ABL_END_OK);
    ck_assert_int_eq(abl_pool_idle(w.balancer.pools[0]), 0);
}
END_TEST

static void expect_begin(world_t *w, int *fd)
{
    begin(w, 1);
    put(w, "POST", "", false);
    w->request.head.body = ABL_H1_REQUEST_LENGTH;
    w->request.head.length = 4;
    w->request.head.expect = true;
    w->upload = "body";
    start(w);
    *fd = listener_accept(&w->listeners[0]);
    ck_assert_ptr_nonnull(strstr(heard(*fd), "Expect: 100-continue\r\n"));
}

START_TEST(the_body_waits_for_100)
{
    world_t w;
    int fd;

    expect_begin(&w, &fd);
    say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert(drive(&w));
    ck_assert_str_eq(heard(fd), "body");
    end(&w);
    expect_begin(&w, &fd); /* or for the time to be up */
    ck_assert(run(&w, ABL_READY_TIMEOUT));
    ck_assert_str_eq(heard(fd), "body");
    end(&w);
    expect_begin(&w, &fd); /* or it is not wanted */
    say(fd, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(heard(fd), "");
    ck_assert_int_eq(abl_pool_idle(w.balancer.pools[0]), 0);
    end(&w);
}
END_TEST

START_TEST(a_member_that_reads_nothing_gets_no_more_than_fits)
{
    static char big[16384];
    world_t w;

    begin(&w, 1);
    put(&w, "POST", "", false);
    w.request.head.body = ABL_H1_REQUEST_LENGTH;
    w.request.head.length = UINT64_C(1) << 40;
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 2] = '|';
    w.upload = big;
    start(&w);
    for (int i = 0; i < 10000; i++) { /* the same piece over and over, until the socket is full */
        if (abl_exchange_wait(w.x)->what & ABL_READY_MEMBER_WRITE) {
            break;
        }
        w.upload = big;
        ck_assert(run(&w, ABL_READY_CLIENT_READ));
    }
    end(&w);
}
END_TEST

/* ---- failing ---------------------------------------------------------------------------------------- */

START_TEST(refused_means_the_next_member)
{
    world_t w;

    begin(&w, 3);
    put(&w, "POST", "abc", true);
    w.request.head.body = ABL_H1_REQUEST_LENGTH;
    w.request.head.length = 3;
    close(w.listeners[0].fd);
    w.members[1].naddresses = 0; /* its name could not be resolved */
    start(&w);
    int fd = listener_accept(&w.listeners[2]);
    say(fd, OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_int_eq(w.retries, 2);
    end(&w);
}
END_TEST

START_TEST(the_next_address_of_the_same_member)
{
    world_t w;

    begin(&w, 2);
    close(w.listeners[0].fd);
    w.members[0].addresses[1] = w.members[1].addresses[0];
    w.members[0].naddresses = 2;
    start(&w);
    say(listener_accept(&w.listeners[1]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_int_eq(w.retries, 0);
    end(&w);
}
END_TEST

START_TEST(nobody_there)
{
    world_t w;

    begin(&w, 2);
    close(w.listeners[0].fd);
    close(w.listeners[1].fd);
    make(&w);
    if (run(&w, 0)) {
        finish(&w);
    }
    ck_assert_int_eq(end(&w), ABL_END_NO_MEMBER);
    ck_assert_str_eq(w.seen, "");
}
END_TEST

START_TEST(a_connect_that_takes_too_long)
{
    world_t w;

    begin(&w, 1);
    int full = w.listeners[0].fd;
    ck_assert_int_eq(listen(full, 0), 0);
    for (int i = 0; i < 8; i++) { /* until its backlog is full */
        struct sockaddr *sa = (struct sockaddr *)&w.members[0].addresses[0].sa;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fd, sa, w.members[0].addresses[0].len);
    }
    make(&w);
    ck_assert(run(&w, 0));
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what & ABL_READY_MEMBER_READ, 0);
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(end(&w), ABL_END_NO_MEMBER);
}
END_TEST

START_TEST(a_busy_unix_socket_is_waited_for)
{
    char folder[] = "/tmp/abl-unit-XXXXXX";
    struct sockaddr_un *sun;
    abl_address_t *to;
    world_t w;

    begin(&w, 1);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    to = &w.members[0].addresses[0];
    sun = (struct sockaddr_un *)&to->sa;
    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/s", folder);
    to->len = sizeof(*sun);
    int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)sun, sizeof(*sun)), 0);
    ck_assert_int_eq(listen(listening, 0), 0);
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(other, (struct sockaddr *)sun, sizeof(*sun)), 0); /* its backlog is full now */
    make(&w);
    for (int i = 0; i < 3; i++) {
        ck_assert(run(&w, i > 0 ? ABL_READY_TIMEOUT : 0));
        ck_assert_int_eq(abl_exchange_wait(w.x)->fd, -1);
        ck_assert(abl_exchange_wait(w.x)->deadline <= abl_clock_now() + ABL_BACKLOG_PAUSE);
    }
    close(accept(listening, NULL, NULL));
    ck_assert(run(&w, ABL_READY_TIMEOUT));
    say(accept(listening, NULL, NULL), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    end(&w);
    unlink(sun->sun_path);
    rmdir(folder);
}
END_TEST

/* Each of `n` members accepts and closes without a word. Returns how many were asked. */
static int close_on_all(world_t *w, int n)
{
    for (int i = 0; i < n; i++) {
        close(listener_accept(&w->listeners[i]));
        if (!drive(w)) {
            return i + 1;
        }
        until_sent(w, true);
    }
    return n;
}

START_TEST(an_idempotent_request_is_sent_again)
{
    world_t w;

    begin(&w, 2);
    start(&w);
    close(listener_accept(&w.listeners[0]));
    until_sent(&w, drive(&w));
    say(listener_accept(&w.listeners[1]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(w.seen, "{200}ok.");
    ck_assert_int_eq(w.retries, 1);
    end(&w);
}
END_TEST

#define HEAD_OF_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

/* Nobody has seen anything of an answer whose body has not begun. */
START_TEST(also_when_a_head_has_come)
{
    world_t w;
    int fd;

    begin(&w, 2);
    start(&w);
    fd = listener_accept(&w.listeners[0]);
    say(fd, HEAD_OF_5);
    ck_assert(drive(&w));
    ck_assert_str_eq(w.seen, "");
    ck_assert(abl_exchange_wait(w.x)->deadline <= abl_clock_now() + ABL_HEAD_PAUSE);
    close(fd);
    until_sent(&w, drive(&w));
    fd = listener_accept(&w.listeners[1]);
    say(fd, HEAD_OF_5);
    ck_assert(drive(&w));
    say(fd, "hello");
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(w.seen, "{200}hello.");
    ck_assert_int_eq(w.retries, 1);
    end(&w);
}
END_TEST

/* A body that takes its time does not hold its head up for long; what follows is an answer that ends short.
 */
START_TEST(a_head_waits_a_moment_for_its_body)
{
    world_t w;
    int fd;

    begin(&w, 2);
    start(&w);
    fd = listener_accept(&w.listeners[0]);
    say(fd, HEAD_OF_5);
    ck_assert(drive(&w));
    ck_assert_str_eq(w.seen, "");
    ck_assert(run(&w, ABL_READY_TIMEOUT));
    ck_assert_str_eq(w.seen, "{200}");
    ck_assert(abl_exchange_wait(w.x)->deadline > abl_clock_now() + ABL_HEAD_PAUSE);
    close(fd);
    ck_assert_int_eq(finish(&w), ABL_END_SHORT);
    ck_assert_int_eq(w.retries, 0);
    end(&w);
}
END_TEST

START_TEST(no_other_head_waits)
{
    static const struct {
        const char *method, *answer, *seen;
    } cases[] = {
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "{200}"},
        {"GET", "HTTP/1.1 200 OK\r\n\r\n", "{200}"},
        {"POST", HEAD_OF_5, "{200}"},
    };
    world_t w;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin(&w, 1);
        put(&w, cases[i].method, "", true);
        start(&w);
        say(listener_accept(&w.listeners[0]), cases[i].answer);
        ck_assert(drive(&w));
        ck_assert_str_eq(w.seen, cases[i].seen);
        end(&w);
    }
}
END_TEST

START_TEST(but_not_without_end)
{
    world_t w;

    begin(&w, 3);
    start(&w);
    ck_assert_int_eq(close_on_all(&w, 3), 3);
    ck_assert_int_eq(end(&w), ABL_END_BROKEN);
    begin(&w, 3);
    for (int i = 0; i < ABL_RETRY_BURST; i++) { /* nor when too much is failing */
        (void)abl_ledger_spend_retry(w.balancer.ledger);
    }
    start(&w);
    ck_assert_int_eq(close_on_all(&w, 1), 1);
    ck_assert_int_eq(end(&w), ABL_END_BROKEN);
}
END_TEST

START_TEST(a_post_is_sent_once)
{
    world_t w;

    begin(&w, 2);
    put(&w, "POST", "abc", true);
    w.request.head.body = ABL_H1_REQUEST_LENGTH;
    w.request.head.length = 3;
    start(&w);
    close(listener_accept(&w.listeners[0]));
    ck_assert_int_eq(finish(&w), ABL_END_BROKEN);
    ck_assert_int_eq(w.retries, 0);
    end(&w);
}
END_TEST

START_TEST(a_body_that_is_gone_cannot_be_sent_again)
{
    world_t w;

    begin(&w, 2);
    put(&w, "PUT", "abc", false);
    w.request.head.body = ABL_H1_REQUEST_CHUNKED;
    w.upload = "def|";
    start(&w);
    close(listener_accept(&w.listeners[0]));
    ck_assert_int_eq(finish(&w), ABL_END_BROKEN);
    end(&w);
}
END_TEST

/* Nothing is sent again that is not as it was. */
START_TEST(a_body_that_can_be_had_again_is_sent_again)
{
    world_t w;

    begin(&w, 2);
    put(&w, "PUT", "abc", false);
    w.request.head.body = ABL_H1_REQUEST_LENGTH;
    w.request.head.length = 6;
    w.request.rewindable = true;
    w.upload = w.all = "def";
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    ck_assert_ptr_nonnull(strstr(heard(fd), "\r\n\r\nabcdef"));
    close(fd);
    until_sent(&w, drive(&w));
    fd = listener_accept(&w.listeners[1]);
    ck_assert_ptr_nonnull(strstr(heard(fd), "\r\n\r\nabcdef"));
    say(fd, OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_int_eq(w.retries, 1);
    end(&w);
}
END_TEST

/* ---- BalancerRetry ---------------------------------------------------------------------------------- */

#define ANSWER_503 "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"

static void begin_retrying(world_t *w, int members, unsigned on)
{
    begin(w, members);
    w->balancer.retry.on = on;
}

START_TEST(only_what_is_wanted)
{
    static abl_balancer_view_t view;
    world_t w;

    begin_retrying(&w, 2, ABL_RETRY_503);
    start(&w);
    close(listener_accept(&w.listeners[0]));
    ck_assert_int_eq(finish(&w), ABL_END_BROKEN);
    end(&w);
    begin_retrying(&w, 2, ABL_RETRY_RESET);
    close(w.listeners[0].fd); /* refused */
    make(&w);
    while (run(&w, ABL_READY_MEMBER_WRITE)) {
    }
    ck_assert_int_eq(end(&w), ABL_END_NO_MEMBER);
    ck_assert_int_eq(w.retries, 0);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_uint_eq(member_view(w.segment, 0).failures, 1);
}
END_TEST

START_TEST(a_status_is_another_members_turn)
{
    static const struct {
        const char *method, *before, *seen;
        unsigned on;
        int members;
    } cases[] = {
        {"GET", "", "{200}ok.", ABL_RETRY_503, 2},
        {"GET", "", "{503}no.", ABL_RETRY_502 | ABL_RETRY_RESET, 2},
        {"GET", "", "{503}no.", ABL_RETRY_503, 1},
        {"POST", "", "{503}no.", ABL_RETRY_503, 2},
        {"GET", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", "[103]{503}no.", ABL_RETRY_503, 2},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        world_t w;
        begin_retrying(&w, cases[i].members, cases[i].on);
        put(&w, cases[i].method, "", true);
        start(&w);
        int fd = listener_accept(&w.listeners[0]);
        say(fd, cases[i].before);
        say(fd, ANSWER_503);
        if (cases[i].seen[1] == '2') {
            until_sent(&w, drive(&w));
            ck_assert_str_eq(w.seen, "");
            say(listener_accept(&w.listeners[1]), OK_ANSWER);
        }
        ck_assert_int_eq(finish(&w), ABL_END_OK);
        ck_assert_str_eq(w.seen, cases[i].seen);
        ck_assert_int_eq(w.retries, cases[i].seen[1] == '2');
        end(&w);
    }
}
END_TEST

/* A retry that did not come to pass costs nothing. */
START_TEST(nobody_else_is_no_retry)
{
    for (int i = 0; i < 2 * ABL_RETRY_BURST; i++) {
        static world_t w;
        if (i == 0) {
            begin_retrying(&w, 1, ABL_RETRY_503);
        }
        start(&w);
        int fd = listener_accept(&w.listeners[0]);
        say(fd, "HTTP/1.1 503 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        ck_assert_int_eq(finish(&w), ABL_END_OK);
        ck_assert_str_eq(w.seen, "{503}no.");
        end(&w);
        close(fd);
        if (i + 1 == 2 * ABL_RETRY_BURST) {
            for (int n = 0; n < ABL_RETRY_BURST; n++) {
                ck_assert(abl_ledger_spend_retry(w.balancer.ledger));
            }
        }
    }
}
END_TEST

START_TEST(no_answer_in_time_is_another_members_turn)
{
    world_t w;

    begin_retrying(&w, 2, ABL_RETRY_TIMEOUT);
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    until_sent(&w, run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(w.retries, 1);
    heard(fd);
    ck_assert_int_eq(read(fd, (char[1]){0}, 1), 0); /* it is told that nobody waits */
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(end(&w), ABL_END_TIMEOUT); /* each member once */
    begin_retrying(&w, 2, ABL_RETRY_TIMEOUT);
    w.balancer.retry.time = 1; /* its time is over by then */
    start(&w);
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(end(&w), ABL_END_TIMEOUT);
}
END_TEST

/* One request and its answer, so that a connection is kept; returns the member's end of it. */
static int keep_one(world_t *w)
{
    start(w);
    int fd = listener_accept(&w->listeners[0]);
    heard(fd);
    say(fd, OK_ANSWER);
    ck_assert_int_eq(finish(w), ABL_END_OK);
    end(w);
    ck_assert_int_eq(abl_pool_idle(w->balancer.pools[0]), 1);
    return fd;
}

START_TEST(a_stale_connection_is_replaced_once)
{
    world_t w;

    begin(&w, 1);
    int fd = keep_one(&w);
    start(&w);
    ck_assert_str_ne(heard(fd), ""); /* it was used */
    close(fd);
    until_sent(&w, drive(&w));
    fd = listener_accept(&w.listeners[0]);
    ck_assert_str_ne(heard(fd), "");
    say(fd, OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_int_eq(w.retries, 0);
    end(&w);
    start(&w);
    close(fd);
    until_sent(&w, drive(&w));
    close(listener_accept(&w.listeners[0])); /* a fresh one is no stale one */
    ck_assert_int_eq(finish(&w), ABL_END_BROKEN);
    end(&w);
}
END_TEST

START_TEST(a_post_gets_a_fresh_connection)
{
    world_t w;

    begin(&w, 1);
    int fd = keep_one(&w);
    put(&w, "POST", "", true);
    start(&w);
    ck_assert_str_eq(heard(fd), "");
    ck_assert_str_ne(heard(listener_accept(&w.listeners[0])), "");
    end(&w);
    put(&w, "PUT", "abc", false); /* nor could this be repeated: its body is not all here */
    w.request.head.body = ABL_H1_REQUEST_CHUNKED;
    w.upload = "def|";
    start(&w);
    ck_assert_str_eq(heard(fd), "");
    end(&w);
}
END_TEST

START_TEST(bad_and_broken_answers)
{
    static const struct {
        const char *answer;
        abl_end_t end;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", ABL_END_SHORT},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ABL_END_SHORT},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", ABL_END_SHORT},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n", ABL_END_SHORT},
        {"HTTP/1.1 200 OK\r\nContent-Le", ABL_END_BAD_ANSWER},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", ABL_END_BAD_ANSWER},
        {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", ABL_END_BAD_ANSWER},
        {"HTTP/1.1 103 Early\r\n\r\n", ABL_END_BAD_ANSWER},
        {"SSH-2.0-OpenSSH\r\n", ABL_END_BAD_ANSWER},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        world_t w;
        begin(&w, 2);
        start(&w);
        int fd = listener_accept(&w.listeners[0]);
        heard(fd);
        say(fd, cases[i].answer);
        close(fd);
        ck_assert_msg(finish(&w) == cases[i].end, "%s: %d", cases[i].answer,
                      abl_exchange_end(w.x, NULL, NULL, NULL));
        ck_assert_int_eq(w.retries, 0);
        end(&w);
    }
}
END_TEST

START_TEST(too_many_interim_answers)
{
    world_t w;

    begin(&w, 1);
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    for (int i = 0; i < ABL_INTERIM_MAX; i++) {
        say(fd, "HTTP/1.1 102 Processing\r\n\r\n");
        ck_assert(drive(&w));
    }
    say(fd, "HTTP/1.1 102 Processing\r\n\r\n");
    ck_assert_int_eq(finish(&w), ABL_END_BAD_ANSWER);
    end(&w);
}
END_TEST

START_TEST(silences)
{
    world_t w;

    begin(&w, 2);
    w.timeouts.response = 3 * ABL_SECOND;
    w.timeouts.gap = 2 * ABL_SECOND;
    int64_t before = abl_clock_now();
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    ck_assert(abl_exchange_wait(w.x)->deadline >= before + 3 * ABL_SECOND);
    int64_t deadline = abl_exchange_wait(w.x)->deadline;
    say(fd, "HTTP/1.1 200 OK\r\n");
    ck_assert(drive(&w));
    ck_assert_int_eq(abl_exchange_wait(w.x)->deadline, deadline); /* a head that trickles in gains no time */
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(end(&w), ABL_END_TIMEOUT);
    ck_assert_int_eq(w.retries, 0);
    start(&w);
    fd = listener_accept(&w.listeners[1]);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    ck_assert(drive(&w));
    ck_assert(abl_exchange_wait(w.x)->deadline <= abl_clock_now() + 2 * ABL_SECOND);
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(end(&w), ABL_END_SHORT);
}
END_TEST

START_TEST(the_client_leaves)
{
    world_t w;

    begin(&w, 1);
    start(&w);
    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    ck_assert_int_eq(end(&w), ABL_END_CLIENT_GONE);
    w.deliver = APR_ECONNABORTED;
    start(&w);
    close(listener_accept(&w.listeners[0])); /* the first request's */
    say(listener_accept(&w.listeners[0]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), GONE_AT_THE_END);
    end(&w);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused)
{
    static const abl_h1_pair_t fields[] = {{"A", "b\r\nInjected: c"}};
    world_t w;

    begin(&w, 1);
    w.request.head.fields = fields;
    w.request.head.nfields = 1;
    make(&w);
    if (run(&w, 0)) {
        finish(&w);
    }
    ck_assert_int_eq(end(&w), ABL_END_REFUSED);
}
END_TEST

/* ---- tunnels ---------------------------------------------------------------------------------------- */

START_TEST(a_tunnel)
{
    char byte;
    world_t w;

    begin(&w, 1);
    w.request.head.upgrade = "websocket";
    w.timeouts.tunnel = 90 * ABL_SECOND;
    w.upload = "|ping|";
    start(&w);
    int fd = listener_accept(&w.listeners[0]);
    ck_assert_ptr_nonnull(strstr(heard(fd), "Upgrade: websocket\r\n"));
    say(fd, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nhi");
    ck_assert(drive(&w));
    ck_assert_str_eq(w.seen, "{101}hi");
    ck_assert(abl_exchange_wait(w.x)->deadline > abl_clock_now() + 80 * ABL_SECOND);
    ck_assert(run(&w, ABL_READY_CLIENT_READ));
    ck_assert_str_eq(heard(fd), "ping");
    ck_assert(run(&w, ABL_READY_CLIENT_READ)); /* the client ends its side */
    ck_assert_int_eq(read(fd, &byte, 1), 0);
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what & ABL_READY_CLIENT_GONE, 0);
    ck_assert(abl_exchange_wait(w.x)->deadline < abl_clock_now() + ABL_HALF_CLOSED + ABL_SECOND);
    say(fd, "bye");
    ck_assert(drive(&w));
    close(fd);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(w.seen, "{101}hibye.");
    ck_assert_int_eq(abl_pool_idle(w.balancer.pools[0]), 0);
    end(&w);
}
END_TEST

START_TEST(a_tunnel_is_what_was_asked_for)
{
    static const struct {
        const char *asked, *answer;
        bool good;
    } cases[] = {
        {"websocket", "Upgrade: WebSocket\r\n", true},
        {"foo, bar", "Upgrade: bar\r\n", true},
        {"websocket", "Upgrade: h2c\r\n", false},
        {"websocket", "Upgrade: web\r\n", false},
        {"websocket", "", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        world_t w;
        begin(&w, 1);
        w.request.head.upgrade = cases[i].asked;
        w.upload = "|";
        start(&w);
        int fd = listener_accept(&w.listeners[0]);
        say(fd, "HTTP/1.1 101 Switching\r\n");
        say(fd, cases[i].answer);
        say(fd, "\r\n");
        ck_assert_msg(drive(&w) == cases[i].good, "%s", cases[i].answer);
        ck_assert_int_eq(end(&w), cases[i].good ? ABL_END_NONE : ABL_END_BAD_ANSWER);
    }
}
END_TEST

UNIT_MAIN("exchange", a_request_and_its_answer, answers_in_any_pieces, a_head_that_is_too_long,
          a_connection_with_bytes_left_is_not_kept, a_body_that_is_known_goes_with_the_head,
          a_body_in_chunks_with_trailers, a_body_must_keep_its_length, both_directions_at_once,
          the_body_waits_for_100, a_member_that_reads_nothing_gets_no_more_than_fits,
          refused_means_the_next_member, the_next_address_of_the_same_member, nobody_there,
          a_connect_that_takes_too_long, a_busy_unix_socket_is_waited_for,
          an_idempotent_request_is_sent_again, also_when_a_head_has_come, a_head_waits_a_moment_for_its_body,
          no_other_head_waits, but_not_without_end, a_post_is_sent_once,
          a_body_that_is_gone_cannot_be_sent_again, a_body_that_can_be_had_again_is_sent_again,
          only_what_is_wanted, a_status_is_another_members_turn, nobody_else_is_no_retry,
          no_answer_in_time_is_another_members_turn, a_stale_connection_is_replaced_once,
          a_post_gets_a_fresh_connection, bad_and_broken_answers, too_many_interim_answers, silences,
          the_client_leaves, what_cannot_be_written_is_refused, a_tunnel, a_tunnel_is_what_was_asked_for)
