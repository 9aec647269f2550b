/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines: the kernel is not asked anew for each wait, and nobody waits for what has come already.
 */
#include <fcntl.h>

#include "somebody.h"

typedef struct line_t {
    int near, far;
    abl_line_t line;
} line_t;

static void open_line(line_t *line)
{
    int fds[2];

    memset(line, 0, sizeof(*line));
    make_pair(fds);
    line->near = fds[0];
    line->far = fds[1];
}

static void say(const line_t *line, const char *text)
{
    ck_assert_int_eq(write(line->far, text, strlen(text)), (ssize_t)strlen(text));
}

static void hear(const line_t *line, size_t len)
{
    char text[64];

    ck_assert_int_eq(read(line->near, text, len), (ssize_t)len);
}

/* `s` waits for the line, in a loop. */
static void await_line(somebody_t *s, line_t *line, uint32_t events, bool drained, abl_loop_t *in)
{
    begin(s, line->near, events, -1, 0);
    s->waiter.line = &line->line;
    s->waiter.drained = drained;
    s->in = in;
    abl_loop_post(in, &s->waiter, wait_now);
}

/* One who is called for what comes on it. */
static void use(line_t *line, abl_loop_t *in)
{
    somebody_t s;

    await_line(&s, line, EPOLLIN, true, in);
    ck_assert(!was_called(&s, 20));
    say(line, "x");
    ck_assert(was_called(&s, 5000));
    ck_assert_uint_eq(s.happened[0], EPOLLIN);
    hear(line, 1);
}

static bool is_loud(void *line)
{
    return !abl_loop_is_quiet(&((line_t *)line)->line, ((line_t *)line)->near, abl_clock_now());
}

START_TEST(one_after_the_other)
{
    line_t line;

    start();
    open_line(&line);
    ck_assert(is_loud(&line)); /* nobody watches it yet */
    for (int i = 0; i < 3; i++) {
        use(&line, loop);
        ck_assert(!is_loud(&line));
    }
    abl_loop_stop(loop);
}
END_TEST

START_TEST(what_came_while_nobody_waited)
{
    somebody_t s;
    line_t line;

    start();
    open_line(&line);
    use(&line, loop);
    say(&line, "x");
    ck_assert(await_that(is_loud, &line, 5000));
    await_line(&s, &line, EPOLLIN, true, loop);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.happened[0] & EPOLLIN);
    hear(&line, 1);
    use(&line, loop);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(what_was_left_unread)
{
    somebody_t s;
    line_t line;

    start();
    open_line(&line);
    use(&line, loop);
    await_line(&s, &line, EPOLLIN, true, loop);
    say(&line, "xy");
    ck_assert(was_called(&s, 5000));
    hear(&line, 1);
    await_line(&s, &line, EPOLLIN, false, loop);
    ck_assert(was_called(&s, 5000));
    hear(&line, 1);
    use(&line, loop);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(the_end_is_not_missed)
{
    somebody_t s;
    line_t line;

    start();
    open_line(&line);
    use(&line, loop);
    await_line(&s, &line, EPOLLIN, true, loop);
    ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0); /* what this side does is nothing that has come */
    ck_assert(!was_called(&s, 20));
    say(&line, "x");
    close(line.far);
    ck_assert(was_called(&s, 5000));
    hear(&line, 1);
    for (int i = 0; i < 3; i++) { /* the kernel may have told of both at once */
        await_line(&s, &line, EPOLLIN, true, loop);
        ck_assert(was_called(&s, 5000));
        ck_assert(s.happened[0] & EPOLLIN);
    }
    ck_assert(is_loud(&line));
    abl_loop_stop(loop);
}
END_TEST

START_TEST(writing_hides_nothing)
{
    somebody_t s;
    line_t line;

    start();
    open_line(&line);
    use(&line, loop);
    say(&line, "x");
    await_line(&s, &line, EPOLLOUT, true, loop);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.happened[0] & EPOLLOUT);
    await_line(&s, &line, EPOLLIN, true, loop);
    ck_assert(was_called(&s, 5000));
    ck_assert(s.happened[0] & EPOLLIN);
    abl_loop_stop(loop);
}
END_TEST

START_TEST(from_loop_to_loop)
{
    static abl_loop_t *other; /* a loop is never freed */
    line_t line;

    start();
    ck_assert_int_eq(abl_loop_start(&other, 1, NULL), APR_SUCCESS);
    open_line(&line);
    for (int i = 0; i < 3; i++) {
        use(&line, loop);
        use(&line, other);
    }
    abl_loop_stop(loop);
    abl_loop_stop(other);
}
END_TEST

START_TEST(what_cannot_be_watched_is_late)
{
    line_t line = {.near = open("/dev/null", O_RDONLY)};
    somebody_t s;

    start();
    for (int i = 0; i < 2; i++) {
        await_line(&s, &line, EPOLLIN, true, loop);
        ck_assert(was_called(&s, 5000));
        ck_assert(s.late);
    }
    abl_loop_stop(loop);
    close(line.near);
}
END_TEST

START_TEST(the_same_number_again)
{
    line_t line;
    int number;

    start();
    open_line(&line);
    number = line.near;
    for (int i = 0; i < 3; i++) {
        use(&line, loop);
        say(&line, "x");
        close(line.near);
        close(line.far);
        open_line(&line);
        ck_assert_int_eq(line.near, number);
    }
    use(&line, loop);
    abl_loop_stop(loop);
}
END_TEST

UNIT_MAIN("lines", one_after_the_other, what_came_while_nobody_waited, what_was_left_unread,
          the_end_is_not_missed, writing_hides_nothing, from_loop_to_loop, what_cannot_be_watched_is_late,
          the_same_number_again)
