/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: who waits is called once, on the loop's thread, with what happened.
 */
#include <fcntl.h>
#include <time.h>

#include "somebody.h"

START_TEST(tells_what_happened_and_once)
{
    somebody_t s;
    int a[2], b[2];

    start();
    make_pair(a);
    make_pair(b);
    begin(&s, a[0], EPOLLIN, b[0], EPOLLIN | EPOLLRDHUP);
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(!was_called(&s, 50));
    ck_assert_int_eq(write(b[1], "x", 1), 1);
    ck_assert(was_called(&s, 5000));
    ck_assert_uint_eq(s.happened[0], 0);
    ck_assert_uint_eq(s.happened[1], EPOLLIN);
    ck_assert(!s.late);
    ck_assert(!pthread_equal(s.thread, pthread_self()));
    ck_assert_int_eq(write(b[1], "x", 1), 1);
    ck_assert(!was_called(&s, 50)); /* it has to ask again */
    close(b[1]);
    begin(&s, -1, 0, b[0], EPOLLRDHUP);
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000)); /* what lies unread hides no end */
    ck_assert(s.happened[1] & EPOLLRDHUP);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(both_at_once_are_one_call)
{
    somebody_t s;
    int a[2], b[2];

    start();
    make_pair(a);
    make_pair(b);
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    ck_assert_int_eq(write(b[1], "x", 1), 1);
    begin(&s, a[0], EPOLLIN, b[0], EPOLLIN);
    s.waiter.deadline = 0;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert_uint_eq(s.happened[0], EPOLLIN);
    ck_assert_uint_eq(s.happened[1], EPOLLIN);
    ck_assert(s.late);
    ck_assert(!was_called(&s, 50));
    ck_assert_int_eq(s.calls, 1);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(a_descriptor_that_is_not_asked_for_is_left_alone)
{
    somebody_t s;
    int a[2];

    start();
    make_pair(a);
    close(a[1]); /* epoll always tells of a hang-up, whether it was asked for or not */
    begin(&s, a[0], 0, -1, EPOLLIN);
    s.waiter.deadline = abl_clock_now() + 50 * ABL_MS;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.late);
    ck_assert_uint_eq(s.happened[0], 0);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(what_cannot_be_watched_is_late)
{
    somebody_t s;
    int file = open("/dev/null", O_RDONLY);

    start();
    begin(&s, file, EPOLLIN, -1, 0);
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.late);
    abl_loop_stop(loop);
    close(file);
}
END_TEST

START_TEST(deadlines_in_their_order)
{
    static somebody_t s[200];
    int64_t now = abl_clock_now();

    start();
    for (size_t i = 0; i < COUNT(s); i++) {
        begin(&s[i], -1, 0, -1, 0);
        s[i].waiter.deadline = now + 20 * ABL_MS + (int64_t)(i * 7 % 50) * ABL_MS; /* many of them equal */
        abl_loop_post(loop, &s[i].waiter, wait_now);
    }
    for (size_t i = 0; i < COUNT(s); i++) {
        ck_assert(was_called(&s[i], 5000));
        ck_assert(s[i].late);
        ck_assert_int_ge(s[i].at, s[i].waiter.deadline);
        ck_assert_int_eq(s[i].calls, 1);
    }
    abl_loop_stop(loop);
}
END_TEST

/* Waits again and again, and is gone when it has been called often enough. */
static void again(abl_waiter_t *waiter)
{
    somebody_t *s = (somebody_t *)waiter;

    if (++s->calls == 1000) {
        sem_post(&s->called);
        return;
    }
    waiter->deadline = s->calls % 2 != 0 ? 0 : INT64_MAX;
    abl_loop_wait(loop, waiter);
}

START_TEST(who_was_called_may_wait_again)
{
    somebody_t s;
    int a[2];

    start();
    make_pair(a);
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    begin(&s, a[0], EPOLLIN, -1, 0);
    s.waiter.on_ready = again;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 10000));
    abl_loop_stop(loop);
}
END_TEST

static void *post_many(void *data)
{
    somebody_t *all = data;

    for (int i = 0; i < 1000; i++) {
        abl_loop_post(loop, &all[i].waiter, note);
    }
    return NULL;
}

START_TEST(posted_by_many_threads)
{
    static somebody_t all[4][1000];
    pthread_t threads[4];

    start();
    for (int t = 0; t < 4; t++) {
        for (int i = 0; i < 1000; i++) {
            begin(&all[t][i], -1, 0, -1, 0);
        }
        ck_assert_int_eq(pthread_create(&threads[t], NULL, post_many, all[t]), 0);
    }
    for (int t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
        for (int i = 0; i < 1000; i++) {
            ck_assert(was_called(&all[t][i], 5000));
            ck_assert(i == 0 || all[t][i].at >= all[t][i - 1].at);
        }
    }
    abl_loop_stop(loop);
}
END_TEST

START_TEST(nobody_is_called_after_the_end)
{
    somebody_t waiting, posted;

    start();
    begin(&waiting, -1, 0, -1, 0);
    waiting.waiter.deadline = abl_clock_now() + 50 * ABL_MS;
    abl_loop_post(loop, &waiting.waiter, wait_now);
    abl_loop_stop(loop);
    begin(&posted, -1, 0, -1, 0);
    abl_loop_post(loop, &posted.waiter, note);
    ck_assert(!was_called(&posted, 100));
    ck_assert_int_eq(waiting.calls, 0);
}
END_TEST

/* How long this process has had a processor. */
static int64_t computed(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * ABL_SECOND + ts.tv_nsec / 1000;
}

static void forget_now(abl_waiter_t *waiter)
{
    abl_loop_forget(loop, waiter);
    sem_post(&((somebody_t *)waiter)->called);
}

START_TEST(what_is_kept_tells_nothing_unasked)
{
    somebody_t s;
    int a[2], b[2], i, same;
    int64_t before;
    char byte;

    start();
    make_pair(a);
    make_pair(b);
    begin(&s, -1, 0, a[0], EPOLLIN);
    s.waiter.keep[1] = EPOLLIN | EPOLLRDHUP;
    for (i = 0; i < 3; i++) {
        abl_loop_post(loop, &s.waiter, wait_now);
        ck_assert(!was_called(&s, 20));
        ck_assert_int_eq(write(a[1], "xx", 2), 2);
        ck_assert(was_called(&s, 5000));
        ck_assert_uint_eq(s.happened[1], EPOLLIN);
        ck_assert_int_eq(read(a[0], &byte, 1), 1);
        before = computed();
        ck_assert(!was_called(&s, 50)); /* nobody waits, and nobody is called, though there is more */
        ck_assert_int_lt(computed() - before, 25 * ABL_MS); /* nor asked again and again */
        s.waiter.fd[0] = b[0];
        s.waiter.events[0] = EPOLLIN;
        s.waiter.events[1] = EPOLLRDHUP;
        abl_loop_post(loop, &s.waiter, wait_now);
        ck_assert(!was_called(&s, 20)); /* nor for what is not asked for just now */
        ck_assert_int_eq(write(b[1], "x", 1), 1);
        ck_assert(was_called(&s, 5000));
        ck_assert_uint_eq(s.happened[0], EPOLLIN);
        ck_assert_uint_eq(s.happened[1], 0);
        ck_assert_int_eq(read(a[0], &byte, 1), 1);
        ck_assert_int_eq(read(b[0], &byte, 1), 1);
        s.waiter.events[0] = 0;
        s.waiter.events[1] = EPOLLIN;
    }
    abl_loop_post(loop, &s.waiter, forget_now);
    ck_assert(was_called(&s, 5000));
    same = dup(a[0]); /* as long as that is open the kernel would go on watching */
    close(a[0]);
    close(b[0]);
    close(b[1]);
    make_pair(b);
    begin(&s, -1, 0, b[0], EPOLLIN);
    abl_loop_post(loop, &s.waiter, wait_now);
    close(a[1]);
    ck_assert(!was_called(&s, 50));
    close(same);
    ck_assert_int_eq(write(b[1], "x", 1), 1);
    ck_assert(was_called(&s, 5000));
    abl_loop_stop(loop);
}
END_TEST

START_TEST(a_deadline_that_moves)
{
    somebody_t s;
    int a[2], i;
    char byte;

    start();
    make_pair(a);
    begin(&s, -1, 0, a[0], EPOLLIN);
    s.waiter.keep[1] = EPOLLIN;
    for (i = 0; i < 4; i++) { /* its timer is the first one's */
        s.waiter.deadline = abl_clock_now() + (i + 1) * 50 * ABL_MS;
        abl_loop_post(loop, &s.waiter, wait_now);
        ck_assert_int_eq(write(a[1], "x", 1), 1);
        ck_assert(was_called(&s, 5000));
        ck_assert(!s.late);
        ck_assert_int_eq(read(a[0], &byte, 1), 1);
    }
    ck_assert(!was_called(&s, 300)); /* the timer ends, and nobody waits */
    s.waiter.deadline = abl_clock_now() + 50 * ABL_MS;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    ck_assert(was_called(&s, 5000));
    ck_assert_int_eq(read(a[0], &byte, 1), 1);
    s.waiter.deadline = abl_clock_now() + 150 * ABL_MS; /* after its timer */
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.late);
    ck_assert_int_ge(s.at, s.waiter.deadline);
    s.waiter.deadline = abl_clock_now() + 200 * ABL_MS;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.late);
    ck_assert_int_ge(s.at, s.waiter.deadline);
    s.waiter.deadline = abl_clock_now() + 3000 * ABL_MS;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    ck_assert(was_called(&s, 5000));
    s.waiter.deadline = abl_clock_now() + 50 * ABL_MS; /* before its timer */
    ck_assert_int_eq(read(a[0], &byte, 1), 1);
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 1000));
    ck_assert(s.late);
    s.waiter.deadline = abl_clock_now() + 50 * ABL_MS;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    ck_assert(was_called(&s, 5000));
    abl_loop_post(loop, &s.waiter, forget_now);
    ck_assert(was_called(&s, 5000));
    begin(&s, -1, 0, -1, 0); /* its memory is somebody else's now, who has another timer */
    s.waiter.deadline = abl_clock_now() + 100 * ABL_MS;
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert_int_ge(s.at, s.waiter.deadline);
    ck_assert(!was_called(&s, 50));
    abl_loop_stop(loop);
}
END_TEST

static somebody_t *hurried;

/* More than once, as by two who do not know of each other. */
static void hurry_him(abl_waiter_t *waiter)
{
    abl_loop_hurry(loop, &hurried->waiter);
    abl_loop_hurry(loop, &hurried->waiter);
    note(waiter);
}

START_TEST(one_who_is_hurried)
{
    somebody_t s, messenger, bystander;
    int a[2];

    start();
    make_pair(a);
    begin(&s, a[0], EPOLLIN, -1, 0);
    begin(&bystander, -1, 0, -1, 0);
    begin(&messenger, -1, 0, -1, 0);
    hurried = &s;
    abl_loop_post(loop, &bystander.waiter, wait_now);
    for (int i = 1; i <= 2; i++) {
        abl_loop_post(loop, &s.waiter, wait_now);
        ck_assert(!was_called(&s, 20));
        abl_loop_post(loop, &messenger.waiter, hurry_him);
        ck_assert(was_called(&messenger, 5000));
        ck_assert(was_called(&s, 5000));
        ck_assert(s.late);
        ck_assert_uint_eq(s.happened[0], 0);
        ck_assert(!was_called(&s, 20));
        ck_assert_int_eq(s.calls, i);
    }
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    ck_assert(!was_called(&s, 20)); /* he waits no longer */
    abl_loop_post(loop, &s.waiter, wait_now);
    ck_assert(was_called(&s, 5000));
    ck_assert(!s.late); /* nor is he late for ever */
    ck_assert_int_eq(bystander.calls, 0);
    abl_loop_stop(loop);
}
END_TEST

/* The loop's thread: what he waits for is there when he is hurried. */
static void wait_and_hurry(abl_waiter_t *waiter)
{
    abl_loop_wait(loop, waiter);
    abl_loop_hurry(loop, waiter);
}

START_TEST(one_who_is_hurried_and_due)
{
    somebody_t s;
    int a[2];

    start();
    make_pair(a);
    ck_assert_int_eq(write(a[1], "x", 1), 1);
    begin(&s, a[0], EPOLLIN, -1, 0);
    s.waiter.deadline = 0;
    abl_loop_post(loop, &s.waiter, wait_and_hurry);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.late);
    ck_assert_uint_eq(s.happened[0], EPOLLIN); /* and is told of it */
    ck_assert(!was_called(&s, 50));
    ck_assert_int_eq(s.calls, 1);
    abl_loop_stop(loop);
}
END_TEST

/* Whoever is stuck in what he has entered does not keep the others from being called; and what he posts
 * afterwards is. */
static sem_t release;
static somebody_t stuck, others[3];

static void get_stuck(abl_waiter_t *waiter)
{
    stuck.calls++;
    while (!abl_loop_enter(loop)) { /* who stands by is not there at once */
        usleep(1000);
    }
    sem_wait(&release);
    if (!abl_loop_exit(loop)) {
        abl_loop_post(loop, waiter, note);
    }
}

/* The loop's thread: so that they are all called in the same round. */
static void post_all(abl_waiter_t *waiter)
{
    abl_loop_post(loop, &stuck.waiter, get_stuck);
    for (size_t i = 0; i < COUNT(others); i++) {
        abl_loop_post(loop, &others[i].waiter, note);
    }
    (void)waiter;
}

static void be_due_together(abl_waiter_t *waiter)
{
    stuck.waiter.on_ready = get_stuck;
    for (size_t i = 0; i < COUNT(others); i++) {
        abl_loop_wait(loop, &others[i].waiter);
    }
    abl_loop_wait(loop, &stuck.waiter);
    (void)waiter;
}

static void get_them_stuck(abl_waiter_fn_t *how)
{
    somebody_t first;
    pthread_t thread;
    int i;

    ck_assert_int_eq(abl_loop_start(&loop, 4, NULL), APR_SUCCESS);
    sem_init(&release, 0, 0);
    begin(&first, -1, 0, -1, 0);
    begin(&stuck, -1, 0, -1, 0);
    stuck.waiter.deadline = 0;
    for (i = 0; i < 3; i++) {
        begin(&others[i], -1, 0, -1, 0);
        others[i].waiter.deadline = 0;
    }
    abl_loop_post(loop, &first.waiter, how);
    for (i = 0; i < 3; i++) {
        ck_assert(was_called(&others[i], 5000));
    }
    sem_post(&release);
    ck_assert(was_called(&stuck, 5000));
    ck_assert_int_eq(stuck.calls, 2);
    thread = stuck.thread;
    for (i = 0; i < 500; i++) { /* who has lost the role does not go on as if it were his */
        abl_loop_post(loop, &others[0].waiter, note);
        ck_assert(was_called(&others[0], 5000));
        ck_assert(pthread_equal(others[0].thread, thread));
    }
    abl_loop_stop(loop);
}

START_TEST(one_that_is_stuck_when_posted)
{
    get_them_stuck(post_all);
}
END_TEST

START_TEST(one_that_is_stuck_when_due)
{
    get_them_stuck(be_due_together);
}
END_TEST

UNIT_MAIN("loop", tells_what_happened_and_once, both_at_once_are_one_call,
          a_descriptor_that_is_not_asked_for_is_left_alone, what_cannot_be_watched_is_late,
          deadlines_in_their_order, who_was_called_may_wait_again, posted_by_many_threads,
          nobody_is_called_after_the_end, what_is_kept_tells_nothing_unasked, a_deadline_that_moves,
          one_who_is_hurried, one_who_is_hurried_and_due, one_that_is_stuck_when_posted,
          one_that_is_stuck_when_due)
