/* SPDX-License-Identifier: Apache-2.0
 *
 * The board: what is published is what is taken, whole, however fast the one and the other.
 */
#include <apr_general.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "control/board.h"
#include "control/proc.h"
#include "unit.h"

static const char *const argv[] = {"program", "--port", "%{port}", NULL};
static const char *const env[] = {"A=1", NULL};
static const char *const addresses[] = {"http://127.0.0.1:1", "http://127.0.0.1:2"};
static const int ports[] = {1, 2};

static abl_app_conf_t app_called(const char *name)
{
    return (abl_app_conf_t){.name = name,
                            .balancer = name,
                            .argv = argv,
                            .env = env,
                            .addresses = addresses,
                            .ports = ports,
                            .nslots = 2,
                            .dir = name,
                            .restart_file = name,
                            .stuck = 7};
}

START_TEST(a_copy)
{
    abl_board_t *board = abl_board_create();
    char name[] = "web";
    abl_app_conf_t app = app_called(name);
    abl_board_conf_t conf;

    ck_assert_ptr_nonnull(board);
    ck_assert_int_eq(abl_board_take(board).n, 0);
    ck_assert(abl_board_publish(board, &(abl_board_conf_t){.apps = &app, .n = 1}));
    name[0] = 'x';
    conf = abl_board_take(board);
    ck_assert_int_eq(conf.n, 1);
    ck_assert_str_eq(conf.apps[0].name, "web");
    ck_assert_str_eq(conf.apps[0].argv[2], "%{port}");
    ck_assert_ptr_null(conf.apps[0].argv[3]);
    ck_assert_str_eq(conf.apps[0].env[0], "A=1");
    ck_assert_str_eq(conf.apps[0].addresses[1], "http://127.0.0.1:2");
    ck_assert_int_eq(conf.apps[0].ports[1], 2);
    ck_assert_ptr_null(conf.apps[0].sockets);
    ck_assert_ptr_null(conf.apps[0].log);
    ck_assert_int_eq(conf.apps[0].stuck, 7);
    ck_assert(abl_board_publish(board, &(abl_board_conf_t){.n = 0}));
    ck_assert_int_eq(abl_board_take(board).n, 0);
}
END_TEST

/* What was taken stays readable, however often something is published meanwhile. */
START_TEST(what_is_in_use_stays)
{
    abl_board_t *board = abl_board_create();
    abl_app_conf_t old = app_called("old"), new = app_called("new");
    abl_board_conf_t conf;

    ck_assert(abl_board_publish(board, &(abl_board_conf_t){.apps = &old, .n = 1}));
    conf = abl_board_take(board);
    for (int i = 0; i < 10; i++) {
        ck_assert(abl_board_publish(board, &(abl_board_conf_t){.apps = &new, .n = 1}));
        ck_assert_str_eq(conf.apps[0].dir, "old");
    }
    ck_assert_str_eq(abl_board_take(board).apps[0].dir, "new");
}
END_TEST

START_TEST(too_long)
{
    abl_board_t *board = abl_board_create();
    abl_app_conf_t app = app_called("web");
    char *text = malloc(40000000);

    memset(text, 'x', 39999999);
    text[39999999] = '\0';
    ck_assert(abl_board_publish(board, &(abl_board_conf_t){.apps = &app, .n = 1}));
    app.dir = text;
    ck_assert(!abl_board_publish(board, &(abl_board_conf_t){.apps = &app, .n = 1}));
    ck_assert_str_eq(abl_board_take(board).apps[0].dir, "web"); /* what was said before holds */
    free(text);
}
END_TEST

static atomic_bool over;

static void *publish_all_the_time(void *data)
{
    for (int i = 0; !atomic_load(&over); i++) {
        char name[32];
        abl_app_conf_t apps[3];
        (void)snprintf(name, sizeof(name), "name-%d", i % 1000);
        for (int k = 0; k < 3; k++) {
            apps[k] = app_called(name);
        }
        if (!abl_board_publish(data, &(abl_board_conf_t){.apps = apps, .n = 3})) {
            abort();
        }
    }
    return NULL;
}

START_TEST(whole_however_fast)
{
    abl_board_t *board = abl_board_create();
    abl_app_conf_t first[3] = {app_called("name-x"), app_called("name-x"), app_called("name-x")};
    pthread_t thread;

    ck_assert(abl_board_publish(board, &(abl_board_conf_t){.apps = first, .n = 3}));
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_all_the_time, board), 0);
    for (int i = 0; i < 200000; i++) {
        abl_board_conf_t conf = abl_board_take(board);
        ck_assert_int_eq(conf.n, 3);
        ck_assert_str_eq(conf.apps[0].name, conf.apps[2].dir);
        ck_assert_str_eq(conf.apps[1].balancer, conf.apps[0].restart_file);
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
}
END_TEST

static bool rings(const abl_board_t *board)
{
    struct pollfd pfd = {abl_board_bell(board), POLLIN, 0};

    return poll(&pfd, 1, 0) == 1;
}

START_TEST(the_bell)
{
    abl_board_t *board = abl_board_create();
    int fds[2], log;
    char byte;

    ck_assert(!rings(board));
    ck_assert(!abl_board_hear(board, &log));
    ck_assert_int_eq(pipe(fds), 0);
    abl_board_ring(board, fds[1]);
    abl_board_ring(board, -1);
    ck_assert(rings(board));
    ck_assert(abl_board_hear(board, &log));
    ck_assert_int_ge(log, 0);
    ck_assert_int_eq(fcntl(log, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq((int)write(log, "x", 1), 1); /* the same thing, by another number */
    ck_assert_int_eq((int)read(fds[0], &byte, 1), 1);
    close(log);
    ck_assert(abl_board_hear(board, &log));
    ck_assert_int_lt(log, 0);
    ck_assert(!rings(board));
    for (int i = 0; i < 10000; i++) {
        abl_board_ring(board, fds[1]); /* with nobody there to hear it: it waits for nobody */
    }
    ck_assert(rings(board));
}
END_TEST

START_TEST(names)
{
    char want[ABL_MARK_MAX];

    (void)snprintf(want, sizeof(want), "%ld.%" PRIu64 "/", (long)getpid(), abl_proc_began(getpid()));
    ck_assert_str_eq(abl_board_mark(abl_board_create()), want);
}
END_TEST

UNIT_MAIN("board", a_copy, what_is_in_use_stays, too_long, whole_however_fast, the_bell, names)
