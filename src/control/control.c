/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process: one thread that waits in epoll for what its instances do and say.
 */
#include "control/control.h"

#include "base/clock.h"
#include "base/hash.h"
#include "control/proc.h"
#include "control/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS 64
#define ORPHAN_ROUNDS 100 /* each may uncover children of those before */
#define LAST_WORDS_MS 100 /* beyond the patience, until what was killed is gone */

/* What an event is about. */
typedef enum about_t { ABOUT_BELL, ABOUT_SIGNAL, ABOUT_PARENT, ABOUT_OUTPUT, ABOUT_PIDFD } about_t;

typedef struct office_t {
    const abl_control_t *control;
    abl_child_t *child; /* its seat in the ledger */
    int epoll;
    int signals;
    bool ends; /* httpd does */
    int64_t end_at;
    abl_watch_fns_t watch;
    abl_board_conf_t conf;
    abl_team_t *teams[ABL_APPS_MAX]; /* by row; NULL: the row is free */
} office_t;

/* ---- descriptors ------------------------------------------------------------------------------------ */

static uint64_t mark_of(about_t about, int team, int slot)
{
    return (uint64_t)about << 32 | (uint64_t)team << 8 | (uint64_t)slot;
}

static bool add(const office_t *office, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};

    return epoll_ctl(office->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void watch_output(void *ctx, int fd, int team, int slot)
{
    (void)add(ctx, fd, mark_of(ABOUT_OUTPUT, team, slot));
}

static void watch_pidfd(void *ctx, int fd, int team, int slot)
{
    (void)add(ctx, fd, mark_of(ABOUT_PIDFD, team, slot));
}

/* ---- what the configuration says -------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const char *text)
{
    return (hash ^ abl_hash_text(text != NULL ? text : "")) * UINT64_C(0x100000001b3);
}

/* Changes when an instance would be made differently. */
static uint64_t likeness(const abl_app_conf_t *app)
{
    uint64_t hash = mix((uint64_t)app->place, app->dir);
    int i;

    for (i = 0; app->argv[i] != NULL; i++) {
        hash = mix(hash, app->argv[i]);
    }
    for (i = 0; app->env[i] != NULL; i++) {
        hash = mix(hash + 1, app->env[i]);
    }
    for (i = 0; i < app->nlimits; i++) {
        hash = mix(hash ^ app->limits[i].value, "limit") + (uint64_t)app->limits[i].resource;
    }
    hash = mix(hash ^ app->uid, "uid");
    hash = mix(hash ^ app->gid, "gid");
    hash = mix(hash ^ (uint64_t)app->umask, "umask");
    return mix(hash ^ (uint64_t)app->nice, "nice");
}

static bool is_called(const abl_board_app_t *row, const abl_app_conf_t *app)
{
    return strcmp(row->name, app->name) == 0 && strcmp(row->balancer, app->balancer) == 0;
}

/* There may be more of them now, or fewer. */
static bool has_same_slots(const abl_board_app_t *row, const abl_app_conf_t *app)
{
    int i = 0;

    while (i < row->crowd.n && i < app->nslots && strcmp(row->slots[i].address, app->addresses[i]) == 0) {
        i++;
    }
    return i == row->crowd.n || i == app->nslots;
}

static void set_text(char *to, size_t room, const char *text)
{
    size_t len = strlen(text);

    len = len < room ? len : room - 1;
    memcpy(to, text, len);
    to[len] = '\0';
}

static void add_slots(abl_board_app_t *row, const abl_app_conf_t *app)
{
    int i;

    for (i = row->crowd.n; i < app->nslots; i++) {
        memset(&row->crowd.slots[i], 0, sizeof(row->crowd.slots[i]));
        memset(&row->slots[i], 0, sizeof(row->slots[i]));
        set_text(row->slots[i].address, sizeof(row->slots[i].address), app->addresses[i]);
    }
    row->crowd.n = i; /* last: now they count */
}

static void begin_row(abl_board_app_t *row, const abl_app_conf_t *app)
{
    memset(row, 0, sizeof(*row));
    add_slots(row, app);
    row->made_like = likeness(app);
    set_text(row->balancer, sizeof(row->balancer), app->balancer);
    set_text(row->name, sizeof(row->name), app->name); /* last: now it is not free any more */
}

static abl_team_t *hire(office_t *office, int i)
{
    abl_team_t *team = calloc(1, sizeof(*team));

    if (team == NULL) {
        return NULL;
    }
    team->index = i;
    team->board = office->control->board;
    team->segment = office->control->segment;
    team->child = office->child;
    team->watch = &office->watch;
    team->row = abl_board_app(team->board, i);
    office->teams[i] = team;
    return team;
}

/* Nobody of it is left. */
static void dismiss(office_t *office, int i)
{
    abl_team_t *team = office->teams[i];
    int slot;

    for (slot = 0; slot < ABL_SLOTS_OF_APP_MAX; slot++) {
        free(team->hands[slot].output);
    }
    abl_log_close(&team->log);
    memset(team->row, 0, sizeof(*team->row));
    free(team);
    office->teams[i] = NULL;
}

static void remove_team(abl_team_t *team)
{
    team->conf = NULL;
    (void)abl_log_open(&team->log, NULL);
    team->row->gone_at = team->row->gone_at != 0 ? team->row->gone_at : abl_clock_now();
    abl_team_look(team);
}

/* The team that this line is about; NULL: there is none yet. One whose addresses have changed is another; one
 * that was about to go stays. */
static abl_team_t *find_team(office_t *office, const abl_app_conf_t *app)
{
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (office->teams[i] != NULL && is_called(office->teams[i]->row, app)) {
            if (has_same_slots(office->teams[i]->row, app)) {
                office->teams[i]->row->gone_at = 0;
                return office->teams[i];
            }
            remove_team(office->teams[i]);
        }
    }
    return NULL;
}

static abl_team_t *new_team(office_t *office, const abl_app_conf_t *app)
{
    int i = 0;

    while (i < ABL_APPS_MAX && office->teams[i] != NULL) {
        i++;
    }
    if (i == ABL_APPS_MAX) {
        abl_say(ABL_SAY_ERROR, 0,
                "ABL0040: application %s: there are more than %d applications, with those that still end",
                app->name, ABL_APPS_MAX);
        return NULL;
    }
    begin_row(abl_board_app(office->control->board, i), app);
    return hire(office, i);
}

static void open_log(abl_team_t *team)
{
    apr_status_t rv = abl_log_open(&team->log, team->conf->log);

    if (rv != APR_SUCCESS) {
        abl_say(ABL_SAY_ERROR, rv,
                "ABL0041: application %s: log=%s cannot be opened; what it says goes to the error log",
                team->row->name, team->conf->log);
    }
}

static void apply_line(office_t *office, const abl_app_conf_t *app)
{
    abl_team_t *team = find_team(office, app);
    bool known = team != NULL;

    team = known ? team : new_team(office, app);
    if (team == NULL) {
        return;
    }
    team->conf = app;
    team->row->conf = app->crowd;
    add_slots(team->row, app);
    abl_team_use(team, app->nslots);
    open_log(team);
    if (known && team->row->made_like != likeness(app)) {
        abl_team_roll(team, "its line in the configuration has changed");
        team->row->made_like = likeness(app); /* last: who is killed before that leaves it to do again */
    }
}

static void apply_conf(office_t *office)
{
    int i;

    abl_segment_renew(office->child);
    office->conf = abl_board_take(office->control->board);
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (office->teams[i] != NULL) {
            office->teams[i]->conf = NULL; /* what it was is not readable any more */
        }
    }
    for (i = 0; i < office->conf.n; i++) {
        apply_line(office, &office->conf.apps[i]);
    }
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (office->teams[i] != NULL && office->teams[i]->conf == NULL) {
            remove_team(office->teams[i]);
        }
    }
}

/* ---- events ----------------------------------------------------------------------------------------- */

static void begin_to_end(office_t *office)
{
    int i;

    if (office->ends) {
        return;
    }
    office->ends = true;
    office->end_at = abl_clock_now() + (ABL_CONTROL_PATIENCE_MS + LAST_WORDS_MS) * ABL_MS;
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (office->teams[i] != NULL) {
            abl_team_stop(office->teams[i], ABL_CONTROL_PATIENCE_MS * ABL_MS);
        }
    }
}

static void roll_all(office_t *office)
{
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (office->teams[i] != NULL && office->teams[i]->conf != NULL && !office->ends) {
            abl_team_roll(office->teams[i], "SIGHUP");
        }
    }
}

/* What has ended: instances, and what these have left behind, whose parent this process has become. */
static void reap(office_t *office)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        int i = 0;
        while (i < ABL_APPS_MAX &&
               (office->teams[i] == NULL || !abl_team_on_exit(office->teams[i], pid, status))) {
            i++;
        }
    }
}

static void on_signals(office_t *office)
{
    struct signalfd_siginfo info;

    while (read(office->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM) {
            begin_to_end(office);
        } else if (info.ssi_signo == SIGHUP) {
            roll_all(office);
        }
    }
    reap(office);
}

static void on_bell(office_t *office)
{
    bool rung = false;
    int log;

    while (abl_board_hear(office->control->board, &log)) {
        rung = true;
        if (log >= 0) {
            office->control->use_log(log);
        }
    }
    if (rung && !office->ends) {
        apply_conf(office);
    }
}

static void on_event(office_t *office, uint64_t mark)
{
    about_t about = (about_t)(mark >> 32);
    abl_team_t *team = office->teams[(mark >> 8) % ABL_APPS_MAX];
    int slot = (int)(mark & 0xff);

    switch (about) {
    case ABOUT_BELL:
        on_bell(office);
        break;
    case ABOUT_SIGNAL:
        on_signals(office);
        break;
    case ABOUT_PARENT:
        begin_to_end(office);
        break;
    case ABOUT_OUTPUT:
        if (team != NULL) {
            abl_team_on_output(team, slot);
        }
        break;
    case ABOUT_PIDFD:
        if (team != NULL) {
            abl_team_on_pidfd(team, slot);
        }
        break;
    }
}

/* ---- its life --------------------------------------------------------------------------------------- */

/* Returns when somebody wants to be called again. */
static int64_t work(office_t *office)
{
    int64_t again = office->ends ? office->end_at : INT64_MAX;
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (office->teams[i] != NULL) {
            int64_t at = abl_team_work(office->teams[i], abl_clock_now());
            again = at < again ? at : again;
            if (office->teams[i]->row->gone_at != 0 && !abl_team_is_alive(office->teams[i])) {
                dismiss(office, i);
            }
        }
    }
    return again;
}

static bool is_over(const office_t *office)
{
    int i, alive = 0;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        alive += office->teams[i] != NULL && (!office->ends || abl_team_is_alive(office->teams[i]));
    }
    return (alive == 0 && (office->ends || office->conf.n == 0)) ||
           (office->ends && abl_clock_now() >= office->end_at);
}

static int millis_until(int64_t at)
{
    int64_t left = at == INT64_MAX ? -1 : (at - abl_clock_now() + ABL_MS - 1) / ABL_MS;

    return at == INT64_MAX ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void live(office_t *office)
{
    struct epoll_event events[EVENTS];

    while (!is_over(office)) {
        int64_t again = work(office);
        int i, n = is_over(office) ? 0 : epoll_wait(office->epoll, events, EVENTS, millis_until(again));
        for (i = 0; i < n; i++) {
            on_event(office, events[i].data.u64);
        }
    }
}

/* Signals come by a descriptor; httpd's own handlers are not for this process. */
static bool take_signals(office_t *office)
{
    sigset_t set;
    int number;

    for (number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP) {
            (void)signal(number, SIG_DFL);
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* httpd hears of it, and tells */
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    (void)signal(SIGWINCH, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &set, NULL) != 0) {
        return false;
    }
    office->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return office->signals >= 0 && add(office, office->signals, mark_of(ABOUT_SIGNAL, 0, 0));
}

static bool watch_parent(office_t *office)
{
    int fd = (int)syscall(SYS_pidfd_open, office->control->parent, 0);

    return fd >= 0 && add(office, fd, mark_of(ABOUT_PARENT, 0, 0)) && getppid() == office->control->parent;
}

/* What was rung for before this process was made it knows. */
static bool hear_nothing_old(office_t *office)
{
    int log;

    while (abl_board_hear(office->control->board, &log)) {
        if (log >= 0) {
            close(log);
        }
    }
    return add(office, abl_board_bell(office->control->board), mark_of(ABOUT_BELL, 0, 0));
}

/* Instances have ended; what they have left behind without a sign of whose it is has become this process's
 * child. */
static void end_children(void)
{
    char list[4096];
    int rounds = ORPHAN_ROUNDS;
    size_t n = 1;

    while (n > 0 && rounds-- > 0) {
        FILE *file = fopen("/proc/thread-self/children", "re");
        char *at = list, *end;
        n = file != NULL ? fread(list, 1, sizeof(list) - 1, file) : 0;
        list[n] = '\0';
        if (file != NULL) {
            fclose(file);
        }
        for (long pid = strtol(at, &end, 10); end != at; pid = strtol(at, &end, 10)) {
            at = end;
            (void)kill((pid_t)pid, SIGKILL);
            (void)waitpid((pid_t)pid, NULL, 0);
        }
    }
}

/* By their groups first: what has written over its environment has no mark any more. Then by their marks, and
 * again, because who forks meanwhile may have a child that was not seen. */
void abl_control_end_instances(abl_board_t *board)
{
    int rounds = ORPHAN_ROUNDS;
    int i, slot;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        for (slot = 0; slot < ABL_SLOTS_OF_APP_MAX; slot++) {
            const abl_board_slot_t *s = &abl_board_app(board, i)->slots[slot];
            if (s->pid > 1 && s->began != 0 && abl_proc_began(s->pid) == s->began) {
                (void)abl_proc_signal_group(s->pid, SIGKILL);
            }
        }
    }
    while (abl_proc_signal_marked(abl_board_mark(board), true, SIGKILL) > 0 && rounds-- > 0) {
    }
}

static void take_over(office_t *office)
{
    int i, running = 0;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        const abl_board_app_t *row = abl_board_app(office->control->board, i);
        if (row->name[0] != '\0' && hire(office, i) != NULL) {
            abl_team_take_over(office->teams[i]);
            running += row->crowd.n - abl_crowd_count(&row->crowd, ABL_INSTANCE_NONE);
        }
    }
    if (running > 0) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0039: the control process has been replaced; %d instances go on",
                running);
    }
}

bool abl_control_run(const abl_control_t *control)
{
    office_t office = {.control = control, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    apr_status_t rv;

    office.watch = (abl_watch_fns_t){watch_output, watch_pidfd, &office};
    abl_say_to(control->say);
    srandom((unsigned)getpid() ^ (unsigned)abl_clock_now());
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (office.epoll < 0 || !take_signals(&office) || !watch_parent(&office) || !hear_nothing_old(&office)) {
        abl_say(ABL_SAY_ERROR, errno, "ABL0042: the control process cannot begin its work");
        if (getppid() != control->parent) { /* httpd has ended meanwhile */
            abl_control_end_instances(control->board);
        }
        return false;
    }
    rv = abl_segment_join(control->segment, &office.child);
    if (rv != APR_SUCCESS) {
        abl_say(ABL_SAY_ERROR, rv, "ABL0043: the control process has no seat in the ledger");
        return false;
    }
    atomic_store(abl_board_control(control->board), getpid());
    take_over(&office);
    apply_conf(&office);
    live(&office);
    end_children();
    abl_control_end_instances(control->board);
    return true;
}
