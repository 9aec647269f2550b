/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process: one thread that waits in epoll for what its instances do and say, and for members that
 * go and come back.
 */
#include "control/control.h"

#include "base/clock.h"
#include "control/apps.h"
#include "control/keep.h"
#include "control/names.h"
#include "control/patrol.h"
#include "control/proc.h"
#include "control/relay.h"
#include "control/sampler.h"
#include "control/supervise.h"
#include "ledger/health.h"

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
#include <time.h>
#include <unistd.h>

#define EVENTS 64
#define ORPHAN_ROUNDS 100   /* each may uncover children of those before */
#define LAST_WORDS_MS 100   /* beyond the patience, until what was killed is gone */
#define LOG_PATIENCE_MS 200 /* then, at least, for programs of log= to read to the end */

/* What an event is about. */
typedef enum about_t {
    ABOUT_BELL,
    ABOUT_SIGNAL,
    ABOUT_PARENT,
    ABOUT_OUTPUT,
    ABOUT_PIDFD,
    ABOUT_HEALTH,
    ABOUT_CHECK,
    ABOUT_NAMES
} about_t;

typedef struct control_t {
    const abl_control_t *given;
    int epoll;
    int signals;
    bool ends; /* httpd does */
    int64_t end_at;
    abl_watch_fns_t watch;
    abl_apps_t all;
    abl_record_t record;
    bool recording;
    abl_patrol_t patrol;
    abl_checkup_t checkup;
    abl_names_t *names;
    abl_sampler_t sampler;
    abl_keep_t keep;
} control_t;

/* ---- descriptors ------------------------------------------------------------------------------------ */

static uint64_t mark_of(about_t about, int app, int slot)
{
    return (uint64_t)about << 32 | (uint64_t)app << 8 | (uint64_t)slot;
}

static bool add_for(const control_t *control, uint32_t events, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = events, .data.u64 = mark};

    return epoll_ctl(control->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool add(const control_t *control, int fd, uint64_t mark)
{
    return add_for(control, EPOLLIN, fd, mark);
}

static void watch_output(void *ctx, int fd, int app, int slot)
{
    (void)add(ctx, fd, mark_of(ABOUT_OUTPUT, app, slot));
}

static void watch_pidfd(void *ctx, int fd, int app, int slot)
{
    (void)add(ctx, fd, mark_of(ABOUT_PIDFD, app, slot));
}

static void watch_check(void *ctx, int fd, uint32_t row)
{
    (void)add_for(ctx, EPOLLIN | EPOLLOUT | EPOLLET, fd, (uint64_t)ABOUT_CHECK << 32 | row);
}

/* A descriptor that names are looked up with. It may be watched already, for something else. */
static void watch_name(void *ctx, int fd, bool for_read, bool for_write)
{
    const control_t *control = ctx;
    struct epoll_event event = {.events = (for_read ? EPOLLIN : 0) | (for_write ? EPOLLOUT : 0),
                                .data.u64 = (uint64_t)ABOUT_NAMES << 32 | (uint32_t)fd};

    if (!for_read && !for_write) {
        (void)epoll_ctl(control->epoll, EPOLL_CTL_DEL, fd, NULL);
    } else if (epoll_ctl(control->epoll, EPOLL_CTL_MOD, fd, &event) != 0) {
        (void)epoll_ctl(control->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

/* ---- events ----------------------------------------------------------------------------------------- */

static void begin_to_end(control_t *control)
{
    int i;

    if (control->ends) {
        return;
    }
    control->ends = true;
    control->end_at = abl_clock_now() + (ABL_CONTROL_PATIENCE_MS + LAST_WORDS_MS) * ABL_MS;
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (control->all.apps[i] != NULL) {
            abl_supervise_stop(control->all.apps[i], ABL_CONTROL_PATIENCE_MS * ABL_MS);
        }
    }
}

static void roll_all(control_t *control)
{
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (control->all.apps[i] != NULL && control->all.apps[i]->conf != NULL && !control->ends) {
            abl_supervise_roll(control->all.apps[i], "SIGHUP");
        }
    }
}

/* What has ended: instances, and what these have left behind, whose parent this process has become. */
static void reap(control_t *control)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        int i = 0;
        while (i < ABL_APPS_MAX &&
               (control->all.apps[i] == NULL || !abl_supervise_exit(control->all.apps[i], pid, status))) {
            i++;
        }
    }
}

/* It ends with httpd and not before: whoever else sends SIGTERM (systemd does, to all processes of a service
 * at once) is answered by httpd itself. */
static void on_term(control_t *control, bool from_parent)
{
    if (from_parent) {
        begin_to_end(control);
    } else if (!control->ends) {
        abl_say(
            ABL_SAY_NOTICE, 0,
            "ABL0056: the control process ends with httpd, not by SIGTERM: to stop httpd send it to pid %ld",
            (long)control->given->parent);
    }
}

/* SIGHUP is a wish only where somebody has sent it to this process: httpd's parent sends it to its whole
 * group, for itself and its children, and a terminal that is closed to all that it was opened for. */
static void on_signals(control_t *control)
{
    struct signalfd_siginfo info;

    while (read(control->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        bool from_parent = info.ssi_code == SI_USER && (pid_t)info.ssi_pid == control->given->parent;
        if (info.ssi_signo == SIGTERM) {
            on_term(control, from_parent);
        } else if (info.ssi_signo == SIGHUP && info.ssi_code == SI_USER && !from_parent) {
            roll_all(control);
        }
    }
    reap(control);
}

static void begin_record(control_t *control)
{
    const char *folder = control->given->folder;

    control->recording = true;
    if (abl_record_sweep(folder)) {
        abl_say(ABL_SAY_WARNING, 0,
                "ABL0054: an httpd was killed together with its control process: what it has left running of "
                "applications has been killed");
    }
    if (!abl_record_open(&control->record, folder, abl_board_mark(control->given->board))) {
        abl_say(
            ABL_SAY_WARNING, errno,
            "ABL0055: cannot write to the folder %s: should httpd and its control process be killed at the "
            "same time, instances of applications are left",
            folder);
    }
}

/* What the configuration says holds from now on. */
static void configure(control_t *control)
{
    if (!control->recording && abl_board_take(control->given->board).n > 0) {
        begin_record(control);
    }
    abl_apps_configure(&control->all);
    abl_names_configure(control->names, &control->all.conf);
    abl_patrol_configure(&control->patrol, &control->all.conf);
}

static void on_bell(control_t *control)
{
    bool rung = false;
    int log;

    while (abl_board_hear(control->given->board, &log)) {
        rung = true;
        if (log >= 0) {
            control->given->use_log(log);
        }
    }
    if (rung && !control->ends) {
        configure(control);
    }
}

/* What administrators want of applications. */
static void heed_wishes(control_t *control)
{
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (control->all.apps[i] != NULL && control->all.apps[i]->conf != NULL && !control->ends) {
            abl_supervise_wishes(control->all.apps[i]);
        }
    }
}

static void on_health(control_t *control)
{
    uint64_t rung;
    ssize_t n = read(abl_health_bell(control->given->segment), &rung, sizeof(rung));

    if (n == (ssize_t)sizeof(rung)) {
        abl_patrol_look(&control->patrol);
        heed_wishes(control);
    }
}

static void on_event(control_t *control, uint64_t mark, uint32_t ready)
{
    about_t about = (about_t)(mark >> 32);
    abl_supervised_t *app = control->all.apps[(mark >> 8) % ABL_APPS_MAX];
    int slot = (int)(mark & 0xff);

    switch (about) {
    case ABOUT_BELL:
        on_bell(control);
        break;
    case ABOUT_SIGNAL:
        on_signals(control);
        break;
    case ABOUT_PARENT:
        begin_to_end(control);
        break;
    case ABOUT_OUTPUT:
        if (app != NULL) {
            abl_relay_read(app, slot);
        }
        break;
    case ABOUT_HEALTH:
        on_health(control);
        break;
    case ABOUT_CHECK:
        abl_checkup_ready(&control->checkup, (uint32_t)mark, abl_clock_now());
        break;
    case ABOUT_NAMES:
        abl_names_ready(control->names, (int)(mark & UINT32_MAX), (ready & ~(uint32_t)EPOLLOUT) != 0,
                        (ready & ~(uint32_t)EPOLLIN) != 0);
        break;
    case ABOUT_PIDFD:
        if (app != NULL) {
            abl_supervise_pidfd(app, slot);
        }
        break;
    }
}

/* ---- its life --------------------------------------------------------------------------------------- */

/* What there is to do for members that are no instances. */
static int64_t look_after_members(control_t *control)
{
    int64_t names = abl_names_work(control->names, abl_clock_now());
    int64_t checkup = abl_checkup_work(&control->checkup, abl_clock_now());
    int64_t next = abl_patrol_work(&control->patrol, abl_clock_now());

    int64_t sampler = abl_sampler_work(&control->sampler, abl_clock_now(), (apr_int64_t)time(NULL));
    int64_t keep = abl_keep_work(&control->keep, control->all.conf.persist, abl_clock_now());

    next = names < next ? names : next;
    next = sampler < next ? sampler : next;
    next = keep < next ? keep : next;
    return checkup < next ? checkup : next;
}

/* Returns when somebody wants to be called again. */
static int64_t work(control_t *control)
{
    int64_t again = control->ends ? control->end_at : look_after_members(control);
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (control->all.apps[i] != NULL) {
            int64_t at = abl_supervise_work(control->all.apps[i], abl_clock_now());
            again = at < again ? at : again;
            if (control->all.apps[i]->row->gone_at != 0 && !abl_supervise_is_alive(control->all.apps[i])) {
                abl_apps_drop(&control->all, i);
            }
        }
    }
    return again;
}

static bool is_over(const control_t *control)
{
    int i, alive = 0;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        alive +=
            control->all.apps[i] != NULL && (!control->ends || abl_supervise_is_alive(control->all.apps[i]));
    }
    return (alive == 0 && (control->ends || (control->all.conf.n == 0 && control->all.conf.ntargets == 0))) ||
           (control->ends && abl_clock_now() >= control->end_at);
}

static int millis_until(int64_t at)
{
    int64_t left = at == INT64_MAX ? -1 : (at - abl_clock_now() + ABL_MS - 1) / ABL_MS;

    return at == INT64_MAX ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void live(control_t *control)
{
    struct epoll_event events[EVENTS];

    while (!is_over(control)) {
        int64_t again = work(control);
        int i, n = is_over(control) ? 0 : epoll_wait(control->epoll, events, EVENTS, millis_until(again));
        for (i = 0; i < n; i++) {
            on_event(control, events[i].data.u64, events[i].events);
        }
    }
}

/* Signals come by a descriptor; httpd's own handlers are not for this process. */
static bool take_signals(control_t *control)
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
    control->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return control->signals >= 0 && add(control, control->signals, mark_of(ABOUT_SIGNAL, 0, 0));
}

static bool watch_parent(control_t *control)
{
    int fd = (int)syscall(SYS_pidfd_open, control->given->parent, 0);

    /* Once: it can be read from the parent's end on, for ever. */
    return fd >= 0 && add_for(control, EPOLLIN | EPOLLONESHOT, fd, mark_of(ABOUT_PARENT, 0, 0)) &&
           getppid() == control->given->parent;
}

/* What was rung for before this process was made it knows. */
static bool hear_nothing_old(control_t *control)
{
    int log;

    while (abl_board_hear(control->given->board, &log)) {
        if (log >= 0) {
            close(log);
        }
    }
    return add(control, abl_board_bell(control->given->board), mark_of(ABOUT_BELL, 0, 0));
}

/* What instances have said last is in the pipes of log=: whoever reads there has some time for it. */
static void end_logs(control_t *control)
{
    int64_t until = control->end_at + LOG_PATIENCE_MS * ABL_MS;
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (control->all.apps[i] != NULL) {
            abl_supervise_end(control->all.apps[i]);
        }
    }
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (control->all.apps[i] != NULL) {
            abl_log_await(&control->all.apps[i]->log, until);
        }
    }
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
        if (n == sizeof(list) - 1) { /* the last number may go on */
            *strrchr(list, ' ') = '\0';
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

static void take_over(control_t *control)
{
    int running = abl_apps_take_over(&control->all);

    if (running > 0) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0039: the control process has been replaced; %d instances go on",
                running);
    }
}

bool abl_control_run(const abl_control_t *given)
{
    control_t control = {.given = given, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    apr_status_t rv;

    control.watch = (abl_watch_fns_t){watch_output, watch_pidfd, &control};
    control.all = (abl_apps_t){
        .board = given->board, .segment = given->segment, .watch = &control.watch, .record = &control.record};
    abl_say_to(given->say);
    srandom((unsigned)getpid() ^ (unsigned)abl_clock_now());
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (control.epoll < 0 || !take_signals(&control) || !watch_parent(&control) ||
        !hear_nothing_old(&control)) {
        abl_say(ABL_SAY_ERROR, errno, "ABL0042: the control process cannot begin its work");
        if (getppid() != given->parent) { /* httpd has ended meanwhile */
            abl_control_end_instances(given->board);
        }
        return false;
    }
    rv = abl_segment_join(given->segment, &control.all.child);
    if (rv != APR_SUCCESS) {
        abl_say(ABL_SAY_ERROR, rv, "ABL0043: the control process has no seat in the ledger");
        return false;
    }
    atomic_store(abl_board_control(given->board), getpid());
    control.checkup = (abl_checkup_t){
        .segment = given->segment, .child = control.all.child, .watch = watch_check, .ctx = &control};
    control.patrol =
        (abl_patrol_t){.segment = given->segment, .child = control.all.child, .checkup = &control.checkup};
    control.sampler = (abl_sampler_t){.segment = given->segment, .child = control.all.child};
    control.keep = (abl_keep_t){.segment = given->segment};
    control.names =
        abl_names_begin(given->segment, control.all.child, &(abl_resolver_watch_t){watch_name, &control});
    if (control.names == NULL || !abl_patrol_begin(&control.patrol) || !abl_checkup_begin(&control.checkup) ||
        !add(&control, abl_health_bell(given->segment), mark_of(ABOUT_HEALTH, 0, 0))) {
        abl_say(ABL_SAY_ERROR, errno, "ABL0075: the control process cannot watch members");
        return false;
    }
    if (abl_board_take(given->board).n > 0) {
        begin_record(&control);
    }
    take_over(&control);
    configure(&control);
    live(&control);
    end_logs(&control);
    end_children();
    abl_control_end_instances(given->board);
    if (control.recording) {
        abl_record_end(&control.record);
    }
    return true;
}
