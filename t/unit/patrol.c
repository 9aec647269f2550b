/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that are tried: who listens again is used again; who has refused at each of its addresses has
 * ended. Time is the test's.
 */
#include "control/patrol.h"

#include "base/clock.h"
#include "control/say.h"
#include "ledger/health.h"
#include "ledger_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static ledger_world_t w;
static abl_patrol_t patrol;
static abl_address_t addresses[2];
static abl_target_t target = {.balancer = "TEST", .address = "a", .addresses = addresses, .naddresses = 1};
static char said[4096];

static void say(abl_say_t level, int error, const char *text)
{
    (void)level;
    (void)error;
    (void)snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", text);
}

/* A port on which somebody listens, or would be refused. */
static int make_port(abl_address_t *address, bool listening)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&address->sa;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(address, 0, sizeof(*address));
    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->len = sizeof(*sin);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)sin, address->len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)sin, &address->len), 0);
    if (listening) {
        ck_assert_int_eq(listen(fd, 5), 0);
    }
    return fd;
}

static void begin(int naddresses)
{
    make_world(&w, "ab", 0);
    w.conf.eject = (abl_eject_conf_t){
        .failures = 1, .rate = 100, .over = 30000000, .duration = INT64_C(600000000), .max_share = 50};
    configure(&w);
    sit_down(&w);
    said[0] = '\0';
    abl_say_to(say);
    target.naddresses = naddresses;
    patrol = (abl_patrol_t){.segment = w.segment, .child = w.child};
    ck_assert(abl_patrol_begin(&patrol));
    abl_patrol_configure(&patrol, &(abl_board_conf_t){.targets = &target, .ntargets = 1});
}

static abl_health_view_t look(void)
{
    abl_health_view_t view;
    uint32_t row = 0;

    ck_assert(abl_health_next(w.segment, w.child, &row, &view));
    return view;
}

static void eject(void)
{
    abl_want_t want = {.only = 0, .strict = true};
    abl_outcome_t outcome = {.latency = 1, .failed = true, .what = 1, .client = 1};
    abl_ticket_t *ticket;
    int got;

    ck_assert_int_eq(abl_ledger_take(w.ledger, &want, &got, &ticket), APR_SUCCESS);
    abl_ledger_give(w.ledger, got, &outcome);
    ck_assert(look().ejected);
}

/* So many attempts, a second apart each. */
static void work(int times)
{
    static int64_t now; /* goes on from one call to the next */

    now = now != 0 ? now : abl_clock_now();
    abl_patrol_look(&patrol);
    while (times-- > 0) {
        (void)abl_patrol_work(&patrol, now);
        now += 2 * ABL_SECOND;
    }
    abl_patrol_look(&patrol);
}

START_TEST(back)
{
    int fd = make_port(&addresses[0], false);

    begin(1);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    work(5);
    ck_assert(look().away);
    ck_assert_ptr_nonnull(strstr(said, "ABL0070: balancer test: a cannot be reached"));
    ck_assert_int_eq(listen(fd, 5), 0);
    work(2);
    ck_assert(!look().away);
    ck_assert_ptr_nonnull(strstr(said, "ABL0071: balancer test: a accepts connections again"));
    ck_assert_ptr_null(strstr(strstr(said, "ABL0070") + 1, "ABL0070"));
    close(fd);
}
END_TEST

START_TEST(ended)
{
    int fd = make_port(&addresses[0], false);

    begin(1);
    eject();
    work(2);
    ck_assert(look().away);
    ck_assert_int_eq(listen(fd, 5), 0);
    work(2);
    ck_assert(!look().away);
    ck_assert(!look().ejected); /* it is another one */
    close(fd);
}
END_TEST

/* localhost is ::1 and 127.0.0.1, and most servers listen at one of them. */
START_TEST(one_of_two_addresses)
{
    int refusing = make_port(&addresses[0], false), listening = make_port(&addresses[1], true);

    begin(2);
    eject();
    work(20);
    ck_assert(!look().away);
    ck_assert(look().ejected);
    close(listening);
    work(20);
    ck_assert(look().away);
    close(refusing);
}
END_TEST

START_TEST(goes_from_the_configuration)
{
    int fd = make_port(&addresses[0], false);

    begin(1);
    abl_health_away(w.ledger, 0, 111, abl_clock_now());
    work(1);
    w.conf.members = &w.members[1];
    w.conf.nmembers = 1;
    configure(&w);
    abl_patrol_configure(&patrol, &(abl_board_conf_t){.ntargets = 0});
    work(3);
    ck_assert_str_eq(look().address, "b");
    close(fd);
}
END_TEST

UNIT_MAIN("patrol", back, ended, one_of_two_addresses, goes_from_the_configuration)
