/* SPDX-License-Identifier: Apache-2.0
 *
 * The stash between an exchange and a client that takes its time: order, back-pressure, and what only a
 * worker may do. (That nothing else changes is exchange_stashed.c's.)
 */
#include <sys/resource.h>
#include <unistd.h>

#include "engine/stash.h"
#include "world.h"

/* The world's exchange, with a stash that the test plays back itself. */
static void begin_stashed(world_t *w, abl_stash_t *stash, uint64_t memory)
{
    begin(w, 1);
    abl_stash_init(stash, w->pool, &events, w);
    stash->body.memory_max = memory;
    w->seen[0] = '\0';
    w->x = abl_exchange_make(w->pool, &w->balancer, &w->timeouts, ABL_SECOND, &w->request, &abl_stash_events,
                             stash);
    until_sent(w, run(w, 0));
}

static void play_all(abl_stash_t *stash)
{
    while (!abl_stash_is_empty(stash)) {
        ck_assert_int_eq(abl_stash_play(stash), APR_SUCCESS);
    }
}

START_TEST(in_its_order)
{
    world_t w;
    abl_stash_t stash;

    begin_stashed(&w, &stash, 1000);
    ck_assert(abl_stash_is_empty(&stash));
    say(listener_accept(&w.listeners[0]),
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n");
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    ck_assert_str_eq(w.seen, "");                                /* nobody has been told */
    ck_assert_uint_eq(abl_ledger_busy(w.balancer.ledger, 0), 0); /* but the member is free */
    play_all(&stash);
    ck_assert_str_eq(w.seen, "[102][103]{200}abcde<X-Sum: 5>.");
    end(&w);
    abl_stash_clear(&stash);
}
END_TEST

START_TEST(a_client_that_takes_nothing_stops_the_member)
{
    static char body[60000], answer[70000];
    world_t w;
    abl_stash_t stash;
    int fd;

    memset(body, 'x', sizeof(body) - 1);
    snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    begin_stashed(&w, &stash, 1000);
    fd = listener_accept(&w.listeners[0]);
    say(fd, answer);
    while (abl_spool_has_room(&stash.body)) {
        ck_assert(drive(&w));
    }
    ck_assert_uint_eq(abl_exchange_wait(w.x)->what & ABL_READY_MEMBER_READ, 0);
    ck_assert_int_eq(abl_exchange_wait(w.x)->deadline, INT64_MAX); /* the client's time, not the member's */
    ck_assert_uint_lt(abl_spool_length(&stash.body), 1000 + ABL_CONN_BUFFER);
    ck_assert(run(&w, ABL_READY_MEMBER_READ)); /* not even when asked */
    ck_assert_uint_lt(abl_spool_length(&stash.body), 1000 + ABL_CONN_BUFFER);
    for (bool waits = true; waits;) {
        play_all(&stash);
        waits = run(&w, ABL_READY_MEMBER_READ);
    }
    play_all(&stash);
    ck_assert_uint_eq(strlen(w.seen), strlen("{200}") + strlen(body) + strlen("."));
    ck_assert_int_eq(end(&w), ABL_END_OK);
    abl_stash_clear(&stash);
}
END_TEST

START_TEST(the_body_is_for_workers)
{
    world_t w;
    abl_stash_t stash;
    int fd;

    begin(&w, 1);
    put(&w, "PUT", "one", false);
    w.request.head.body = ABL_H1_REQUEST_LENGTH;
    w.request.head.length = 6;
    w.upload = "two";
    abl_stash_init(&stash, w.pool, &events, &w);
    stash.body.memory_max = 1000;
    w.seen[0] = '\0';
    w.x = abl_exchange_make(w.pool, &w.balancer, &w.timeouts, ABL_SECOND, &w.request, &abl_stash_events,
                            &stash);
    until_sent(&w, run(&w, 0));
    fd = listener_accept(&w.listeners[0]);
    ck_assert(stash.wants_body);
    ck_assert_ptr_nonnull(strstr(heard(fd), "one"));
    stash.wants_body = false;
    stash.on_worker = true;
    ck_assert(run(&w, ABL_READY_CLIENT_READ));
    ck_assert_str_eq(heard(fd), "two");
    say(fd, OK_ANSWER);
    ck_assert_int_eq(finish(&w), ABL_END_OK);
    play_all(&stash);
    end(&w);
}
END_TEST

/* A file that somebody has cut. */
START_TEST(what_cannot_be_read_back_is_not_the_clients_fault)
{
    static char bytes[3 * ABL_STASH_PIECE];
    world_t w;
    abl_stash_t stash;

    begin_stashed(&w, &stash, 1000);
    stash.body.memory_max = 0;
    stash.body.file_max = sizeof(bytes);
    stash.body.folder = "/tmp";
    ck_assert_int_eq(abl_stash_events.on_data(&stash, bytes, sizeof(bytes)), APR_SUCCESS);
    ck_assert_int_gt(stash.body.file_plus_one, 0);
    ck_assert_int_eq(abl_stash_play(&stash), APR_SUCCESS);
    ck_assert_int_eq(stash.why, APR_SUCCESS);
    ck_assert_int_eq(ftruncate(stash.body.file_plus_one - 1, ABL_STASH_PIECE), 0);
    ck_assert_int_eq(abl_stash_play(&stash), APR_EOF);
    ck_assert_int_eq(stash.why, APR_EOF);
    end(&w);
    abl_stash_clear(&stash);
}
END_TEST

/* No memory is left, and then there is again. A sanitizer would have none for itself either. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static apr_status_t fill_memory(abl_stash_t *stash)
{
    static char bytes[ABL_STASH_PIECE];
    struct rlimit before;
    apr_status_t rv = APR_SUCCESS;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){1, before.rlim_max}), 0);
    for (int i = 0; i < 100000 && rv == APR_SUCCESS; i++) {
        rv = abl_stash_events.on_data(stash, bytes, sizeof(bytes));
    }
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    return rv;
}

START_TEST(what_cannot_be_kept_is_forgotten)
{
    world_t w;
    abl_stash_t stash;

    begin_stashed(&w, &stash, UINT64_MAX);
    ck_assert_int_eq(fill_memory(&stash), APR_ENOMEM);
    ck_assert_int_eq(stash.why, APR_ENOMEM);
    ck_assert(abl_stash_is_empty(&stash)); /* nobody plays half of it back */
    end(&w);
    abl_stash_clear(&stash);
}
END_TEST
#define WITHOUT_MEMORY , what_cannot_be_kept_is_forgotten
#else
#define WITHOUT_MEMORY
#endif

UNIT_MAIN("stash", in_its_order, a_client_that_takes_nothing_stops_the_member, the_body_is_for_workers,
          what_cannot_be_read_back_is_not_the_clients_fault WITHOUT_MEMORY)
