/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange with members that take one request at a time: waiting for one, and what stays behind at a
 * member when nobody waits for its answer any more.
 */
#include "engine/orphans.h"
#include "ledger/view.h"
#include "world.h"
#include "member_view.h"

/* Members that take one request each; the queue has room for so many. */
static void begin_limited(world_t *w, int members, apr_uint32_t length)
{
    begin(w, members);
    for (int i = 0; i < members; i++) {
        w->members[i].concurrency = 1;
    }
    w->balancer.queue.length = length;
    w->balancer.queue.per_client = 1;
    join(w);
}

/* Takes what the members have, one each. */
static void occupy(world_t *w)
{
    abl_want_t want = {.only = -1};
    abl_ticket_t *ticket;
    int member;

    for (int i = 0; i < w->balancer.nmembers; i++) {
        ck_assert_int_eq(abl_ledger_take(w->balancer.ledger, &want, &member, &ticket), APR_SUCCESS);
    }
}

static void vacate(world_t *w, int member)
{
    abl_ledger_give(w->balancer.ledger, member, NULL);
}

static bool is_queued(world_t *w)
{
    return abl_exchange_wait(w->x)->queued && abl_ledger_head_age(w->balancer.ledger) > 0;
}

static void queue(world_t *w)
{
    make(w);
    ck_assert(run(w, 0));
    ck_assert(is_queued(w));
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

START_TEST(waits_and_is_served)
{
    world_t w;

    begin_limited(&w, 1, 10);
    occupy(&w);
    int64_t before = abl_clock_now();
    queue(&w);
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what, ABL_READY_MEMBER_READ | ABL_READY_CLIENT_GONE);
    ck_assert(abl_exchange_wait(w.x)->deadline >= before + ABL_SECOND);
    ck_assert(run(&w, ABL_READY_MEMBER_READ)); /* rung for in vain */
    ck_assert(is_queued(&w));
    vacate(&w, 0);
    until_sent(&w, drive(&w));
    ck_assert(!abl_exchange_wait(w.x)->queued);
    say(listener_accept(&w.listeners[0]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    end(&w);
}
END_TEST

START_TEST(its_time_is_over)
{
    world_t w;

    begin_limited(&w, 1, 10);
    occupy(&w);
    queue(&w);
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    ck_assert_int_eq(abl_ledger_head_age(w.balancer.ledger), 0);
    vacate(&w, 0);
    ck_assert_int_eq(end(&w), ABL_END_QUEUE_TIMEOUT);
}
END_TEST

/* BalancerRetry's time is for tries; what the queue takes has BalancerQueue's. */
START_TEST(a_retry_waits_as_long_as_anybody)
{
    abl_want_t want = {.only = 1};
    abl_ticket_t *ticket;
    world_t w;
    int member;

    begin_limited(&w, 2, 10);
    w.balancer.retry.time = ABL_SECOND / 10;
    ck_assert_int_eq(abl_ledger_take(w.balancer.ledger, &want, &member, &ticket), APR_SUCCESS);
    ck_assert_int_eq(member, 1);
    start(&w);
    close(listener_accept(&w.listeners[0]));
    ck_assert(drive(&w));
    ck_assert(is_queued(&w));
    usleep(200 * 1000); /* longer than time= */
    vacate(&w, 1);
    until_sent(&w, drive(&w));
    say(listener_accept(&w.listeners[1]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_int_eq(w.retries, 1);
    end(&w);
}
END_TEST

START_TEST(a_grant_in_the_last_moment_counts)
{
    world_t w;

    begin_limited(&w, 1, 10);
    occupy(&w);
    queue(&w);
    vacate(&w, 0);
    until_sent(&w, run(&w, ABL_READY_TIMEOUT));
    say(listener_accept(&w.listeners[0]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    end(&w);
}
END_TEST

START_TEST(who_has_to_wait_again_gains_no_time)
{
    world_t w;

    begin_limited(&w, 2, 10);
    occupy(&w);
    queue(&w);
    int64_t deadline = abl_exchange_wait(w.x)->deadline;
    close(w.listeners[0].fd);
    vacate(&w, 0);
    do {
        ck_assert(drive(&w));
    } while (w.retries == 0 && !is_queued(&w));
    ck_assert(is_queued(&w));
    ck_assert_int_eq(abl_exchange_wait(w.x)->deadline, deadline);
    vacate(&w, 1);
    until_sent(&w, drive(&w));
    ck_assert_int_eq(w.retries, 1);
    say(listener_accept(&w.listeners[1]), OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    end(&w);
}
END_TEST

START_TEST(there_is_nothing_left_to_wait_for)
{
    world_t w;
    abl_balancer_t changed, *balancer = &changed;
    int left_out;

    begin_limited(&w, 1, 10);
    occupy(&w);
    queue(&w);
    changed = w.balancer;
    w.members[0].status = ABL_STATUS_DISABLED;
    ck_assert_int_eq(abl_balancers_configure(w.segment, &balancer, 1, w.pool, &left_out), APR_SUCCESS);
    ck_assert_int_eq(finish(&w), ABL_END_NO_MEMBER);
    vacate(&w, 0);
    end(&w);
}
END_TEST

START_TEST(the_client_leaves_the_queue)
{
    world_t w;

    begin_limited(&w, 1, 10);
    occupy(&w);
    queue(&w);
    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    abl_exchange_close(w.x);
    ck_assert_int_eq(abl_ledger_head_age(w.balancer.ledger), 0);
    ck_assert_int_eq(abl_orphans_count(), 0);
}
END_TEST

START_TEST(there_is_no_room_to_wait)
{
    world_t w;

    begin_limited(&w, 1, 2);
    occupy(&w);
    w.request.want.client = 7;
    queue(&w);
    make(&w);
    ck_assert(!run(&w, 0));
    ck_assert_int_eq(abl_exchange_end(w.x, NULL, NULL, NULL), ABL_END_CLIENT_QUEUE_FULL);
    w.request.want.client = 8;
    queue(&w);
    w.request.want.client = 9;
    make(&w);
    ck_assert(!run(&w, 0));
    ck_assert_int_eq(abl_exchange_end(w.x, NULL, NULL, NULL), ABL_END_QUEUE_FULL);
}
END_TEST

/* ---- orphans ---------------------------------------------------------------------------------------- */

/* Begins a request, up to where its answer is awaited. Returns the member's end of the connection. */
static int begin_asked(world_t *w)
{
    begin_limited(w, 1, 10);
    start(w);
    return listener_accept(&w->listeners[0]);
}

/* The exchange is over, and the member does not know. Returns the ticket of who waits for its place. */
static abl_ticket_t *is_orphaned(world_t *w, abl_end_t how)
{
    abl_want_t want = {.only = -1};
    abl_ticket_t *next;
    int member;

    ck_assert_int_eq(abl_exchange_end(w->x, NULL, NULL, NULL), how);
    abl_exchange_close(w->x);
    ck_assert_int_eq(abl_orphans_count(), 1);
    ck_assert_int_eq(abl_ledger_take(w->balancer.ledger, &want, &member, &next), APR_EINPROGRESS);
    return next;
}

/* Now it does: its place is the next one's. */
static void is_over(world_t *w, abl_ticket_t *next)
{
    struct pollfd pfd = {abl_ticket_fd(next), POLLIN, 0};
    char verdict[ABL_CHECK_MAX];
    int member;

    ck_assert_int_eq(poll(&pfd, 1, 3000), 1);
    ck_assert_int_eq(abl_ledger_collect(w->balancer.ledger, &next, &member), APR_SUCCESS);
    vacate(w, member);
    ck_assert_uint_eq(abl_ledger_busy(w->balancer.ledger, 0), 0);
    ck_assert(abl_ledger_check(w->segment, verdict));
}

START_TEST(the_client_leaves_and_the_member_answers)
{
    world_t w;
    int fd = begin_asked(&w);

    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_CLIENT_GONE);
    say(fd, OK_ANSWER);
    is_over(&w, next);
}
END_TEST

START_TEST(the_client_leaves_and_the_member_closes)
{
    world_t w;
    int fd = begin_asked(&w);

    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_CLIENT_GONE);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    close(fd);
    is_over(&w, next);
}
END_TEST

START_TEST(the_client_leaves_and_the_answer_has_no_body)
{
    world_t w;
    int fd;

    begin_limited(&w, 1, 10);
    w.request.head.method = "HEAD";
    w.request.to_head = true;
    start(&w);
    fd = listener_accept(&w.listeners[0]);
    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_CLIENT_GONE);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    is_over(&w, next);
}
END_TEST

START_TEST(the_client_leaves_in_the_middle_of_the_answer)
{
    world_t w;
    int fd = begin_asked(&w);

    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    ck_assert(drive(&w));
    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_CLIENT_GONE);
    say(fd, "world");
    is_over(&w, next);
}
END_TEST

START_TEST(the_client_does_not_take_what_has_come)
{
    world_t w;
    int fd = begin_asked(&w);

    w.deliver = APR_ECONNABORTED;
    say(fd, OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_CLIENT_GONE);
    abl_exchange_close(w.x);
    ck_assert_uint_eq(abl_ledger_busy(w.balancer.ledger, 0), 0); /* nothing more will come */
}
END_TEST

START_TEST(the_answer_takes_too_long)
{
    static abl_balancer_view_t view;
    world_t w;
    int fd = begin_asked(&w);

    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_TIMEOUT);
    say(fd, OK_ANSWER);
    is_over(&w, next);
    ck_assert(abl_view_balancer(w.segment, 1, &view));
    ck_assert_uint_eq(member_view(w.segment, 0).failures, 1); /* that it came at last makes it no better */
}
END_TEST

/* The request goes on elsewhere; its first member keeps its place until it has answered. */
START_TEST(the_answer_takes_too_long_and_another_member_gives_one)
{
    static const char *const afterwards[] = {"", "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhalf"};

    for (size_t i = 0; i < 2; i++) {
        char verdict[ABL_CHECK_MAX];
        world_t w;
        begin_limited(&w, 2, 10);
        w.balancer.retry.on = ABL_RETRY_TIMEOUT | ABL_RETRY_503;
        start(&w);
        int fd = listener_accept(&w.listeners[0]);
        heard(fd);
        say(fd, afterwards[i]);
        until_sent(&w, i == 0 ? run(&w, ABL_READY_TIMEOUT) : drive(&w));
        ck_assert_int_eq(abl_orphans_count(), 1);
        say(listener_accept(&w.listeners[1]), OK_ANSWER);
        ck_assert_int_eq(finish(&w), ABL_END_OK);
        ck_assert_str_eq(w.seen, "{200}ok.");
        abl_exchange_close(w.x);
        apr_pool_clear(w.pool); /* the orphan needs nothing of it; the ledger's view was copied */
        ck_assert_uint_eq(abl_ledger_busy(w.balancer.ledger, 0), 1);
        ck_assert_uint_eq(abl_ledger_busy(w.balancer.ledger, 1), 0);
        ck_assert(abl_ledger_check(w.segment, verdict));
        close(fd);
        for (int n = 0; n < 300 && abl_orphans_count() > 0; n++) {
            (void)poll(NULL, 0, 10);
        }
        ck_assert_int_eq(abl_orphans_count(), 0);
        ck_assert_uint_eq(abl_ledger_busy(w.balancer.ledger, 0), 0);
        ck_assert(abl_ledger_check(w.segment, verdict));
    }
}
END_TEST

START_TEST(the_answer_stops_in_the_middle)
{
    world_t w;
    int fd = begin_asked(&w);

    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    ck_assert(drive(&w));
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_SHORT);
    close(fd);
    is_over(&w, next);
}
END_TEST

START_TEST(the_rest_of_the_request_does_not_come)
{
    char byte;
    world_t w;
    int fd;

    begin_limited(&w, 1, 10);
    put(&w, "POST", "begin", false);
    w.upload = "|";
    make(&w);
    ck_assert(run(&w, 0));
    while (!(abl_exchange_wait(w.x)->what & ABL_READY_CLIENT_READ)) {
        ck_assert(drive(&w));
    }
    fd = listener_accept(&w.listeners[0]);
    ck_assert(!run(&w, ABL_READY_TIMEOUT));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_CLIENT_BODY);
    ck_assert_ptr_nonnull(strstr(heard(fd), "begin"));
    ck_assert_int_eq(read(fd, &byte, 1), 0); /* the member is told, and need not wait for it */
    close(fd);
    is_over(&w, next);
}
END_TEST

START_TEST(an_answer_that_nobody_understands)
{
    world_t w;
    int fd = begin_asked(&w);

    say(fd, "HTTP/1.1 two hundred\r\n\r\n");
    finish(&w);
    abl_ticket_t *next = is_orphaned(&w, ABL_END_BAD_ANSWER);
    close(fd); /* it has no other end */
    is_over(&w, next);
}
END_TEST

START_TEST(a_tunnel_until_the_member_closes)
{
    world_t w;
    int fd;

    begin_limited(&w, 1, 10);
    w.request.head.upgrade = "websocket";
    w.upload = "|";
    start(&w);
    fd = listener_accept(&w.listeners[0]);
    say(fd, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n");
    ck_assert(drive(&w));
    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    abl_ticket_t *next = is_orphaned(&w, ABL_END_CLIENT_GONE);
    close(fd);
    is_over(&w, next);
}
END_TEST

START_TEST(nothing_stays_behind)
{
    world_t w;
    int fd = begin_asked(&w);

    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    close(fd); /* the member itself broke it off */
    ck_assert_int_eq(finish(&w), ABL_END_SHORT);
    ck_assert_int_eq(end(&w), ABL_END_SHORT);

    begin(&w, 1); /* no limit: nobody waits for its place */
    start(&w);
    ck_assert(!run(&w, ABL_READY_CLIENT_GONE));
    ck_assert_int_eq(end(&w), ABL_END_CLIENT_GONE);
    ck_assert_int_eq(abl_orphans_count(), 0);
}
END_TEST

UNIT_MAIN("exchange_queue", waits_and_is_served, its_time_is_over, a_retry_waits_as_long_as_anybody,
          a_grant_in_the_last_moment_counts, who_has_to_wait_again_gains_no_time,
          there_is_nothing_left_to_wait_for, the_client_leaves_the_queue, there_is_no_room_to_wait,
          the_client_leaves_and_the_member_answers, the_client_leaves_and_the_member_closes,
          the_client_leaves_and_the_answer_has_no_body, the_client_leaves_in_the_middle_of_the_answer,
          the_client_does_not_take_what_has_come, the_answer_takes_too_long,
          the_answer_takes_too_long_and_another_member_gives_one, the_answer_stops_in_the_middle,
          the_rest_of_the_request_does_not_come, an_answer_that_nobody_understands,
          a_tunnel_until_the_member_closes, nothing_stays_behind)
