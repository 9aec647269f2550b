/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerApp.
 */
#include "httpd/app_keys.h"

#include "base/clock.h"
#include "base/units.h"
#include "httpd/member_keys.h"
#include "httpd/members.h"

#include "http_core.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <grp.h>
#include <pwd.h>
#include <sys/un.h>

#define TIME_LATER (INT64_C(365) * 24 * 3600 * ABL_SECOND)

/* What has been read of a line. */
typedef struct reader_t {
    apr_pool_t *p;
    abl_app_conf_t *app;
    int first_port, last_port; /* 0: no ports= */
    bool listens;              /* listen=fd */
    bool has_group;
    apr_array_header_t *env;
    const char *rest; /* keys that are its members' */
    const char *restart_file;
    const char *seen; /* keys, each between spaces */
} reader_t;

/* ---- values ----------------------------------------------------------------------------------------- */

static const char *read_count(const char *value, int64_t least, int64_t most, int *to)
{
    int64_t n;
    const char *error = abl_units_number(value, least, most, &n);

    *to = error == NULL ? (int)n : *to;
    return error;
}

/* "4", or "2-8". */
static const char *read_range(apr_pool_t *p, const char *value, int64_t most, int *from, int *to)
{
    const char *dash = strchr(value, '-');
    const char *error = read_count(
        dash != NULL ? apr_pstrmemdup(p, value, (apr_size_t)(dash - value)) : value, 1, most, from);

    if (error == NULL) {
        error = read_count(dash != NULL ? dash + 1 : value, 1, most, to);
    }
    return error != NULL || *from > *to ? "" : NULL;
}

static const char *set_instances(reader_t *r, const char *value)
{
    if (read_range(r->p, value, ABL_SLOTS_OF_APP_MAX, &r->app->crowd.least, &r->app->crowd.most) != NULL) {
        return "expected a number of instances, or a range such as 2-8, up to 64";
    }
    return NULL;
}

static const char *set_ports(reader_t *r, const char *value)
{
    if (read_range(r->p, value, 65535, &r->first_port, &r->last_port) != NULL ||
        r->last_port - r->first_port >= ABL_SLOTS_OF_APP_MAX) {
        return "expected a range of at most 64 ports, such as 39564-39579";
    }
    return NULL;
}

static const char *set_listen(reader_t *r, const char *value)
{
    r->listens = strcmp(value, "fd") == 0;
    return r->listens ? NULL : "expected fd: a socket that listens is handed to the application";
}

static const char *set_dir(reader_t *r, const char *value)
{
    apr_finfo_t info;

    r->app->dir = ap_server_root_relative(r->p, value);
    if (r->app->dir == NULL || apr_stat(&info, r->app->dir, APR_FINFO_TYPE, r->p) != APR_SUCCESS ||
        info.filetype != APR_DIR) {
        return "expected a folder that exists";
    }
    return NULL;
}

static const char *set_user(reader_t *r, const char *value)
{
    const struct passwd *user = getpwnam(value);

    if (user == NULL) {
        return "there is no such user";
    }
    r->app->user = value;
    r->app->uid = user->pw_uid;
    r->app->gid = r->has_group ? r->app->gid : user->pw_gid;
    return NULL;
}

static const char *set_group(reader_t *r, const char *value)
{
    const struct group *group = getgrnam(value);

    if (group == NULL) {
        return "there is no such group";
    }
    r->has_group = true;
    r->app->gid = group->gr_gid;
    return NULL;
}

static const char *set_umask(reader_t *r, const char *value)
{
    char *end;
    long mask = strtol(value, &end, 8);

    if (!apr_isdigit(*value) || *end != '\0' || mask > 0777) {
        return "expected an octal number such as 027";
    }
    r->app->umask = (int)mask;
    return NULL;
}

static const char *set_nice(reader_t *r, const char *value)
{
    bool negative = *value == '-';

    if (read_count(value + negative, 0, 20, &r->app->nice) != NULL) {
        return "expected a number from -20 to 20";
    }
    r->app->nice = negative ? -r->app->nice : r->app->nice;
    return NULL;
}

static const char *set_concurrency(reader_t *r, const char *value)
{
    int n = 0;

    if (read_count(value, 0, 100000, &n) != NULL) {
        return "expected a whole number up to 100000; 0: no limit";
    }
    r->app->concurrency = (uint32_t)n;
    return NULL;
}

static const char *set_size(const char *value, uint64_t *to)
{
    int64_t n;

    if (abl_units_size(value, &n) != NULL || n == 0) {
        return "expected a size such as 200M";
    }
    *to = (uint64_t)n;
    return NULL;
}

static const char *set_memory(reader_t *r, const char *value)
{
    return set_size(value, &r->app->wear.memory);
}

static const char *set_requests(reader_t *r, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, INT64_C(1000000000), &n) != NULL) {
        return "expected a whole number of requests, at least 1";
    }
    r->app->wear.requests = (uint64_t)n;
    return NULL;
}

static const char *set_time(const char *value, int64_t *to)
{
    return abl_units_time(value, to) != NULL || *to == 0
               ? "expected a time over 0, such as 500ms, 30s, 5min or 2h"
               : NULL;
}

static const char *set_surge(reader_t *r, const char *value)
{
    return read_count(value, 0, ABL_SLOTS_OF_APP_MAX, &r->app->crowd.surge) != NULL
               ? "expected a whole number up to 64"
               : NULL;
}

static const char *set_starts(reader_t *r, const char *value)
{
    return read_count(value, 1, ABL_SLOTS_OF_APP_MAX, &r->app->crowd.starts) != NULL
               ? "expected a whole number from 1 to 64"
               : NULL;
}

static const char *set_failures(reader_t *r, const char *value)
{
    return read_count(value, 1, ABL_FAILURES_MAX, &r->app->crowd.failures) != NULL
               ? "expected a whole number from 1 to 32"
               : NULL;
}

static const char *set_ready_uri(reader_t *r, const char *value)
{
    const char *c;

    for (c = value; *c > ' ' && *c < 0x7f; c++) {
    }
    if (*value != '/' || *c != '\0' || c - value > 2000) {
        return "expected a path such as /health, with what is no letter, digit or mark written as %XX";
    }
    r->app->ready_uri = value;
    return NULL;
}

static const char *set_restart_file(reader_t *r, const char *value)
{
    r->restart_file = value;
    return *value == '\0' ? "expected a file's name" : NULL;
}

static const char *set_log(reader_t *r, const char *value)
{
    if (*value == '|') {
        return "expected the name of a file or of a named pipe; no program is started for it";
    }
    r->app->log = ap_server_root_relative(r->p, value);
    return r->app->log == NULL || *value == '\0' ? "expected a file's name" : NULL;
}

static const struct {
    const char *key;
    const char *(*set)(reader_t *r, const char *value);
} keys[] = {{"instances", set_instances},
            {"ports", set_ports},
            {"listen", set_listen},
            {"dir", set_dir},
            {"user", set_user},
            {"group", set_group},
            {"umask", set_umask},
            {"nice", set_nice},
            {"concurrency", set_concurrency},
            {"memory", set_memory},
            {"requests", set_requests},
            {"ready-uri", set_ready_uri},
            {"surge", set_surge},
            {"starts", set_starts},
            {"failures", set_failures},
            {"restart-file", set_restart_file},
            {"log", set_log}};

static const struct {
    const char *key;
    apr_size_t where; /* in the application's configuration */
} time_keys[] = {{"age", offsetof(abl_app_conf_t, wear.age)},
                 {"check", offsetof(abl_app_conf_t, wear.check)},
                 {"stuck", offsetof(abl_app_conf_t, stuck)},
                 {"start-timeout", offsetof(abl_app_conf_t, crowd.times.start)},
                 {"drain-timeout", offsetof(abl_app_conf_t, crowd.times.drain)},
                 {"stop-timeout", offsetof(abl_app_conf_t, crowd.times.stop)},
                 {"grow", offsetof(abl_app_conf_t, crowd.grow)},
                 {"idle", offsetof(abl_app_conf_t, crowd.idle)},
                 {"within", offsetof(abl_app_conf_t, crowd.within)},
                 {"retry", offsetof(abl_app_conf_t, crowd.retry)}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Those of BalancerMember that make sense for all of an application's members together. */
static const char *const member_keys[] = {"weight",  "keepalive", "idle-max", "idle-timeout",
                                          "max-age", "status",    "set"};

/* ---- env: and limit: -------------------------------------------------------------------------------- */

static const char *add_env(reader_t *r, const char *setting)
{
    const char *c = setting;

    while (apr_isalnum(*c) || *c == '_') {
        c++;
    }
    if (c == setting || apr_isdigit(*setting) || *c != '=') {
        return ABL_CONFIG_ERROR(r->p, "ABL0200", "env:%s: expected env:NAME=value", setting);
    }
    APR_ARRAY_PUSH(r->env, const char *) = setting;
    return NULL;
}

static const struct {
    const char *name;
    int resource;
    bool is_size;
} limits[] = {
    {"nofile", RLIMIT_NOFILE, false}, {"core", RLIMIT_CORE, true},    {"as", RLIMIT_AS, true},
    {"data", RLIMIT_DATA, true},      {"stack", RLIMIT_STACK, true},  {"fsize", RLIMIT_FSIZE, true},
    {"cpu", RLIMIT_CPU, false},       {"nproc", RLIMIT_NPROC, false}, {"memlock", RLIMIT_MEMLOCK, true}};

static const char *read_limit(const char *value, bool is_size, rlim_t *to)
{
    int64_t n = 0;
    const char *error = NULL;

    if (strcmp(value, "unlimited") == 0) {
        *to = RLIM_INFINITY;
        return NULL;
    }
    error = is_size ? abl_units_size(value, &n) : abl_units_number(value, 0, INT64_C(1) << 40, &n);
    *to = (rlim_t)n;
    return error != NULL ? is_size ? "expected a size such as 100M, or unlimited"
                                   : "expected a whole number, or unlimited"
                         : NULL;
}

static const char *add_limit(reader_t *r, const char *setting)
{
    const char *value = strchr(setting, '=');
    const char *error =
        "expected limit:NAME=value, with NAME one of nofile, core, as, data, stack, fsize, cpu, "
        "nproc, memlock";
    apr_size_t i;

    for (i = 0; value != NULL && i < COUNT(limits); i++) {
        if (strlen(limits[i].name) == (size_t)(value - setting) &&
            strncmp(setting, limits[i].name, (size_t)(value - setting)) == 0) {
            abl_app_limit_t *limit = &r->app->limits[r->app->nlimits];
            limit->resource = limits[i].resource;
            error = r->app->nlimits == ABL_APP_LIMITS_MAX
                        ? "there are more than 16 of them"
                        : read_limit(value + 1, limits[i].is_size, &limit->value);
            r->app->nlimits += error == NULL;
            break;
        }
    }
    return error != NULL ? ABL_CONFIG_ERROR(r->p, "ABL0201", "limit:%s: %s", setting, error) : NULL;
}

/* ---- words ------------------------------------------------------------------------------------------ */

static const char *unknown_key(apr_pool_t *p, const char *key)
{
    const char *known = "env:NAME=, limit:NAME=";
    apr_size_t i;

    for (i = 0; i < COUNT(keys); i++) {
        known = apr_pstrcat(p, known, ", ", keys[i].key, "=", NULL);
    }
    for (i = 0; i < COUNT(time_keys); i++) {
        known = apr_pstrcat(p, known, ", ", time_keys[i].key, "=", NULL);
    }
    for (i = 0; i < COUNT(member_keys); i++) {
        known = apr_pstrcat(p, known, ", ", member_keys[i], "=", NULL);
    }
    return ABL_CONFIG_ERROR(p, "ABL0202", "unknown key '%s='; known are %s", key, known);
}

static bool is_members(const char *key)
{
    apr_size_t i = 0;

    while (i < COUNT(member_keys) && ap_cstr_casecmp(member_keys[i], key) != 0) {
        i++;
    }
    return i < COUNT(member_keys);
}

/* NULL, or what was expected. *known: there is such a key. */
static const char *set_value(reader_t *r, const char *key, const char *value, bool *known)
{
    apr_size_t i;

    *known = true;
    for (i = 0; i < COUNT(keys); i++) {
        if (ap_cstr_casecmp(keys[i].key, key) == 0) {
            return keys[i].set(r, value);
        }
    }
    for (i = 0; i < COUNT(time_keys); i++) {
        if (ap_cstr_casecmp(time_keys[i].key, key) == 0) {
            return set_time(value, (int64_t *)(void *)((char *)r->app + time_keys[i].where));
        }
    }
    *known = false;
    return NULL;
}

static const char *set_key(reader_t *r, const char *key, const char *value)
{
    const char *mark = apr_pstrcat(r->p, " ", key, " ", NULL);
    const char *error;
    bool known;

    if (is_members(key)) {
        r->rest = apr_pstrcat(r->p, r->rest, " \"", key, "=", value, "\"", NULL);
        return NULL;
    }
    if (ap_strcasestr(r->seen, mark) != NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0203", "%s= is there twice", key);
    }
    r->seen = apr_pstrcat(r->p, r->seen, mark, NULL);
    error = set_value(r, key, value, &known);
    if (!known) {
        return unknown_key(r->p, key);
    }
    return error != NULL ? ABL_CONFIG_ERROR(r->p, "ABL0204", "%s=%s: %s", key, value, error) : NULL;
}

static const char *read_word(reader_t *r, char *word)
{
    char *value = strchr(word, '=');

    if (strncmp(word, "env:", 4) == 0) {
        return add_env(r, word + 4);
    }
    if (strncmp(word, "limit:", 6) == 0) {
        return add_limit(r, word + 6);
    }
    if (value == NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0205", "'%s' is not of the form key=value", word);
    }
    *value++ = '\0';
    return set_key(r, word, value);
}

/* ---- the line as a whole ---------------------------------------------------------------------------- */

static const char *read_name(cmd_parms *cmd, const abl_section_t *section, const char *name)
{
    const char *c = name;
    int i;

    while (apr_isalnum(*c) || *c == '_' || *c == '-' || *c == '.') {
        c++;
    }
    if (c == name || *c != '\0' || c - name > ABL_NAME_MAX || *name == '.') {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0206",
            "BalancerApp %s: expected the application's name, of letters, digits, '_', '.' and "
            "'-', at most %d of them, and then its command, as in BalancerApp web \"perl "
            "script/server.pl --port %%{port}\" ports=39564-39579",
            name, ABL_NAME_MAX);
    }
    for (i = 0; i < section->napps; i++) {
        if (ap_cstr_casecmp(section->apps[i].name, name) == 0) {
            return ABL_CONFIG_ERROR(cmd->pool, "ABL0207",
                                    "BalancerApp %s: <Balancer %s> has an application of this name already",
                                    name, section->balancer.name);
        }
    }
    return NULL;
}

static bool mentions(const reader_t *r, const char *what)
{
    int i;

    for (i = 0; r->app->argv[i] != NULL; i++) {
        if (strstr(r->app->argv[i], what) != NULL) {
            return true;
        }
    }
    for (i = 0; i < r->env->nelts; i++) {
        if (strstr(APR_ARRAY_IDX(r->env, i, const char *), what) != NULL) {
            return true;
        }
    }
    return false;
}

/* A placeholder that is none would be passed on as it stands. */
static const char *find_unknown_placeholder(const reader_t *r)
{
    int i;

    for (i = 0; r->app->argv[i] != NULL; i++) {
        const char *at = r->app->argv[i];
        while ((at = strstr(at, "%{")) != NULL) {
            if (strncmp(at, "%{port}", 7) != 0 && strncmp(at, "%{socket}", 9) != 0 &&
                (at == r->app->argv[i] || at[-1] != '%')) {
                return apr_pstrmemdup(r->p, at, strcspn(at, "} ") + 1);
            }
            at += 2;
        }
    }
    return NULL;
}

/* Does it hear where it is to listen, and in one way only? */
static const char *choose_place(reader_t *r)
{
    bool port = mentions(r, "%{port}"), socket = mentions(r, "%{socket}");
    const char *unknown = find_unknown_placeholder(r);

    if (unknown != NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0216",
                                "%s: there are %%{port} and %%{socket} only; a plain %%{ is written "
                                "%%%%{",
                                unknown);
    }
    if (port + socket + r->listens != 1) {
        return ABL_CONFIG_ERROR(
            r->p, "ABL0208",
            "the application must be told where to listen, in one way: %%{port} or %%{socket} in "
            "its command or in an env:, or listen=fd");
    }
    if (port && r->first_port == 0) {
        return ABL_CONFIG_ERROR(r->p, "ABL0209", "%%{port} needs ports=, such as ports=39564-39579");
    }
    if (socket && r->first_port != 0) {
        return ABL_CONFIG_ERROR(r->p, "ABL0210", "with %%{socket} there are no ports; leave ports= out");
    }
    r->app->place = port ? ABL_PLACE_PORT : socket ? ABL_PLACE_SOCKET : ABL_PLACE_FD;
    return NULL;
}

static const char *count_slots(reader_t *r)
{
    const abl_crowd_conf_t *crowd = &r->app->crowd;
    int needed = crowd->most + crowd->surge;

    if (r->first_port == 0) {
        r->app->nslots = 2 * crowd->most + crowd->surge;
        r->app->nslots = r->app->nslots < ABL_SLOTS_OF_APP_MAX ? r->app->nslots : ABL_SLOTS_OF_APP_MAX;
    } else {
        r->app->nslots = r->last_port - r->first_port + 1;
    }
    if (r->app->nslots < needed) {
        return ABL_CONFIG_ERROR(
            r->p, "ABL0211", "%d instances and %d more while one replaces another need %d %s; there are %d",
            crowd->most, crowd->surge, needed, r->first_port != 0 ? "ports" : "places", r->app->nslots);
    }
    return NULL;
}

static const char *check_line(reader_t *r)
{
    const char *error = choose_place(r);

    if (error == NULL) {
        error = count_slots(r);
    }
    if (error == NULL && r->app->wear.memory == 0 && ap_strcasestr(r->seen, " check ") != NULL) {
        error = ABL_CONFIG_ERROR(r->p, "ABL0212",
                                 "check= says how often memory= is looked at; there is no memory=");
    }
    return error;
}

static void set_defaults(apr_pool_t *p, abl_app_conf_t *app)
{
    app->dir = ap_server_root_relative(p, "");
    app->uid = (uid_t)-1; /* httpd's, which is not known yet */
    app->gid = (gid_t)-1;
    app->umask = -1;
    app->concurrency = 1;
    app->crowd = (abl_crowd_conf_t){.least = 1,
                                    .most = 1,
                                    .surge = 1,
                                    .starts = 1,
                                    .grow = 500 * ABL_MS,
                                    .idle = 300 * ABL_SECOND,
                                    .failures = 5,
                                    .within = 60 * ABL_SECOND,
                                    .retry = 30 * ABL_SECOND,
                                    .times = {60 * ABL_SECOND, 30 * ABL_SECOND, 10 * ABL_SECOND}};
    app->wear.check = 5 * ABL_SECOND;
}

/* ---- its members ------------------------------------------------------------------------------------ */

static const char *url_of(reader_t *r, const abl_section_t *section, int slot, const char **socket)
{
    const char *path;

    if (r->first_port != 0) {
        *socket = NULL;
        return apr_psprintf(r->p, "http://127.0.0.1:%d", r->first_port + slot);
    }
    path = apr_psprintf(r->p, "appbalance/%s.%s/%d.sock", section->balancer.name, r->app->name, slot + 1);
    *socket = ap_runtime_dir_relative(r->p, path);
    return apr_psprintf(r->p, "unix:%s|http://localhost", *socket);
}

static const char *add_slot(reader_t *r, abl_section_t *section, int slot)
{
    const char **addresses = (const char **)(uintptr_t)r->app->addresses;
    const char **sockets = (const char **)(uintptr_t)r->app->sockets;
    int *ports = (int *)(uintptr_t)r->app->ports;
    abl_member_t member = {.naddresses = 0};
    const char *socket = NULL;
    const char *url = url_of(r, section, slot, &socket);
    const char *error = abl_member_url_parse(r->p, url, &member.url);

    if (error == NULL) {
        error = abl_member_keys_parse(r->p, r->rest, &member);
    }
    if (error != NULL) {
        return error;
    }
    member.supervised = true;
    member.stuck = r->app->stuck;
    addresses[slot] = member.url.text;
    ports[slot] = r->first_port != 0 ? r->first_port + slot : 0;
    if (socket != NULL) {
        sockets[slot] = socket;
    }
    return abl_members_add(r->p, &section->balancer, "BalancerApp", &member);
}

static const char *add_members(reader_t *r, abl_section_t *section)
{
    apr_size_t n = (apr_size_t)r->app->nslots;
    const char *error = NULL;
    int i;

    r->app->addresses = apr_pcalloc(r->p, n * sizeof(char *));
    r->app->ports = apr_pcalloc(r->p, n * sizeof(int));
    r->app->sockets = r->first_port == 0 ? apr_pcalloc(r->p, n * sizeof(char *)) : NULL;
    if (r->app->concurrency != 0) {
        r->rest = apr_psprintf(r->p, "%s concurrency=%u", r->rest, r->app->concurrency);
    }
    while (*r->rest == ' ') {
        r->rest++;
    }
    for (i = 0; error == NULL && i < r->app->nslots; i++) {
        error = add_slot(r, section, i);
    }
    return error;
}

/* What other parts of it depend on. */
static void finish(reader_t *r, const abl_section_t *section)
{
    const char *file = r->restart_file != NULL ? r->restart_file : "tmp/restart.txt";

    r->app->balancer = section->balancer.name;
    r->app->restart_file = *file == '/' ? file : apr_pstrcat(r->p, r->app->dir, "/", file, NULL);
    APR_ARRAY_PUSH(r->env, const char *) = NULL;
    r->app->env = (const char *const *)r->env->elts;
}

static const char *read_line(cmd_parms *cmd, abl_section_t *section, const char *args, reader_t *r)
{
    char **argv = NULL;
    const char *error = read_name(cmd, section, r->app->name);
    const char *command = ap_getword_conf(cmd->pool, &args);

    if (error != NULL) {
        return error;
    }
    if (apr_tokenize_to_argv(command, &argv, cmd->pool) != APR_SUCCESS || argv[0] == NULL ||
        argv[0][0] == '\0') {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0213", "its command is missing, in quotes if it has spaces");
    }
    r->app->argv = (const char *const *)argv;
    while (error == NULL && *args != '\0') {
        error = read_word(r, ap_getword_conf(cmd->pool, &args));
    }
    if (error == NULL) {
        error = check_line(r);
    }
    if (error == NULL) {
        error = add_members(r, section);
    }
    return error;
}

const char *abl_app_parse(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    reader_t r = {.p = cmd->pool, .rest = "", .seen = ""};
    abl_app_conf_t *apps = apr_pcalloc(cmd->pool, (apr_size_t)(section->napps + 1) * sizeof(*apps));
    const char *error;

    if (section->napps > 0) {
        memcpy(apps, section->apps, (apr_size_t)section->napps * sizeof(*apps));
    }
    r.app = &apps[section->napps];
    r.env = apr_array_make(cmd->pool, 8, sizeof(char *));
    r.app->name = ap_getword_conf(cmd->pool, &args);
    set_defaults(cmd->pool, r.app);
    error = read_line(cmd, section, args, &r);
    if (error != NULL) {
        return strncmp(error, "ABL", 3) == 0 && strstr(error, "BalancerApp") == NULL
                   ? apr_pstrcat(cmd->pool, "BalancerApp ", r.app->name, ": ", error, NULL)
                   : error;
    }
    finish(&r, section);
    section->apps = apps;
    section->napps++;
    return NULL;
}
