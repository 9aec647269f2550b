/* SPDX-License-Identifier: Apache-2.0
 *
 * Trying members that are away.
 */
#include "control/patrol.h"

#include "base/clock.h"
#include "base/hash.h"
#include "control/say.h"
#include "ledger/health.h"
#include "ledger/site.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE_MIN (10 * ABL_MS)
#define PAUSE_MAX (200 * ABL_MS) /* who is back is used after this, at the latest, */
#define PAUSE_EACH (ABL_MS / 2)  /* or after so much for each that is away */
#define UNDER_WAY_MAX 256        /* attempts at once; the others are late by a moment */
#define PAUSE_EJECTED                                                                                        \
    ABL_SECOND              /* for who is ejected because it has ended: who comes after it is another one */
#define PATIENCE ABL_SECOND /* then it is tried anew, at its next address */

struct abl_round_t {
    uint64_t who;       /* hash of the member; another one may get the row */
    bool away, ejected; /* as was said last */
    int64_t since;      /* it is away */
    int fd_plus_one;    /* of the attempt that is under way; 0: there is none */
    int64_t until;      /* it is waited for */
    int64_t at;         /* the next look, or attempt */
    int64_t pause;      /* between two */
    int address;        /* the one that is tried */
    int refused;        /* so many addresses in a row */
};

bool abl_patrol_begin(abl_patrol_t *patrol)
{
    patrol->rounds = calloc(ABL_LEDGER_MEMBERS + 1, sizeof(*patrol->rounds));
    return patrol->rounds != NULL;
}

/* ---- attempts --------------------------------------------------------------------------------------- */

static void give_up(abl_round_t *round)
{
    if (round->fd_plus_one != 0) {
        close(round->fd_plus_one - 1);
        round->fd_plus_one = 0;
    }
}

/* False: errno. */
static bool begin(abl_round_t *round, const abl_target_t *target, int64_t now)
{
    const abl_address_t *to = &target->addresses[round->address++ % target->naddresses];
    const struct sockaddr *sa = (const struct sockaddr *)&to->sa;
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return false;
    }
    if (connect(fd, sa, to->len) != 0 && errno != EINPROGRESS && errno != EAGAIN) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    round->fd_plus_one = fd + 1; /* EAGAIN: a Unix socket whose queue is full: somebody is there */
    round->until = now + PATIENCE;
    return true;
}

/* What has come of the attempt: an errno, 0: somebody accepts, EINPROGRESS: nothing yet. */
static int result_of(const abl_round_t *round)
{
    struct pollfd pfd = {.fd = round->fd_plus_one - 1, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof(error);

    if (poll(&pfd, 1, 0) != 1) {
        return EINPROGRESS;
    }
    if (getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return errno;
    }
    return error == 0 && abl_check_is_itself(pfd.fd) ? ECONNREFUSED : error;
}

/* At most so long after an attempt the next one begins. */
static int64_t pause_max(const abl_patrol_t *patrol)
{
    int64_t pause = patrol->out * PAUSE_EACH;

    return pause > PAUSE_MAX ? pause : PAUSE_MAX;
}

/* Begins, or goes on. As result_of(). */
static int try_it(const abl_patrol_t *patrol, abl_round_t *round, const abl_target_t *target, bool away,
                  int64_t now)
{
    int64_t most;
    int result;

    if (round->fd_plus_one == 0 && !begin(round, target, now)) {
        result = errno;
    } else {
        result = result_of(round);
    }
    if (result != EINPROGRESS || now >= round->until) {
        round->refused = result == ECONNREFUSED || result == ENOENT ? round->refused + 1 : 0;
        give_up(round);
    }
    most = round->fd_plus_one != 0 ? PAUSE_MAX : pause_max(patrol);
    if (result == EINPROGRESS || away) {
        round->pause = round->pause * 2 < most ? round->pause * 2 : most;
    } else {
        round->pause = PAUSE_EJECTED;
    }
    round->at = now + round->pause;
    return result;
}

/* Letters' case in a balancer's name means nothing. */
static uint64_t key_of(const char *balancer, const char *address)
{
    char name[ABL_NAME_MAX + 1];
    size_t i;

    for (i = 0; i < ABL_NAME_MAX && balancer[i] != '\0'; i++) {
        name[i] = (char)tolower((unsigned char)balancer[i]);
    }
    return abl_hash_text(address) ^ (abl_hash(name, i) << 1);
}

static void index_targets(abl_patrol_t *patrol)
{
    int i;

    (void)abl_index_begin(&patrol->targets, patrol->conf.ntargets);
    for (i = 0; i < patrol->conf.ntargets; i++) {
        const abl_target_t *target = &patrol->conf.targets[i];
        abl_index_add(&patrol->targets, key_of(target->balancer, target->address), (void *)target);
    }
}

static const abl_target_t *target_of(const abl_patrol_t *patrol, const abl_health_view_t *view)
{
    return abl_index_find(&patrol->targets, key_of(view->balancer, view->address));
}

/* ---- what is said ----------------------------------------------------------------------------------- */

static void say_away(abl_round_t *round, const abl_health_view_t *view, int64_t now)
{
    if (view->away && !round->away) {
        round->since = now;
        abl_say(ABL_SAY_WARNING, view->error,
                "ABL0070: balancer %s: %s cannot be reached; nothing is sent there until it accepts "
                "connections again",
                view->balancer, view->name);
    } else if (!view->away && round->away) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0071: balancer %s: %s accepts connections again, after %.1f s",
                view->balancer, view->name, (double)(now - round->since) / (double)ABL_SECOND);
    }
    round->away = view->away;
}

static void say_ejected(abl_round_t *round, const abl_health_view_t *view, int64_t now)
{
    double seconds = (double)(view->until - now) / (double)ABL_SECOND;

    if (view->ejected && !round->ejected && view->by_wish) {
        abl_say(ABL_SAY_WARNING, 0,
                "ABL0076: balancer %s: %s is left out for %.1f s: it has asked for it (Retry-After)",
                view->balancer, view->name, seconds);
    } else if (view->ejected && !round->ejected && view->by_hand) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0084: balancer %s: %s is left out for %.1f s, by hand", view->balancer,
                view->name, seconds);
    } else if (view->ejected && !round->ejected) {
        abl_say(ABL_SAY_WARNING, 0,
                view->by_rate
                    ? "ABL0072: balancer %s: %s is left out for %.1f s: %u %% of its requests have failed"
                    : "ABL0073: balancer %s: %s is left out for %.1f s: its requests fail, %u in a row",
                view->balancer, view->name, seconds, view->fails);
    } else if (!view->ejected && round->ejected) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0074: balancer %s: %s gets requests again", view->balancer,
                view->name);
    }
    round->ejected = view->ejected;
}

/* ---- the round -------------------------------------------------------------------------------------- */

static void look_at(abl_round_t *round, const abl_health_view_t *view, int64_t now)
{
    uint64_t who = abl_hash_text(view->address) ^ (abl_hash_text(view->balancer) << 1) ^ view->id;

    if (round->who != who) {
        give_up(round);
        *round = (abl_round_t){.who = who};
    }
    if ((view->away && !round->away) || (view->ejected && !round->ejected)) {
        round->pause = PAUSE_MIN / 2;
        round->at = now;
    } else if (!view->away && !view->ejected) {
        give_up(round);
    }
    say_away(round, view, now);
    say_ejected(round, view, now);
}

static void forget(const abl_patrol_t *patrol, uint32_t row)
{
    abl_round_t *round = &patrol->rounds[row];

    if (patrol->checkup != NULL) {
        abl_checkup_forget(patrol->checkup, row);
    }
    if (round->who != 0) { /* else its memory has never been touched */
        give_up(round);
        *round = (abl_round_t){.who = 0};
    }
}

void abl_patrol_configure(abl_patrol_t *patrol, const abl_board_conf_t *conf)
{
    patrol->conf = *conf;
    index_targets(patrol);
    if (patrol->checkup != NULL) {
        abl_checkup_reset(patrol->checkup);
    }
    abl_patrol_look(patrol);
}

void abl_patrol_look(abl_patrol_t *patrol)
{
    abl_health_view_t view;
    int64_t now = abl_clock_now();
    uint32_t row = 0, seen = 0;

    patrol->out = 0;
    while (abl_health_next(patrol->segment, patrol->child, &row, &view)) {
        while (++seen < row) {
            forget(patrol, seen);
        }
        look_at(&patrol->rounds[row], &view, now);
        if (patrol->checkup != NULL) {
            abl_checkup_look(patrol->checkup, row, &view, target_of(patrol, &view), now);
        }
        patrol->used = row > patrol->used ? row : patrol->used;
        patrol->out += view.away || view.ejected;
    }
    while (++seen <= patrol->used) {
        forget(patrol, seen);
    }
}

/* True: it is no more what it was, and the bell rings. */
static bool settle(const abl_patrol_t *patrol, const abl_target_t *target, abl_round_t *round,
                   const abl_health_view_t *view, int result)
{
    const abl_gate_t gate = {patrol->segment, patrol->child, view->balancer, view->address};

    if (view->away) {
        return result == 0 && abl_health_back(&gate);
    }
    if (round->refused >= target->naddresses) {
        abl_health_gone(&gate, result);
        return true;
    }
    return false;
}

/* Who answers checks has to pass one: accepting connections is not enough. */
static bool is_asked(const abl_target_t *target)
{
    return target->check != NULL && target->check->uri != NULL;
}

static bool is_out(const abl_round_t *round)
{
    return round->away || round->ejected;
}

static int count_under_way(const abl_patrol_t *patrol)
{
    uint32_t row;
    int n = 0;

    for (row = 1; row <= patrol->used; row++) {
        n += patrol->rounds[row].fd_plus_one != 0;
    }
    return n;
}

/* One that is out, and due. False: the bell rings for it, or it is not to be tried here. */
static bool try_one(const abl_patrol_t *patrol, uint32_t row, int64_t now)
{
    abl_round_t *round = &patrol->rounds[row];
    const abl_target_t *target;
    abl_health_view_t view;
    abl_target_at_t at;
    uint32_t next = row - 1;

    if (!abl_health_next(patrol->segment, patrol->child, &next, &view) || next != row) {
        return false;
    }
    target = view.away || view.ejected ? abl_target_where(patrol->segment, row, target_of(patrol, &view), &at)
                                       : NULL;
    if (target == NULL || (view.away && is_asked(target))) {
        round->at = now + PAUSE_MAX;
        return false;
    }
    return !settle(patrol, target, round, &view, try_it(patrol, round, target, view.away, now));
}

static int64_t try_all(const abl_patrol_t *patrol, int64_t now)
{
    int64_t next = INT64_MAX;
    int under_way = count_under_way(patrol);
    uint32_t row;

    for (row = 1; row <= patrol->used; row++) {
        const abl_round_t *round = &patrol->rounds[row];
        bool was_under_way = round->fd_plus_one != 0;
        int64_t due = round->at;
        if (!is_out(round)) {
            continue;
        }
        if (due <= now && !was_under_way && under_way >= UNDER_WAY_MAX) {
            due = now + PAUSE_MIN;
        } else if (due <= now) {
            due = try_one(patrol, row, now) ? round->at : INT64_MAX;
            under_way += (round->fd_plus_one != 0) - was_under_way;
        }
        next = due < next ? due : next;
    }
    return next;
}

int64_t abl_patrol_work(abl_patrol_t *patrol, int64_t now)
{
    int64_t tick = abl_health_tick(patrol->segment, patrol->child);
    int64_t next = patrol->out > 0 ? try_all(patrol, now) : INT64_MAX;

    return tick < next ? tick : next;
}
