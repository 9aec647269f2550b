/* SPDX-License-Identifier: Apache-2.0
 *
 * Idle connections: which are kept, for how long, and which are not given out again.
 */
#include "engine/pool.h"
#include "engine/sweeper.h"
#include "listener.h"
#include "somebody.h"

/* A connection to it; *other: its end of it. */
static abl_conn_t *connect_to(listener_t *l, int64_t now, int *other)
{
    abl_conn_t *conn;
    apr_status_t rv = abl_conn_open(&l->member, &l->member.addresses[0], now, &conn);

    ck_assert(rv == APR_SUCCESS || APR_STATUS_IS_EINPROGRESS(rv));
    *other = listener_accept(l);
    ck_assert_int_eq(abl_conn_connected(conn), APR_SUCCESS);
    return conn;
}

START_TEST(the_newest_is_used_first)
{
    listener_t l;
    int other[2];
    int64_t now = abl_clock_now();

    listener_open(&l);
    abl_pool_t *pool = abl_pool_create(&l.member);
    abl_conn_t *a = connect_to(&l, now, &other[0]), *b = connect_to(&l, now, &other[1]);
    abl_conn_t *first = a, *second = b;
    abl_pool_put(pool, &a, now);
    abl_pool_put(pool, &b, now);
    ck_assert_ptr_null(a);
    ck_assert_int_eq(abl_pool_idle(pool), 2);
    ck_assert_ptr_eq(abl_pool_take(pool, now), second);
    ck_assert_ptr_eq(abl_pool_take(pool, now), first);
    ck_assert_ptr_null(abl_pool_take(pool, now));
    ck_assert(first->reused);
    abl_conn_close(&first);
    abl_conn_close(&second);
}
END_TEST

START_TEST(no_more_than_idle_max)
{
    listener_t l;
    int other[3];
    char byte;
    int64_t now = abl_clock_now();

    listener_open(&l);
    abl_pool_t *pool = abl_pool_create(&l.member);
    for (int i = 0; i < 3; i++) {
        abl_conn_t *conn = connect_to(&l, now, &other[i]);
        abl_pool_put(pool, &conn, now);
        ck_assert_ptr_null(conn);
    }
    ck_assert_int_eq(abl_pool_idle(pool), 2);
    ck_assert_int_eq(read(other[2], &byte, 1), 0); /* the third was closed */
}
END_TEST

static void wait_for_answer(abl_loop_t *loop, abl_conn_t *conn, int other)
{
    somebody_t s;
    bool more;

    begin(&s, conn->fd, EPOLLIN, -1, 0);
    s.waiter.line = &conn->line;
    s.in = loop;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert_int_eq(write(other, "x", 1), 1);
    ck_assert(was_called(&s, 5000));
    ck_assert_int_eq(abl_conn_read(conn, &more), APR_SUCCESS);
    conn->start = conn->end;
}

static bool is_loud(void *conn)
{
    return !abl_loop_is_quiet(&((abl_conn_t *)conn)->line, ((abl_conn_t *)conn)->fd, abl_clock_now());
}

START_TEST(what_a_loop_has_watched_is_not_looked_at_twice)
{
    listener_t l;
    int other[3];
    int64_t now = abl_clock_now();
    abl_conn_t *quiet = NULL;

    start();
    listener_open(&l);
    l.member.idle_max = 3;
    abl_pool_t *pool = abl_pool_create(&l.member);
    for (int i = 0; i < 3; i++) {
        abl_conn_t *conn = connect_to(&l, now, &other[i]), *same = conn;
        wait_for_answer(loop, conn, other[i]);
        abl_pool_put(pool, &conn, now);
        if (i == 0) {
            quiet = same;
        } else {
            ck_assert_int_eq(i == 1 ? (int)write(other[i], "HTTP/1.1 408", 12) : close(other[i]),
                             i == 1 ? 12 : 0);
            ck_assert(await_that(is_loud, same, 5000));
        }
    }
    ck_assert_ptr_eq(abl_pool_take(pool, now), quiet);
    ck_assert_int_eq(abl_pool_idle(pool), 0);
    abl_conn_close(&quiet);
    abl_loop_stop(loop);
}
END_TEST

static sem_t held, release;

static void hold(abl_waiter_t *waiter)
{
    (void)waiter;
    sem_post(&held);
    sem_wait(&release);
}

START_TEST(what_a_busy_loop_has_not_seen_is_looked_at)
{
    listener_t l;
    int other;
    int64_t now = abl_clock_now();
    somebody_t busy;

    start();
    listener_open(&l);
    abl_pool_t *pool = abl_pool_create(&l.member);
    abl_conn_t *conn = connect_to(&l, now, &other);
    wait_for_answer(loop, conn, other);
    abl_pool_put(pool, &conn, now);
    sem_init(&held, 0, 0);
    sem_init(&release, 0, 0);
    begin(&busy, -1, 0, -1, 0);
    abl_loop_post(loop, &busy.waiter, hold);
    ck_assert(await(&held, 5000));
    ck_assert_int_eq(write(other, "HTTP/1.1 408", 12), 12);
    usleep(2000); /* longer than a look is good for */
    ck_assert_ptr_null(abl_pool_take(pool, abl_clock_now()));
    sem_post(&release);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(closed_or_talking_connections_are_not_given_out)
{
    listener_t l;
    int other[2];
    int64_t now = abl_clock_now();

    listener_open(&l);
    abl_pool_t *pool = abl_pool_create(&l.member);
    for (int i = 0; i < 2; i++) {
        abl_conn_t *conn = connect_to(&l, now, &other[i]);
        abl_pool_put(pool, &conn, now);
    }
    ck_assert_int_eq(write(other[0], "HTTP/1.1 408", 12), 12);
    close(other[1]);
    ck_assert_ptr_null(abl_pool_take(pool, now));
    ck_assert_int_eq(abl_pool_idle(pool), 0);
}
END_TEST

START_TEST(idleness_and_age_end_a_connection)
{
    listener_t l;
    int other[2];
    int64_t now = abl_clock_now();

    listener_open(&l);
    abl_pool_t *pool = abl_pool_create(&l.member);
    abl_conn_t *young = connect_to(&l, now, &other[0]);
    abl_conn_t *old = connect_to(&l, now - 58 * ABL_SECOND, &other[1]);
    abl_pool_put(pool, &old, now);
    abl_pool_put(pool, &young, now);
    ck_assert_int_eq(abl_pool_sweep(pool, now), now + 2 * ABL_SECOND); /* age comes first */
    ck_assert_int_eq(abl_pool_idle(pool), 2);
    ck_assert_int_eq(abl_pool_sweep(pool, now + 2 * ABL_SECOND), now + 4 * ABL_SECOND);
    ck_assert_int_eq(abl_pool_idle(pool), 1);
    ck_assert_ptr_null(abl_pool_take(pool, now + 4 * ABL_SECOND)); /* too late for the other */
    ck_assert(abl_pool_sweep(pool, now + 4 * ABL_SECOND) == INT64_MAX);
    young = connect_to(&l, now - 61 * ABL_SECOND, &other[0]);
    abl_pool_put(pool, &young, now);
    ck_assert_int_eq(abl_pool_idle(pool), 0);
}
END_TEST

START_TEST(the_sweeper_closes_without_being_asked)
{
    listener_t l;
    int other;
    char byte;
    int64_t now;

    listener_open(&l);
    l.member.idle_timeout = 50 * ABL_MS;
    abl_pool_t *pool = abl_pool_create(&l.member);
    ck_assert_int_eq(abl_sweeper_start(), APR_SUCCESS);
    for (int i = 0; i < 3; i++) {
        now = abl_clock_now();
        abl_conn_t *conn = connect_to(&l, now, &other);
        abl_pool_put(pool, &conn, now);
        ck_assert_int_eq(read(other, &byte, 1), 0); /* waits for the close */
        ck_assert_int_ge(abl_clock_now() - now, 50 * ABL_MS);
        close(other);
    }
}
END_TEST

UNIT_MAIN("pool", the_newest_is_used_first, no_more_than_idle_max,
          closed_or_talking_connections_are_not_given_out, what_a_loop_has_watched_is_not_looked_at_twice,
          what_a_busy_loop_has_not_seen_is_looked_at, idleness_and_age_end_a_connection,
          the_sweeper_closes_without_being_asked)
