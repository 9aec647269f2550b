/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking after the instances of one application.
 */
#include "control/supervise.h"

#include "base/clock.h"
#include "control/proc.h"
#include "control/say.h"
#include "control/spawn.h"
#include "ledger/gate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_EVERY (10 * ABL_MS)  /* while it starts */
#define DRAIN_EVERY (10 * ABL_MS)  /* while it drains */
#define RATION_EVERY (20 * ABL_MS) /* while it works by ration */
#define READY_EVERY (100 * ABL_MS)
#define FILE_EVERY ABL_SECOND
#define CROWD_EVERY (100 * ABL_MS)
#define STRANGER_PAUSE (10 * ABL_SECOND) /* before an address that somebody else has is tried again */
#define OUTPUT_AT_ONCE 65536             /* bytes; then it is the others' turn */
#define LINES_AT_ONCE 1000               /* of one instance, to the error log */
#define LINES_A_SECOND 100
#define MARK_MAX 256
#define FEW_REQUESTS 5 /* memory= used up by fewer than so many: it is too small */

static void tell(abl_team_t *team, int slot, abl_instance_event_t event, abl_leave_t why);

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static abl_instance_t *instance_of(const abl_team_t *team, int slot)
{
    return &team->row->crowd.slots[slot].instance;
}

static abl_board_slot_t *slot_of(const abl_team_t *team, int slot)
{
    return &team->row->slots[slot];
}

/* With the row's number: an application whose addresses have changed is there twice, until the instances of
 * the former one have ended, and what is killed then are theirs. */
static const char *mark_of(const abl_team_t *team, int slot, char mark[MARK_MAX])
{
    (void)snprintf(mark, MARK_MAX, "%s%d/%s/%s/%d", abl_board_mark(team->board), team->index,
                   team->row->balancer, team->row->name, slot);
    return mark;
}

/* ---- what it says ----------------------------------------------------------------------------------- */

typedef struct speaker_t {
    abl_team_t *team;
    int slot;
} speaker_t;

/* May one more line go to the error log? Who writes without end must not fill it. */
static bool may_say(abl_hand_t *hand, int64_t now)
{
    int64_t more = (now - hand->lines_at) / (ABL_SECOND / LINES_A_SECOND);

    if (more > 0) {
        hand->lines = hand->lines + more < LINES_AT_ONCE ? hand->lines + (int)more : LINES_AT_ONCE;
        hand->lines_at = now;
    }
    hand->left_out += hand->lines == 0;
    return hand->lines > 0 && hand->lines-- > 0;
}

static void on_line(void *ctx, const char *line, size_t len)
{
    const speaker_t *speaker = ctx;
    abl_team_t *team = speaker->team;
    abl_hand_t *hand = &team->hands[speaker->slot];
    long pid = slot_of(team, speaker->slot)->pid;
    int64_t now = abl_clock_now();

    if ((team->log.to != NULL && abl_log_line(&team->log, line, len, now)) || !may_say(hand, now)) {
        return;
    }
    if (hand->left_out > 0) {
        abl_say(ABL_SAY_WARNING, 0, "ABL0049: %s[%d] %ld: %llu lines were left out", team->row->name,
                speaker->slot + 1, pid, (unsigned long long)hand->left_out);
        hand->left_out = 0;
    }
    abl_say(ABL_SAY_OUTPUT, 0, "ABL0030: %s[%d] %ld: %.*s", team->row->name, speaker->slot + 1, pid, (int)len,
            line);
}

static void close_output(abl_team_t *team, int slot)
{
    abl_hand_t *hand = &team->hands[slot];
    speaker_t speaker = {team, slot};

    if (hand->output_plus_one != 0) {
        close(hand->output_plus_one - 1);
        hand->output_plus_one = 0;
        abl_output_end(hand->output, on_line, &speaker);
    }
}

void abl_team_on_output(abl_team_t *team, int slot)
{
    abl_hand_t *hand = &team->hands[slot];
    speaker_t speaker = {team, slot};

    if (hand->output_plus_one != 0 &&
        !abl_output_read(hand->output, hand->output_plus_one - 1, OUTPUT_AT_ONCE, on_line, &speaker)) {
        close_output(team, slot);
    }
}

/* From now on what comes there is read. */
static void listen_to(abl_team_t *team, int slot, int fd)
{
    abl_hand_t *hand = &team->hands[slot];

    if (hand->output == NULL) {
        hand->output = malloc(sizeof(*hand->output));
    }
    if (hand->output == NULL) {
        close(fd);
        return;
    }
    abl_output_clear(hand->output);
    hand->output_plus_one = fd + 1;
    team->watch->output(team->watch->ctx, fd, team->index, slot);
}

/* ---- starting --------------------------------------------------------------------------------------- */

/* The address is another's: this slot waits. */
static void avoid(abl_team_t *team, int slot, int64_t now)
{
    team->row->crowd.slots[slot].blocked_until = now + STRANGER_PAUSE;
    if (!team->hands[slot].told) {
        team->hands[slot].told = true;
        abl_say(ABL_SAY_WARNING, 0,
                "ABL0031: balancer %s: application %s: %s is in use by somebody else; no instance is "
                "started there until it is free",
                team->row->balancer, team->row->name, slot_of(team, slot)->address);
    }
}

static void note_failure(abl_team_t *team, int slot, int status, const char *why)
{
    abl_board_death_t *death = &team->row->death;
    const abl_output_t *output = team->hands[slot].output;
    unsigned i;

    memset(death, 0, sizeof(*death));
    death->at = abl_clock_now();
    death->pid = slot_of(team, slot)->pid;
    death->slot = slot;
    death->status = status;
    (void)snprintf(death->why, sizeof(death->why), "%s", why);
    for (i = 0; output != NULL && i < ABL_LAST_LINES && abl_output_last(output, i) != NULL; i++) {
        (void)snprintf(death->lines[i], sizeof(death->lines[i]), "%s", abl_output_last(output, i));
    }
    team->row->deaths++;
}

static void spawn_failed(abl_team_t *team, int slot, const char *why, int error)
{
    note_failure(team, slot, -1, why);
    abl_say(ABL_SAY_ERROR, error, "ABL0032: balancer %s: application %s: an instance cannot be started: %s",
            team->row->balancer, team->row->name, why);
    tell(team, slot, ABL_EVENT_NOT_BEGUN, ABL_LEAVE_NOT);
}

/* The process is there. */
static void born(abl_team_t *team, int slot, pid_t pid, int output)
{
    abl_board_slot_t *s = slot_of(team, slot);

    s->began = abl_proc_began(pid);
    s->pid = pid;
    s->served = 0;
    s->too_small = false;
    s->spawned_at = abl_clock_now();
    abl_wear_begin(&s->wear, &team->conf->wear, (uint32_t)random(), team->row->start_time);
    team->row->starts++;
    team->hands[slot].ours = true;
    team->hands[slot].look_at = 0;
    listen_to(team, slot, output);
}

static void spawn_instance(abl_team_t *team, int slot)
{
    char why[ABL_SPAWN_WHY_MAX] = "";
    char mark[MARK_MAX];
    abl_spawn_t spawn = {.app = team->conf, .slot = slot, .mark = mark_of(team, slot, mark), .listener = -1};
    apr_status_t rv = APR_SUCCESS;
    int fds[2];
    pid_t pid = -1;

    slot_of(team, slot)->pid = 0;
    if (team->conf->place == ABL_PLACE_FD) {
        spawn.listener = abl_spawn_listen(team->conf, slot);
        if (spawn.listener < 0) {
            spawn_failed(team, slot, "its address cannot be listened at", errno);
            return;
        }
    }
    if (abl_spawn_pipe(fds) == 0) {
        spawn.output = fds[1];
        pid = abl_spawn(&spawn, why, &rv);
        close(fds[1]);
        if (pid < 0) {
            close(fds[0]);
        }
    } else {
        rv = errno;
        (void)snprintf(why, sizeof(why), "there is no pipe for its output");
    }
    if (spawn.listener >= 0) {
        close(spawn.listener);
    }
    if (pid < 0) {
        spawn_failed(team, slot, why, rv);
    } else {
        born(team, slot, pid, fds[0]);
    }
}

/* ---- ending ----------------------------------------------------------------------------------------- */

/* Nothing is signalled whose pid may be somebody else's by now. */
static void send_signal(const abl_team_t *team, int slot, int signal, bool group)
{
    const abl_board_slot_t *s = slot_of(team, slot);

    if (s->pid > 1 && (team->hands[slot].ours || abl_proc_began(s->pid) == s->began)) {
        (void)(group ? abl_proc_signal_group(s->pid, signal) : kill(s->pid, signal));
    }
}

/* The instance has ended: what it has left of its group and of its mark is killed. When nobody has looked for
 * a while, a process of this number may be somebody else, with a group of his own. */
static void sweep(abl_team_t *team, int slot)
{
    const abl_board_slot_t *s = slot_of(team, slot);
    uint64_t began = abl_proc_began(s->pid);
    char mark[MARK_MAX];

    if (s->pid > 1 && (began == 0 || began == s->began)) {
        (void)abl_proc_signal_group(s->pid, SIGKILL);
    }
    (void)abl_proc_signal_marked(mark_of(team, slot, mark), false, SIGKILL);
    abl_probe_end(&team->hands[slot].probe);
    team->hands[slot].told = false;
}

/* ---- actions ---------------------------------------------------------------------------------------- */

static void measure_memory(abl_team_t *team, int slot, uint64_t done, int64_t now)
{
    abl_board_slot_t *s = slot_of(team, slot);
    uint64_t memory = abl_proc_memory(s->pid);

    if (memory != 0) {
        abl_wear_measure(&s->wear, memory, done, now);
    }
}

/* What it has before its first request is known before it gets one. */
static void open_gate(abl_team_t *team, int slot)
{
    const abl_board_slot_t *s = slot_of(team, slot);

    if (team->conf->wear.memory != 0) {
        measure_memory(team, slot, 0, abl_clock_now());
    }
    (void)abl_gate_open(team->segment, team->child, team->row->balancer, s->address,
                        abl_wear_most(&s->wear, &team->conf->wear));
}

static void charge(abl_team_t *team, int64_t ready_at)
{
    bool failed = team->row->crowd.failed;
    bool rolling = abl_crowd_is_rolling(&team->row->crowd);

    abl_crowd_charge(&team->row->crowd, &team->row->conf, ready_at, abl_clock_now());
    if (team->row->crowd.failed && !failed) {
        abl_say(
            ABL_SAY_ERROR, 0,
            "ABL0033: balancer %s: application %s has failed: %d of its instances have not become ready, or "
            "ended at once, in %d s; it is tried again every %d s",
            team->row->balancer, team->row->name, team->row->conf.failures,
            (int)(team->row->conf.within / ABL_SECOND), (int)(team->row->conf.retry / ABL_SECOND));
    }
    if (rolling && !abl_crowd_is_rolling(&team->row->crowd)) {
        abl_say(
            ABL_SAY_ERROR, 0,
            "ABL0034: balancer %s: application %s: the rolling restart stops, because a new instance does "
            "not work; the old ones stay",
            team->row->balancer, team->row->name);
    }
}

/* What the state machine wants because of an event. */
static void act(abl_team_t *team, int slot, unsigned actions, int64_t ready_at)
{
    if (actions & ABL_DO_SHUT) {
        abl_gate_shut(team->segment, team->child, team->row->balancer, slot_of(team, slot)->address);
    }
    if (actions & ABL_DO_OPEN) {
        team->row->start_time = abl_clock_now() - slot_of(team, slot)->spawned_at;
        open_gate(team, slot);
    }
    if (actions & ABL_DO_QUIT) {
        send_signal(team, slot, SIGQUIT, false);
    }
    if (actions & ABL_DO_TERM) {
        send_signal(team, slot, SIGTERM, false);
    }
    if (actions & ABL_DO_KILL) {
        send_signal(team, slot, SIGKILL, true);
    }
    if (actions & ABL_DO_SWEEP) {
        sweep(team, slot);
    }
    if (actions & ABL_DO_CHARGE) {
        charge(team, ready_at);
    }
    if (actions & ABL_DO_SPAWN) {
        team->row->crowd.slots[slot].worn = ABL_LEAVE_NOT;
        team->row->crowd.slots[slot].round = team->row->crowd.round;
        spawn_instance(team, slot);
    }
}

static void tell(abl_team_t *team, int slot, abl_instance_event_t event, abl_leave_t why)
{
    abl_instance_t *instance = instance_of(team, slot);
    int64_t ready_at = instance->ready_at;

    act(team, slot, abl_instance_step(instance, &team->row->conf.times, event, why, abl_clock_now()),
        ready_at);
}

/* ---- the end of a process --------------------------------------------------------------------------- */

static const char *say_status(int status, char *text, size_t room)
{
    if (status < 0) {
        (void)snprintf(text, room, "how is not known, because its first parent had been killed");
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(text, room, "signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                       WCOREDUMP(status) ? ", core dumped" : "");
    } else {
        (void)snprintf(text, room, "exit status %d", WEXITSTATUS(status));
    }
    return text;
}

static void say_end(abl_team_t *team, int slot, int status)
{
    const abl_instance_t *instance = instance_of(team, slot);
    char text[128];
    bool asked = instance->leave != ABL_LEAVE_NOT;

    (void)say_status(status, text, sizeof(text));
    if (!asked || instance->leave == ABL_LEAVE_SLOW || instance->leave == ABL_LEAVE_STUCK) {
        char why[200];
        (void)snprintf(why, sizeof(why), "%s%s%s", asked ? abl_leave_name(instance->leave) : "",
                       asked ? "; " : "", text);
        note_failure(team, slot, status, why);
    }
    abl_say(asked ? ABL_SAY_INFO : ABL_SAY_ERROR, 0,
            "ABL0035: balancer %s: application %s: instance %d (pid %ld) has ended%s%s: %s",
            team->row->balancer, team->row->name, slot + 1, (long)slot_of(team, slot)->pid,
            asked ? ", as it should: " : " unasked", asked ? abl_leave_name(instance->leave) : "", text);
}

static void ended(abl_team_t *team, int slot, int status)
{
    abl_hand_t *hand = &team->hands[slot];

    abl_team_on_output(team, slot); /* its last words */
    close_output(team, slot);
    if (hand->pidfd_plus_one != 0) {
        close(hand->pidfd_plus_one - 1);
        hand->pidfd_plus_one = 0;
    }
    say_end(team, slot, status);
    tell(team, slot, ABL_EVENT_EXIT, ABL_LEAVE_NOT);
    hand->ours = false;
    slot_of(team, slot)->pid = 0;
    slot_of(team, slot)->wear = (abl_wear_t){0};
}

bool abl_team_on_exit(abl_team_t *team, pid_t pid, int status)
{
    int i;

    for (i = 0; i < team->row->crowd.n; i++) {
        if (team->hands[i].ours && slot_of(team, i)->pid == pid) {
            ended(team, i, status);
            return true;
        }
    }
    return false;
}

void abl_team_on_pidfd(abl_team_t *team, int slot)
{
    if (team->hands[slot].pidfd_plus_one != 0) {
        ended(team, slot, -1);
    }
}

/* ---- taking over ------------------------------------------------------------------------------------ */

/* A running instance of a predecessor. */
static bool adopt(abl_team_t *team, int slot)
{
    const abl_board_slot_t *s = slot_of(team, slot);
    int fd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    int output;

    if (fd < 0 || abl_proc_began(s->pid) != s->began) { /* in this order: now the number is held */
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    team->hands[slot].pidfd_plus_one = fd + 1;
    team->watch->pidfd(team->watch->ctx, fd, team->index, slot);
    output = abl_spawn_reopen_output(s->pid);
    if (output >= 0) {
        listen_to(team, slot, output);
    }
    return true;
}

/* The predecessor may have been killed between a step of the state machine and what it asks for: what can be
 * done twice is done again. */
static void take_over(abl_team_t *team, int slot)
{
    abl_instance_state_t state = instance_of(team, slot)->state;

    if (state != ABL_INSTANCE_READY) {
        abl_gate_shut(team->segment, team->child, team->row->balancer, slot_of(team, slot)->address);
    }
    if (state == ABL_INSTANCE_NONE) {
        if (slot_of(team, slot)->pid != 0) {
            sweep(team, slot);
            slot_of(team, slot)->pid = 0;
        }
    } else if (slot_of(team, slot)->pid == 0 || !adopt(team, slot)) {
        ended(team, slot, -1);
    }
}

void abl_team_take_over(abl_team_t *team)
{
    int i;

    for (i = 0; i < team->row->crowd.n; i++) {
        take_over(team, i);
    }
}

/* ---- looking at what runs --------------------------------------------------------------------------- */

static int64_t look_at_starting(abl_team_t *team, int slot, int64_t now)
{
    if (team->conf == NULL) {
        tell(team, slot, ABL_EVENT_STOP, ABL_LEAVE_REMOVED);
        return now;
    }
    switch (abl_probe_look(&team->hands[slot].probe, team->conf, slot, slot_of(team, slot)->pid, now)) {
    case ABL_PROBE_READY:
        abl_probe_end(&team->hands[slot].probe);
        if (!abl_spawn_hand_over(team->conf, slot)) {
            return now + PROBE_EVERY;
        }
        tell(team, slot, ABL_EVENT_READY, ABL_LEAVE_NOT);
        abl_say(ABL_SAY_INFO, 0,
                "ABL0036: balancer %s: application %s: instance %d (pid %ld) is ready after %d ms",
                team->row->balancer, team->row->name, slot + 1, (long)slot_of(team, slot)->pid,
                (int)(team->row->start_time / ABL_MS));
        return now;
    case ABL_PROBE_STRANGER:
        avoid(team, slot, now);
        tell(team, slot, ABL_EVENT_STOP, ABL_LEAVE_SPARE);
        return now;
    default:
        return now + PROBE_EVERY;
    }
}

/* Its memory was used up by hardly any request: replacing it at once would go on like that for ever. */
static void charge_memory(abl_team_t *team, int slot)
{
    abl_board_slot_t *s = slot_of(team, slot);
    char why[128];

    if (s->too_small) {
        return;
    }
    s->too_small = true;
    (void)snprintf(why, sizeof(why), "memory= is too small: it had %d MB after %d requests",
                   (int)(s->wear.memory >> 20), (int)s->served);
    note_failure(team, slot, 0, why);
    abl_say(ABL_SAY_WARNING, 0, "ABL0050: balancer %s: application %s: instance %d (pid %ld): %s",
            team->row->balancer, team->row->name, slot + 1, (long)s->pid, why);
    charge(team, 0);
}

static void wear_out(abl_team_t *team, int slot, const abl_gate_view_t *view, int64_t now)
{
    abl_board_slot_t *s = slot_of(team, slot);
    const abl_wear_conf_t *conf = &team->conf->wear;
    uint64_t done = view->requests - view->busy; /* what the others cost is still to come */
    abl_leave_t why;
    uint64_t most;

    s->served = view->requests;
    if (now >= abl_wear_due(&s->wear, conf, done, now)) {
        measure_memory(team, slot, done, now);
    }
    why = abl_wear_judge(&s->wear, conf, s->served, instance_of(team, slot)->ready_at, now);
    if (why != ABL_LEAVE_NOT && team->row->crowd.slots[slot].worn == ABL_LEAVE_NOT) {
        team->row->crowd.slots[slot].worn = why;
    }
    if (why == ABL_LEAVE_MEMORY && s->served < FEW_REQUESTS && s->wear.memory >= conf->memory) {
        charge_memory(team, slot);
    }
    most = abl_wear_most(&s->wear, conf);
    abl_gate_ration(team->segment, team->child, team->row->balancer, s->address, most);
    if (most > s->served) {
        return;
    }
    if (conf->memory != 0 && s->wear.served_then != s->served) {
        return; /* what the last ones have cost is not known yet: there may be room for more */
    }
    if (why == ABL_LEAVE_MEMORY && s->served < FEW_REQUESTS) {
        charge_memory(team, slot);
    }
    if (why != ABL_LEAVE_NOT) {
        tell(team, slot, ABL_EVENT_RETIRE, why);
    }
}

/* The ledger has no such member: no room for it, or nobody is left who knew it. */
static int64_t nobody_asks(abl_team_t *team, int slot, int64_t now)
{
    if (team->conf == NULL) {
        tell(team, slot, ABL_EVENT_RETIRE, ABL_LEAVE_REMOVED);
        return now;
    }
    return now + READY_EVERY;
}

/* It is not in the configuration any more: children that end may still have requests for it, and nobody else.
 */
static int64_t look_at_gone(abl_team_t *team, int slot, int64_t now)
{
    int64_t until = team->row->gone_at + team->row->conf.times.drain;

    if (now >= until) {
        tell(team, slot, ABL_EVENT_RETIRE, ABL_LEAVE_REMOVED);
        return now;
    }
    return earlier(until, now + READY_EVERY);
}

/* A child has found nobody at its address. */
static int64_t look_at_suspect(abl_team_t *team, int slot, int64_t now)
{
    abl_probe_t *probe = &team->hands[slot].probe;

    switch (abl_probe_look(probe, team->conf, slot, slot_of(team, slot)->pid, now)) {
    case ABL_PROBE_READY:
        abl_probe_end(probe);
        abl_gate_clear(team->segment, team->child, team->row->balancer, slot_of(team, slot)->address);
        return now + READY_EVERY;
    case ABL_PROBE_STRANGER:
        avoid(team, slot, now);
        tell(team, slot, ABL_EVENT_STOP, ABL_LEAVE_SPARE);
        return now;
    default:
        return now + PROBE_EVERY;
    }
}

static int64_t look_at_ready(abl_team_t *team, int slot, int64_t now)
{
    const abl_board_slot_t *s = slot_of(team, slot);
    abl_gate_view_t view;
    bool works;

    abl_crowd_praise(&team->row->crowd, instance_of(team, slot), now);
    if (!abl_gate_look(team->segment, team->child, team->row->balancer, s->address, &view)) {
        return nobody_asks(team, slot, now);
    }
    if (team->conf == NULL) {
        return look_at_gone(team, slot, now);
    }
    if (view.suspected) {
        return look_at_suspect(team, slot, now);
    }
    if (!view.is_open) { /* the configuration has begun to look after this address: it has to be told */
        open_gate(team, slot);
        return now;
    }
    if (view.accused) {
        abl_say(
            ABL_SAY_ERROR, 0,
            "ABL0037: balancer %s: application %s: instance %d (pid %ld) has had a request for longer than "
            "stuck=; it is ended",
            team->row->balancer, team->row->name, slot + 1, (long)s->pid);
        tell(team, slot, ABL_EVENT_STUCK, ABL_LEAVE_STUCK);
        return now;
    }
    works = view.requests != s->served;
    wear_out(team, slot, &view, now);
    return now + (works && team->conf->wear.memory != 0 ? RATION_EVERY : READY_EVERY);
}

static int64_t look_at_draining(abl_team_t *team, int slot, int64_t now)
{
    abl_gate_view_t view = {0};

    (void)abl_gate_look(team->segment, team->child, team->row->balancer, slot_of(team, slot)->address, &view);
    if (view.busy == 0) {
        tell(team, slot, ABL_EVENT_IDLE, ABL_LEAVE_NOT);
    } else if (view.accused) {
        tell(team, slot, ABL_EVENT_STUCK, ABL_LEAVE_STUCK);
    }
    return now + DRAIN_EVERY;
}

/* Returns when it wants to be looked at again. */
static int64_t look_at(abl_team_t *team, int slot, int64_t now)
{
    switch (instance_of(team, slot)->state) {
    case ABL_INSTANCE_STARTING:
        return look_at_starting(team, slot, now);
    case ABL_INSTANCE_READY:
        return look_at_ready(team, slot, now);
    case ABL_INSTANCE_DRAINING:
        return look_at_draining(team, slot, now);
    default:
        return INT64_MAX;
    }
}

static int64_t work_on(abl_team_t *team, int slot, int64_t now)
{
    abl_hand_t *hand = &team->hands[slot];
    abl_instance_t *instance = instance_of(team, slot);

    if (instance->state == ABL_INSTANCE_NONE) {
        return INT64_MAX;
    }
    if (now >= instance->deadline) {
        tell(team, slot, ABL_EVENT_TIME, ABL_LEAVE_NOT);
        hand->look_at = 0;
    }
    if (now >= hand->look_at) {
        hand->look_at = look_at(team, slot, now);
    }
    return earlier(instance->deadline, hand->look_at);
}

/* ---- all of them ------------------------------------------------------------------------------------ */

static void measure_crowd(abl_team_t *team, int64_t now)
{
    int i, needed = 0;
    uint64_t busy = 0;

    for (i = 0; i < team->row->crowd.n; i++) {
        abl_gate_view_t view;
        if (instance_of(team, i)->state == ABL_INSTANCE_READY &&
            abl_gate_look(team->segment, team->child, team->row->balancer, slot_of(team, i)->address,
                          &view)) {
            busy += view.busy;
        }
    }
    needed = team->conf->concurrency != 0
                 ? (int)((busy + team->conf->concurrency - 1) / team->conf->concurrency)
                 : busy > 0;
    abl_crowd_measure(&team->row->crowd, &team->row->conf, needed,
                      abl_gate_head_age(team->segment, team->child, team->row->balancer), now);
    team->crowd_at = now + CROWD_EVERY;
}

static void look_at_restart_file(abl_team_t *team, int64_t now)
{
    struct stat st;
    int64_t changed = 0;

    if (stat(team->conf->restart_file, &st) == 0 && S_ISREG(st.st_mode)) {
        changed = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    if (team->row->restart_file != 0 && changed > team->row->restart_file) {
        abl_team_roll(team, "restart-file=");
    }
    team->row->restart_file = changed != 0 ? changed : 1; /* 1: there is none, and one that comes is new */
    team->file_at = now + FILE_EVERY;
}

/* Starts and retires as many as have to be. Returns when it has to be asked again. */
static int64_t decide(abl_team_t *team)
{
    for (;;) {
        int64_t now = abl_clock_now();
        abl_decision_t decision = abl_crowd_decide(&team->row->crowd, &team->row->conf, now);
        if (decision.move == ABL_MOVE_NONE) {
            return decision.again;
        }
        team->hands[decision.slot].look_at = 0;
        if (decision.move == ABL_MOVE_RETIRE) {
            tell(team, decision.slot, ABL_EVENT_RETIRE, decision.why);
        } else if (team->conf->place != ABL_PLACE_FD && !abl_spawn_is_free(team->conf, decision.slot)) {
            avoid(team, decision.slot, now);
        } else {
            tell(team, decision.slot, ABL_EVENT_START, ABL_LEAVE_NOT);
        }
    }
}

int64_t abl_team_work(abl_team_t *team, int64_t now)
{
    int64_t again = INT64_MAX;
    int i;

    if (team->conf != NULL && !team->row->crowd.stops) {
        if (now >= team->file_at) {
            look_at_restart_file(team, now);
        }
        if (now >= team->crowd_at && team->conf->crowd.least != team->conf->crowd.most) {
            measure_crowd(team, now);
        }
        again = earlier(team->file_at,
                        team->conf->crowd.least != team->conf->crowd.most ? team->crowd_at : INT64_MAX);
    }
    for (i = 0; i < team->row->crowd.n; i++) {
        again = earlier(again, work_on(team, i, now));
    }
    if (team->conf != NULL && !team->row->crowd.stops) {
        again = earlier(again, decide(team));
    }
    for (i = 0; i < team->row->crowd.n; i++) { /* what has just begun to start or to drain */
        again =
            instance_of(team, i)->state != ABL_INSTANCE_NONE ? earlier(again, team->hands[i].look_at) : again;
    }
    return again;
}

void abl_team_roll(abl_team_t *team, const char *why)
{
    abl_say(ABL_SAY_NOTICE, 0, "ABL0038: balancer %s: application %s: rolling restart (%s)",
            team->row->balancer, team->row->name, why);
    abl_crowd_roll(&team->row->crowd);
}

void abl_team_use(abl_team_t *team, int n)
{
    int i;

    for (i = 0; i < team->row->crowd.n; i++) {
        int64_t *blocked = &team->row->crowd.slots[i].blocked_until;
        if (i >= n) {
            *blocked = INT64_MAX;
            tell(team, i, ABL_EVENT_RETIRE, ABL_LEAVE_REMOVED);
            team->hands[i].look_at = 0;
        } else if (*blocked == INT64_MAX) {
            *blocked = 0;
        }
    }
}

void abl_team_stop(abl_team_t *team, int64_t patience)
{
    abl_instance_times_t *times = &team->row->conf.times;
    int i;

    team->row->crowd.stops = true;
    times->stop = earlier(times->stop, patience);
    for (i = 0; i < team->row->crowd.n; i++) {
        tell(team, i, ABL_EVENT_STOP, ABL_LEAVE_STOP);
        instance_of(team, i)->deadline = earlier(instance_of(team, i)->deadline, abl_clock_now() + patience);
    }
}

void abl_team_look(abl_team_t *team)
{
    int i;

    for (i = 0; i < team->row->crowd.n; i++) {
        team->hands[i].look_at = 0;
    }
}

bool abl_team_is_alive(const abl_team_t *team)
{
    return abl_crowd_count(&team->row->crowd, ABL_INSTANCE_NONE) < team->row->crowd.n;
}
