/* SPDX-License-Identifier: Apache-2.0
 *
 * From a line of the configuration to a process. Another thread may have held any lock at the moment of the
 * fork, and the new process has no such thread any more: so everything that needs memory is prepared before
 * it (plan_t), and between fork and exec there are only calls that are safe in a signal handler.
 */
#include "control/spawn.h"

#include "base/fork.h"
#include "control/limit.h"
#include "control/placeholder.h"
#include "control/proc.h"
#include "control/program.h"

#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 500   /* for fork to exec; the caller has others to look after */
#define USER_BUFFER 16384 /* an entry of passwd */
#define GROUPS_MAX 65536  /* the kernel's own limit */
#define LISTENER_FD 3     /* where systemd and Server::Starter put the first socket */
#define DIGITS_OF_PID "0000000000"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* What may go wrong in the new process, in the order of its life. */
typedef enum step_t {
    STEP_SESSION,
    STEP_FILES,
    STEP_CLOSE,
    STEP_NICE,
    STEP_LIMIT,
    STEP_GROUPS,
    STEP_GID,
    STEP_UID,
    STEP_DIR,
    STEP_PROGRAM
} step_t;

typedef struct report_t {
    step_t step;
    int error;
    int limit; /* STEP_LIMIT: which of them */
} report_t;

typedef struct plan_t {
    const abl_app_conf_t *app;
    apr_pool_t *pool;
    uid_t uid; /* it will have */
    const char *user;
    const char *home; /* NULL: not known */
    bool becomes;     /* another user, or another group */
    gid_t *groups;
    size_t ngroups;
    char **argv;
    char **env;
    char *listen_pid; /* where the digits of its pid are wanted; NULL: nowhere */
    abl_program_t program;
    int listener, output;
    int report; /* the writing end; closed by exec */
    pid_t parent;
    void (*begun)(void *ctx, pid_t pid);
    void *ctx;
} plan_t;

/* ---- the new process: no memory is asked for, no lock is taken -------------------------------------- */

static _Noreturn void fail(const plan_t *plan, step_t step, int limit)
{
    report_t report = {step, errno, limit};

    (void)signal(SIGPIPE, SIG_IGN); /* nobody may listen any more */
    /* less than PIPE_BUF: all or nothing */
    _exit(write(plan->report, &report, sizeof(report)) == (ssize_t)sizeof(report) ? 127 : 126);
}

/* Out of the way of 0 to 3, and closed by exec. */
static bool move_up(int *fd)
{
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, LISTENER_FD + 1);
    return *fd >= 0;
}

static bool place_files(plan_t *plan)
{
    int null;

    if (!move_up(&plan->output) || (plan->listener >= 0 && !move_up(&plan->listener))) {
        return false;
    }
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || !move_up(&null)) {
        return false;
    }
    return dup2(null, 0) >= 0 && dup2(plan->output, 1) >= 0 && dup2(plan->output, 2) >= 0 &&
           (plan->listener < 0 || dup2(plan->listener, LISTENER_FD) >= 0);
}

/* The number that a name of /proc/self/fd is; -1: it is none. */
static int number(const char *name)
{
    int n = 0;

    if (*name < '0' || *name > '9') {
        return -1;
    }
    for (; *name >= '0' && *name <= '9'; name++) {
        n = n * 10 + (*name - '0');
    }
    return n;
}

/* The same for kernels before 5.11. opendir() would ask for memory. */
static bool close_listed(int first)
{
    char entries[4096] __attribute__((aligned(__alignof__(struct dirent64))));
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n, at;

    if (dir < 0) {
        return false;
    }
    while ((n = syscall(SYS_getdents64, dir, entries, sizeof(entries))) > 0) {
        for (at = 0; at < n; at += ((struct dirent64 *)(entries + at))->d_reclen) {
            int fd = number(((struct dirent64 *)(entries + at))->d_name);
            if (fd >= first && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
                return false;
            }
        }
    }
    return n == 0 && close(dir) == 0;
}

/* exec closes them: until then the report can be written. */
static bool close_others(const plan_t *plan)
{
    int first = plan->listener >= 0 ? LISTENER_FD + 1 : LISTENER_FD;

    return syscall(SYS_close_range, (unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0 || close_listed(first);
}

static void set_limits(const plan_t *plan)
{
    int i;

    for (i = 0; i < plan->app->nlimits; i++) {
        const abl_app_limit_t *limit = &plan->app->limits[i];
        struct rlimit value = {limit->value, limit->value};
        if (setrlimit(limit->resource, &value) < 0) {
            fail(plan, STEP_LIMIT, i);
        }
    }
}

/* Until it is the program, nobody could find out what this process is. */
static void die_with_parent(const plan_t *plan)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != plan->parent) {
        _exit(126);
    }
}

static void become_user(const plan_t *plan)
{
    if (!plan->becomes) {
        return;
    }
    if (setgroups(plan->ngroups, plan->groups) < 0) {
        fail(plan, STEP_GROUPS, 0);
    }
    if (setgid(plan->app->gid) < 0) {
        fail(plan, STEP_GID, 0);
    }
    if (setuid(plan->uid) < 0) {
        fail(plan, STEP_UID, 0);
    }
}

/* Its own pid is known to nobody before; right-aligned zeros would be octal to some. */
static void write_pid(char *to)
{
    char digits[sizeof(DIGITS_OF_PID)];
    char *first = digits + sizeof(digits) - 1;
    pid_t pid = getpid();

    *first = '\0';
    do {
        *--first = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0 && first > digits);
    do {
        *to++ = *first;
    } while (*first++ != '\0');
}

/* As a shell looks for it; what may not be executed is named when nothing better is found. */
static void run_program(const plan_t *plan)
{
    const char *const *place;
    int error = ENOENT;

    for (place = plan->program.places; *place != NULL; place++) {
        execve(*place, plan->argv, plan->env);
        if (errno == EACCES) {
            error = EACCES;
        } else if (errno != ENOENT && !(errno == ENOTDIR && plan->program.path != NULL)) {
            return;
        }
    }
    errno = error;
}

/* As much as needs a right comes before it is another user; the folder comes after, because he has to have
 * the right to be there. All signals are blocked. */
static _Noreturn void be_born(plan_t *plan)
{
    const abl_app_conf_t *app = plan->app;
    int report = plan->report;

    die_with_parent(plan);
    if (!move_up(&report)) {
        fail(plan, STEP_FILES, 0);
    }
    plan->report = report;
    if (setsid() < 0) {
        fail(plan, STEP_SESSION, 0);
    }
    if (!place_files(plan)) {
        fail(plan, STEP_FILES, 0);
    }
    if (!close_others(plan)) {
        fail(plan, STEP_CLOSE, 0);
    }
    if (app->umask >= 0) {
        (void)umask((mode_t)app->umask);
    }
    errno = 0;
    if (app->nice != 0 && nice(app->nice) == -1 && errno != 0) {
        fail(plan, STEP_NICE, 0);
    }
    set_limits(plan);
    become_user(plan);
    die_with_parent(plan); /* another user: it has to be asked for again */
    if (chdir(app->dir) < 0) {
        fail(plan, STEP_DIR, 0);
    }
    if (plan->listen_pid != NULL) {
        write_pid(plan->listen_pid);
    }
    abl_fork_reset_signals();
    (void)prctl(PR_SET_PDEATHSIG, 0);
    run_program(plan);
    fail(plan, STEP_PROGRAM, 0);
}

/* ---- before: everything that needs memory ----------------------------------------------------------- */

/* The user by name, because several names may have one number and different groups; else by number. */
static void find_user(plan_t *plan)
{
    char *buffer = apr_palloc(plan->pool, USER_BUFFER);
    const char *name = plan->app->user;
    struct passwd entry, *found = NULL;
    bool is_root = geteuid() == 0;
    int rv;

    plan->uid = is_root ? plan->app->uid : geteuid();
    plan->becomes = is_root && (plan->uid != 0 || plan->app->gid != getegid());
    rv = is_root && name != NULL ? getpwnam_r(name, &entry, buffer, USER_BUFFER, &found)
                                 : getpwuid_r(plan->uid, &entry, buffer, USER_BUFFER, &found);
    if (rv == 0 && found != NULL) {
        plan->user = found->pw_name;
        plan->home = found->pw_dir;
    } else {
        plan->user = is_root ? name : NULL;
    }
}

/* Those of the user; just his own group when he has no name. False: there are too many. */
static bool find_groups(plan_t *plan)
{
    int n = 64;

    plan->groups = apr_palloc(plan->pool, (apr_size_t)n * sizeof(gid_t));
    plan->groups[0] = plan->app->gid;
    plan->ngroups = 1;
    if (!plan->becomes || plan->user == NULL) {
        return true;
    }
    while (getgrouplist(plan->user, plan->app->gid, plan->groups, &n) < 0) {
        if (n > GROUPS_MAX) {
            return false;
        }
        plan->groups = apr_palloc(plan->pool, (apr_size_t)n * sizeof(gid_t));
    }
    plan->ngroups = (size_t)n;
    return true;
}

static void make_argv(plan_t *plan, int slot)
{
    const abl_app_conf_t *app = plan->app;
    size_t n = 0;

    while (app->argv[n] != NULL) {
        n++;
    }
    plan->argv = apr_pcalloc(plan->pool, (n + 1) * sizeof(char *));
    while (n-- > 0) {
        plan->argv[n] = abl_placeholder_fill(plan->pool, app, slot, app->argv[n]);
    }
}

/* NAME=value; in the place of the one that has this name. */
static char **set_env(apr_array_header_t *env, const char *setting)
{
    size_t name = strcspn(setting, "=") + 1;
    int i;

    for (i = 0; i < env->nelts; i++) {
        if (strncmp(APR_ARRAY_IDX(env, i, char *), setting, name) == 0) {
            break;
        }
    }
    if (i == env->nelts) {
        (void)apr_array_push(env);
    }
    APR_ARRAY_IDX(env, i, char *) = apr_pstrdup(env->pool, setting);
    return &APR_ARRAY_IDX(env, i, char *);
}

static void set_env_of_user(const plan_t *plan, apr_array_header_t *env)
{
    if (plan->home != NULL) {
        set_env(env, apr_pstrcat(plan->pool, "HOME=", plan->home, NULL));
    }
    if (plan->user != NULL) {
        set_env(env, apr_pstrcat(plan->pool, "USER=", plan->user, NULL));
        set_env(env, apr_pstrcat(plan->pool, "LOGNAME=", plan->user, NULL));
    }
}

/* What systemd and Server::Starter say about a socket that they pass on. */
static void set_env_of_listener(plan_t *plan, apr_array_header_t *env, int slot)
{
    const char *socket = abl_app_socket(plan->app, slot);

    set_env(env, "LISTEN_FDS=1");
    plan->listen_pid = *set_env(env, "LISTEN_PID=" DIGITS_OF_PID) + sizeof("LISTEN_PID=") - 1;
    if (socket != NULL) {
        set_env(env, apr_psprintf(plan->pool, "SERVER_STARTER_PORT=%s=%d", socket, LISTENER_FD));
    } else {
        set_env(env, apr_psprintf(plan->pool, "SERVER_STARTER_PORT=127.0.0.1:%d=%d", plan->app->ports[slot],
                                  LISTENER_FD));
    }
}

static void make_env(plan_t *plan, const abl_spawn_t *spawn)
{
    apr_array_header_t *env = apr_array_make(plan->pool, 16, sizeof(char *));
    const char *const *setting;

    set_env(env, "PATH=" ABL_PROGRAM_PATH);
    set_env(env, "LANG=C.UTF-8");
    set_env_of_user(plan, env);
    for (setting = plan->app->env; setting != NULL && *setting != NULL; setting++) {
        set_env(env, abl_placeholder_fill(plan->pool, plan->app, spawn->slot, *setting));
    }
    set_env(env, apr_pstrcat(plan->pool, ABL_INSTANCE_MARK "=", spawn->mark, NULL));
    if (spawn->listener >= 0) {
        set_env_of_listener(plan, env, spawn->slot);
    }
    APR_ARRAY_PUSH(env, char *) = NULL;
    plan->env = (char **)env->elts;
}

/* ---- what did not work ------------------------------------------------------------------------------ */

static const char *user_of(const plan_t *plan)
{
    return plan->user != NULL ? plan->user : apr_psprintf(plan->pool, "%lu", (unsigned long)plan->uid);
}

static const char *what_about_program(const plan_t *plan, int error, const char *text)
{
    const char *name = plan->program.name, *path = plan->program.path;

    if (error == ENOEXEC) {
        return apr_psprintf(plan->pool,
                            "the program %.99s: neither a program nor a script with #! in its "
                            "first line",
                            name);
    }
    if (error == EACCES) {
        return apr_psprintf(plan->pool, "the program %.99s: the user %s may not execute it: %s", name,
                            user_of(plan), text);
    }
    if (error != ENOENT) {
        return apr_psprintf(plan->pool, "the program %.99s: %s", name, text);
    }
    if (abl_program_is_there(plan->pool, plan->app, &plan->program)) {
        return apr_psprintf(plan->pool,
                            "the program %.99s: what its first line says executes it was not found", name);
    }
    return apr_psprintf(plan->pool, "the program %.99s: not found in %s%.99s", name,
                        path != NULL ? "PATH=" : "", path != NULL ? path : plan->app->dir);
}

static const char *what_failed(const plan_t *plan, const report_t *report)
{
    const abl_app_conf_t *app = plan->app;
    char text[128];

    (void)apr_strerror(report->error, text, sizeof(text));
    switch (report->step) {
    case STEP_SESSION:
        return apr_psprintf(plan->pool, "cannot begin a session: %s", text);
    case STEP_FILES:
        return apr_psprintf(plan->pool, "cannot open its input and output: %s", text);
    case STEP_CLOSE:
        return apr_psprintf(plan->pool, "cannot close what httpd has open: %s", text);
    case STEP_NICE:
        return apr_psprintf(plan->pool, "cannot set nice=%d: %s", app->nice, text);
    case STEP_LIMIT:
        return apr_psprintf(plan->pool, "cannot set limit:%s=%" APR_UINT64_T_FMT ": %s",
                            abl_limit_name(app->limits[report->limit].resource),
                            (apr_uint64_t)app->limits[report->limit].value, text);
    case STEP_GROUPS:
    case STEP_GID:
        return apr_psprintf(plan->pool, "cannot have the groups of the user %s (%lu): %s", user_of(plan),
                            (unsigned long)app->gid, text);
    case STEP_UID:
        return apr_psprintf(plan->pool, "cannot become the user %s: %s", user_of(plan), text);
    case STEP_DIR:
        return apr_psprintf(plan->pool, "cannot change to the folder %.150s%s%s: %s", app->dir,
                            report->error == EACCES ? " as the user " : "",
                            report->error == EACCES ? user_of(plan) : "", text);
    case STEP_PROGRAM:
        return what_about_program(plan, report->error, text);
    }
    return "something unknown";
}

static pid_t did_not_work(const char *what, int error, char why[ABL_SPAWN_WHY_MAX], apr_status_t *rv)
{
    apr_cpystrn(why, what, ABL_SPAWN_WHY_MAX);
    *rv = error;
    return -1;
}

/* ---- abl_spawn -------------------------------------------------------------------------------------- */

/* Waits for the end of the pipe: exec has closed it, or something has gone wrong. False: neither, in time. */
static bool hear(int fd, report_t *report, bool *failed)
{
    struct pollfd pfd = {fd, POLLIN, 0};
    ssize_t n;
    int rc;

    do {
        rc = poll(&pfd, 1, PATIENCE_MS);
    } while (rc < 0 && errno == EINTR);
    if (rc == 0) {
        return false;
    }
    do {
        n = read(fd, report, sizeof(*report));
    } while (n < 0 && errno == EINTR);
    *failed = n == (ssize_t)sizeof(*report);
    return true;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static pid_t carry_out(plan_t *plan, char why[ABL_SPAWN_WHY_MAX], apr_status_t *rv)
{
    report_t report;
    bool failed = false, heard;
    int fds[2], error;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error = errno;
        return did_not_work("cannot make a pipe", error, why, rv);
    }
    plan->report = fds[1];
    pid = abl_fork_quietly();
    error = errno;
    if (pid == 0) {
        be_born(plan);
    }
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return did_not_work("cannot make a process", error, why, rv);
    }
    if (plan->begun != NULL) {
        plan->begun(plan->ctx, pid);
    }
    heard = hear(fds[0], &report, &failed);
    close(fds[0]);
    if (heard && failed) {
        reap(pid);
        return did_not_work(what_failed(plan, &report), report.error, why, rv);
    }
    *rv = APR_SUCCESS;
    return pid;
}

/* The application may open what it writes to by name (/dev/stdout), and is not root. */
static void give_output(const plan_t *plan)
{
    struct stat st;

    if (plan->becomes && fstat(plan->output, &st) == 0 && S_ISFIFO(st.st_mode)) {
        (void)!fchown(plan->output, plan->uid, plan->app->gid);
    }
}

pid_t abl_spawn(const abl_spawn_t *spawn, char why[ABL_SPAWN_WHY_MAX], apr_status_t *rv)
{
    plan_t plan = {.app = spawn->app,
                   .listener = spawn->listener,
                   .output = spawn->output,
                   .parent = getpid(),
                   .begun = spawn->begun,
                   .ctx = spawn->ctx};
    pid_t pid;

    why[0] = '\0';
    *rv = apr_pool_create_unmanaged_ex(&plan.pool, NULL, NULL);
    if (*rv != APR_SUCCESS) {
        return did_not_work("no memory", *rv, why, rv);
    }
    find_user(&plan);
    make_argv(&plan, spawn->slot);
    make_env(&plan, spawn);
    plan.program = abl_program_of(plan.pool, spawn->app, spawn->slot);
    give_output(&plan);
    pid = find_groups(&plan) ? carry_out(&plan, why, rv)
                             : did_not_work("its user has too many groups", E2BIG, why, rv);
    apr_pool_destroy(plan.pool);
    return pid;
}
