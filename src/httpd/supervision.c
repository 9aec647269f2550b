/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process, seen from httpd's parent.
 */
#include "httpd/supervision.h"

#include "base/fork.h"
#include "control/control.h"
#include "control/record.h"
#include "control/title.h"
#include "httpd/name_line.h"
#include "httpd/persist.h"
#include "httpd/resolver_keys.h"

#include "ap_listen.h"
#include "ap_mpm.h"
#include "http_core.h"
#include "unixd.h"

#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TITLE "appbalance: control"
#define STOP_PATIENCE 3000 /* ms, until the control process and all instances have ended */
#define LOOK_EVERY 10      /* ms */
#define TELL_EVERY 100     /* ms */

/* What the parent keeps over restarts, which unload the module's code and data. */
typedef struct kept_t {
    char made_by[64]; /* ABL_MADE_BY of the build that made this and the board; first, in every build */
    pid_t control;    /* 0: there is none; second, in every build */
    abl_board_t *board;
} kept_t;

_Static_assert(sizeof(ABL_MADE_BY) <= sizeof(((kept_t *)0)->made_by), "it is compared as a whole");

static kept_t *kept;
static server_rec *main_server;
static abl_segment_t *ledger;
static apr_pool_t *conf_pool;
static int n_apps, n_kept; /* applications; these and members: what there is to look after */
static const char *folder; /* in the runtime folder, ours */

abl_board_t *abl_supervision_board(void)
{
    return kept != NULL ? kept->board : NULL;
}

/* ---- in the control process ------------------------------------------------------------------------- */

static void say(abl_say_t level, int error, const char *text)
{
    static const int levels[] = {[ABL_SAY_ERROR] = APLOG_ERR,
                                 [ABL_SAY_WARNING] = APLOG_WARNING,
                                 [ABL_SAY_NOTICE] = APLOG_NOTICE,
                                 [ABL_SAY_INFO] = APLOG_INFO,
                                 [ABL_SAY_OUTPUT] = APLOG_WARNING};

    main_server->log.level = atomic_load(abl_board_log_level(kept->board)); /* this process's copy */
    main_server->log.module_levels = NULL;
    ap_log_error(APLOG_MARK, levels[level], error, main_server, "%s", text);
}

/* The log was opened anew by the parent, perhaps because it was rotated. */
static void use_log(int log)
{
    int fd = -1;

    if (main_server->error_log != NULL && apr_os_file_get(&fd, main_server->error_log) == APR_SUCCESS &&
        fd != STDERR_FILENO) {
        (void)dup2(log, fd);
    }
    (void)dup2(log, STDERR_FILENO);
    close(log);
}

/* httpd's parent has the access logs open, and those of all virtual hosts: they are not for this process,
 * which outlives them all. It has use for the error log, and for what is no file and no pipe (the ledger's
 * and the board's descriptors). */
static void close_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    struct stat st;
    int log = -1;

    if (main_server->error_log != NULL) {
        (void)apr_os_file_get(&log, main_server->error_log);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > STDERR_FILENO && fd != log && fstat(fd, &st) == 0 &&
            (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))) {
            close(fd);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

__attribute__((noreturn)) static void be_control(pid_t parent)
{
    abl_control_t control = {.board = kept->board,
                             .segment = ledger,
                             .parent = parent,
                             .folder = folder,
                             .say = say,
                             .use_log = use_log};

    close_files();
    ap_close_listeners(); /* whoever comes after httpd must find its ports free */
    abl_title_set(TITLE, "appbalance");
    _exit(abl_control_run(&control) ? 0 : 1);
}

/* ---- in the parent ---------------------------------------------------------------------------------- */

static void watch_control(void);

/* False: abl_supervision_watch() tries again. */
static bool start_control(void)
{
    pid_t parent = getpid();
    pid_t pid = abl_fork_quietly(); /* a signal that comes early waits until control.c takes them all */

    if (pid == 0) {
        be_control(parent);
    }
    if (pid < 0) {
        ap_log_error(
            APLOG_MARK, APLOG_CRIT, errno, main_server,
            "ABL0044: the control process cannot be started: applications and members are not looked after "
            "until it can; another try follows within seconds");
        return false;
    }
    kept->control = pid;
    watch_control();
    return true;
}

/* Prefork's parent sends SIGTERM to its whole group, and looks after other children all the same. */
static bool is_stopping(void)
{
    int state = AP_MPMQ_STARTING;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

/* httpd's, when the control process has ended. */
static void on_end(int reason, void *proc, int status)
{
    (void)status;
    if (reason == APR_OC_REASON_UNREGISTER) {
        return;
    }
    if (reason == APR_OC_REASON_RESTART) {
        apr_proc_other_child_unregister(proc);
        return;
    }
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    apr_proc_other_child_unregister(proc);
    abl_segment_reap(ledger, kept->control);
    kept->control = 0;
    if (n_kept > 0 && !is_stopping()) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, main_server,
                     "ABL0045: the control process has ended; another one takes its place");
        (void)start_control();
    }
}

static void watch_control(void)
{
    apr_proc_t *proc = apr_pcalloc(conf_pool, sizeof(*proc));

    proc->pid = kept->control;
    apr_proc_other_child_register(proc, on_end, proc, NULL, conf_pool);
}

/* While the configuration was read nobody looked. */
static bool control_lives(void)
{
    if (kept->control == 0 || waitpid(kept->control, NULL, WNOHANG) != 0) {
        if (kept->control != 0) {
            abl_segment_reap(ledger, kept->control);
        }
        kept->control = 0;
        return false;
    }
    return true;
}

/* SIGTERM, until it has ended, and SIGKILL in the end. Again and again, because somebody else's SIGTERM may
 * be pending there and take the place of ours. True: it has ended by itself, and the instances before it. */
static bool end_control(void)
{
    int waited = 0, status = 0;
    pid_t pid;

    while ((pid = waitpid(kept->control, &status, WNOHANG)) == 0 && waited < STOP_PATIENCE) {
        if (waited % TELL_EVERY == 0) {
            (void)kill(kept->control, SIGTERM);
        }
        apr_sleep(apr_time_from_msec(LOOK_EVERY));
        waited += LOOK_EVERY;
    }
    if (pid == 0) {
        (void)kill(kept->control, SIGKILL);
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* httpd ends: the instances first, whatever has become of who looks after them. */
static apr_status_t stop_control(void *unused)
{
    bool ended = false;

    (void)unused;
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING) {
        return APR_SUCCESS;
    }
    if (kept->control != 0) {
        ended = end_control();
    }
    if (!ended) {
        abl_control_end_instances(kept->board);
    }
    kept->control = 0;
    return APR_SUCCESS;
}

/* ---- what the configuration says -------------------------------------------------------------------- */

static void complete(abl_app_conf_t *app)
{
    app->uid = app->uid == (uid_t)-1 ? (geteuid() == 0 ? ap_unixd_config.user_id : geteuid()) : app->uid;
    app->gid = app->gid == (gid_t)-1 ? (geteuid() == 0 ? ap_unixd_config.group_id : getegid()) : app->gid;
    app->client = geteuid() == 0 ? ap_unixd_config.user_id : geteuid();
    if (app->user == NULL && geteuid() == 0) {
        app->user = ap_unixd_config.user_name;
    }
}

static abl_app_conf_t *collect(apr_pool_t *p, int *n)
{
    abl_app_conf_t *apps = apr_pcalloc(p, ABL_APPS_MAX * sizeof(*apps));
    abl_section_t *section;
    int i;

    *n = 0;
    for (section = abl_config_sections(); section != NULL; section = section->next) {
        for (i = 0; i < section->napps && *n < ABL_APPS_MAX; i++) {
            complete(&section->apps[i]);
            apps[(*n)++] = section->apps[i];
        }
    }
    return apps;
}

static abl_target_t target_of(const abl_section_t *section, const abl_member_t *member)
{
    return (abl_target_t){.balancer = section->balancer.name,
                          .address = member->url.text,
                          .addresses = member->addresses,
                          .naddresses = member->naddresses,
                          .named = member->naming != ABL_NAMING_NONE,
                          .url = member->url,
                          .proxy = member->proxy,
                          .tls_conf = member->tls_conf,
                          .limited = member->concurrency > 0,
                          .check = section->balancer.checked ? &section->check : NULL};
}

/* The members that are no instances. */
static abl_target_t *collect_targets(apr_pool_t *p, int *n)
{
    const abl_section_t *section;
    abl_target_t *targets;
    int i, all = 0;

    for (section = abl_config_sections(); section != NULL; section = section->next) {
        all += section->balancer.nmembers;
    }
    targets = apr_palloc(p, (apr_size_t)(all + 1) * sizeof(*targets));
    *n = 0;
    for (section = abl_config_sections(); section != NULL; section = section->next) {
        for (i = 0; i < section->balancer.nmembers; i++) {
            const abl_member_t *member = &section->balancer.members[i];
            if (!member->supervised && (member->naddresses > 0 || member->naming != ABL_NAMING_NONE)) {
                targets[(*n)++] = target_of(section, member);
            }
        }
    }
    return targets;
}

/* Whatever the umask is, and whatever was there before: not a link. False: errno. */
static bool make_folder(const char *path, uid_t uid, gid_t gid)
{
    bool is_there = mkdir(path, 0700) == 0 || errno == EEXIST;
    int fd = is_there ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    bool made = fd >= 0 && fchmod(fd, 0711) == 0 && (geteuid() != 0 || fchown(fd, uid, gid) == 0);
    int error = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = error;
    return made;
}

/* The folder of an application's sockets: its own, and httpd's children may look for them in it. */
static bool make_folder_of(const abl_app_conf_t *app, apr_pool_t *p)
{
    char *path = apr_pstrdup(p, app->sockets[0]);

    *strrchr(path, '/') = '\0';
    return make_folder(path, app->uid, app->gid);
}

static int make_folders(apr_pool_t *p, server_rec *s, const abl_app_conf_t *apps, int n)
{
    int i;

    folder = ap_runtime_dir_relative(p, "appbalance");
    (void)make_folder(folder, 0, 0); /* who needs it says so */
    for (i = 0; i < n; i++) {
        if (apps[i].sockets != NULL && !make_folder_of(&apps[i], p)) {
            ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                         "ABL0046: application %s: the folder of its sockets cannot be made (%s)",
                         apps[i].name, apps[i].sockets[0]);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return OK;
}

/* The control process of another build cannot read what this one writes, and works on the ledger of before.
 */
static void leave_old_board(server_rec *s)
{
    char mark[ABL_MARK_MAX];

    if (kept->board == NULL || strcmp(kept->made_by, ABL_MADE_BY) == 0) {
        return;
    }
    ap_log_error(
        APLOG_MARK, APLOG_NOTICE, 0, s,
        "ABL0051: the module was replaced by another version: all instances of applications are ended, "
        "and begin anew");
    if (kept->control != 0) {
        (void)end_control();
    }
    (void)abl_record_end_instances(folder, abl_board_own_mark(mark)); /* it may have been killed */
    kept->control = 0;
    kept->board = NULL;
}

static bool get_board(server_rec *s)
{
    kept = ap_retained_data_get("mod_appbalance.supervision");
    if (kept == NULL) {
        kept = ap_retained_data_create("mod_appbalance.supervision", sizeof(*kept));
    }
    leave_old_board(s);
    if (kept->board == NULL) {
        kept->board = abl_board_create();
        apr_cpystrn(kept->made_by, ABL_MADE_BY, sizeof(kept->made_by));
    }
    if (kept->board == NULL) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, errno, s,
                     "ABL0047: cannot make the shared memory of the control process");
        return false;
    }
    return true;
}

static void ring(server_rec *s)
{
    int log = STDERR_FILENO;

    if (s->error_log != NULL) {
        (void)apr_os_file_get(&log, s->error_log);
    }
    abl_board_ring(kept->board, log);
}

static bool publish(apr_pool_t *p, const abl_app_conf_t *apps)
{
    abl_board_conf_t conf = {
        .apps = apps, .n = n_apps, .resolver = abl_resolver_keys_conf(), .persist = abl_persist_file()};

    conf.names = abl_name_line_collect(p, &conf.nnames);
    conf.targets = collect_targets(p, &conf.ntargets);
    n_kept = conf.n + conf.ntargets;
    return abl_board_publish(kept->board, &conf);
}

int abl_supervision_configure(apr_pool_t *pconf, server_rec *s, abl_segment_t *segment)
{
    abl_app_conf_t *apps = collect(pconf, &n_apps);

    main_server = s;
    ledger = segment;
    conf_pool = pconf;
    if (make_folders(pconf, s, apps, n_apps) != OK || !get_board(s)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!publish(pconf, apps)) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s,
                     "ABL0048: what BalancerApp and BalancerMember say is longer than 32 MB in all");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    atomic_store(abl_board_log_level(kept->board), ap_get_server_module_loglevel(s, APLOG_MODULE_INDEX));
    apr_pool_pre_cleanup_register(pconf, NULL, stop_control);
    if (control_lives()) {
        watch_control();
        ring(s);
    } else if (n_kept > 0) {
        (void)start_control(); /* without it requests wait: no reason to end httpd as a whole */
    }
    return OK;
}

int abl_supervision_watch(apr_pool_t *p, server_rec *s)
{
    (void)p;
    (void)s;
    if (kept != NULL && kept->control == 0 && n_kept > 0 &&
        ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_RUN_MPM) {
        (void)start_control();
    }
    return DECLINED;
}
