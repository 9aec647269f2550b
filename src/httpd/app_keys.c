/* SPDX-License-Identifier: Apache-2.0
 *
 * What each key of BalancerApp means.
 */
#include "httpd/app_keys.h"

#include "base/units.h"
#include "control/limit.h"

#include "http_core.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <grp.h>
#include <pwd.h>

#define ENV "env:"
#define LIMIT "limit:"

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

static const char *set_instances(abl_app_reader_t *r, const char *value)
{
    if (read_range(r->p, value, ABL_SLOTS_OF_APP_MAX, &r->app->fleet.least, &r->app->fleet.most) != NULL) {
        return "expected a number of instances, or a range such as 2-8, up to 64";
    }
    return NULL;
}

static const char *set_ports(abl_app_reader_t *r, const char *value)
{
    if (read_range(r->p, value, 65535, &r->first_port, &r->last_port) != NULL ||
        r->last_port - r->first_port >= ABL_SLOTS_OF_APP_MAX) {
        return "expected a range of at most 64 ports, such as 39564-39579";
    }
    return NULL;
}

static const char *set_listen(abl_app_reader_t *r, const char *value)
{
    r->listens = strcmp(value, "fd") == 0;
    return r->listens ? NULL : "expected fd: a socket that listens is handed to the application";
}

static const char *set_dir(abl_app_reader_t *r, const char *value)
{
    apr_finfo_t info;

    r->app->dir = ap_server_root_relative(r->p, value);
    if (r->app->dir == NULL || apr_stat(&info, r->app->dir, APR_FINFO_TYPE, r->p) != APR_SUCCESS ||
        info.filetype != APR_DIR) {
        return "expected a folder that exists";
    }
    return NULL;
}

static const char *set_user(abl_app_reader_t *r, const char *value)
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

static const char *set_group(abl_app_reader_t *r, const char *value)
{
    const struct group *group = getgrnam(value);

    if (group == NULL) {
        return "there is no such group";
    }
    r->has_group = true;
    r->app->gid = group->gr_gid;
    return NULL;
}

static const char *set_umask(abl_app_reader_t *r, const char *value)
{
    char *end;
    long mask = strtol(value, &end, 8);

    if (!apr_isdigit(*value) || *end != '\0' || mask > 0777) {
        return "expected an octal number such as 027";
    }
    r->app->umask = (int)mask;
    return NULL;
}

static const char *set_nice(abl_app_reader_t *r, const char *value)
{
    bool negative = *value == '-';

    if (read_count(value + negative, 0, 20, &r->app->nice) != NULL) {
        return "expected a number from -20 to 20";
    }
    r->app->nice = negative ? -r->app->nice : r->app->nice;
    return NULL;
}

static const char *set_concurrency(abl_app_reader_t *r, const char *value)
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

static const char *set_memory(abl_app_reader_t *r, const char *value)
{
    return set_size(value, &r->app->recycle.memory);
}

static const char *set_requests(abl_app_reader_t *r, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, INT64_C(1000000000), &n) != NULL) {
        return "expected a whole number of requests, at least 1";
    }
    r->app->recycle.requests = (uint64_t)n;
    return NULL;
}

static const char *set_time(const char *value, int64_t *to)
{
    return abl_units_time(value, to) != NULL || *to == 0
               ? "expected a time over 0, such as 500ms, 30s, 5min or 2h"
               : NULL;
}

static const char *set_surge(abl_app_reader_t *r, const char *value)
{
    return read_count(value, 0, ABL_SLOTS_OF_APP_MAX, &r->app->fleet.surge) != NULL
               ? "expected a whole number up to 64"
               : NULL;
}

static const char *set_starts(abl_app_reader_t *r, const char *value)
{
    return read_count(value, 1, ABL_SLOTS_OF_APP_MAX, &r->app->fleet.starts) != NULL
               ? "expected a whole number from 1 to 64"
               : NULL;
}

static const char *set_failures(abl_app_reader_t *r, const char *value)
{
    return read_count(value, 1, ABL_FAILURES_MAX, &r->app->fleet.failures) != NULL
               ? "expected a whole number from 1 to 32"
               : NULL;
}

static const char *set_ready_uri(abl_app_reader_t *r, const char *value)
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

static const char *set_restart_file(abl_app_reader_t *r, const char *value)
{
    r->restart_file = value;
    return *value == '\0' ? "expected a file's name" : NULL;
}

static const char *set_log(abl_app_reader_t *r, const char *value)
{
    r->app->log = *value == '|' ? value : ap_server_root_relative(r->p, value);
    return r->app->log == NULL || *value == '\0' || strcmp(value, "|") == 0
               ? "expected a file's name, or | and a command"
               : NULL;
}

static const struct {
    const char *key;
    const char *(*set)(abl_app_reader_t *r, const char *value);
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
} time_keys[] = {{"age", offsetof(abl_app_conf_t, recycle.age)},
                 {"check", offsetof(abl_app_conf_t, recycle.check)},
                 {"stuck", offsetof(abl_app_conf_t, stuck)},
                 {"start-timeout", offsetof(abl_app_conf_t, fleet.times.start)},
                 {"drain-timeout", offsetof(abl_app_conf_t, fleet.times.drain)},
                 {"stop-timeout", offsetof(abl_app_conf_t, fleet.times.stop)},
                 {"grow", offsetof(abl_app_conf_t, fleet.grow)},
                 {"idle", offsetof(abl_app_conf_t, fleet.idle)},
                 {"within", offsetof(abl_app_conf_t, fleet.within)},
                 {"retry", offsetof(abl_app_conf_t, fleet.retry)}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Those of BalancerMember that make sense for all of an application's members together. */
static const char *const member_keys[] = {"weight",  "keepalive", "idle-max", "idle-timeout",
                                          "max-age", "status",    "set"};

/* ---- no key twice ----------------------------------------------------------------------------------- */

/* Letters' case matters in the names of env: and limit: only. */
static const char *mark_of(const abl_app_reader_t *r, const char *key)
{
    char *mark = apr_pstrcat(r->p, " ", key, " ", NULL);

    if (strchr(key, ':') == NULL) {
        ap_str_tolower(mark);
    }
    return mark;
}

bool abl_app_keys_has(const abl_app_reader_t *r, const char *key)
{
    return strstr(r->seen, mark_of(r, key)) != NULL;
}

static const char *note(abl_app_reader_t *r, const char *key)
{
    if (abl_app_keys_has(r, key)) {
        return ABL_CONFIG_ERROR(r->p, "ABL0203", "%s= is there twice", key);
    }
    r->seen = apr_pstrcat(r->p, r->seen, mark_of(r, key), NULL);
    return NULL;
}

/* ---- env: and limit: -------------------------------------------------------------------------------- */

static const char *add_env(abl_app_reader_t *r, const char *key, const char *value)
{
    const char *name = key + sizeof(ENV) - 1;
    const char *c = name;

    while (apr_isalnum(*c) || *c == '_') {
        c++;
    }
    if (c == name || apr_isdigit(*name) || *c != '\0' || value == NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0200", "%s: expected env:NAME=value", key);
    }
    APR_ARRAY_PUSH(r->env, const char *) = apr_pstrcat(r->p, name, "=", value, NULL);
    return note(r, key);
}

static const char *expected_limit(apr_pool_t *p)
{
    const char *names = "";
    apr_size_t i;

    for (i = 0; abl_limit_at(i) != NULL; i++) {
        names = apr_pstrcat(p, names, i > 0 ? ", " : "", abl_limit_at(i)->name, NULL);
    }
    return apr_pstrcat(p, "expected limit:NAME=value, with NAME one of ", names, NULL);
}

static const char *read_limit(apr_pool_t *p, const char *name, const char *value, abl_app_limit_t *to)
{
    const abl_limit_t *known = value != NULL ? abl_limit_named(name) : NULL;
    const char *error;
    int64_t n = 0;

    if (known == NULL) {
        return expected_limit(p);
    }
    to->resource = known->resource;
    to->value = RLIM_INFINITY;
    if (strcmp(value, "unlimited") == 0) {
        return NULL;
    }
    error = known->is_size ? abl_units_size(value, &n) : abl_units_number(value, 0, INT64_C(1) << 40, &n);
    to->value = (rlim_t)n;
    return error == NULL    ? NULL
           : known->is_size ? "expected a size such as 100M, or unlimited"
                            : "expected a whole number, or unlimited";
}

static const char *add_limit(abl_app_reader_t *r, const char *key, const char *value)
{
    abl_app_limit_t limit = {0};
    const char *error = read_limit(r->p, key + sizeof(LIMIT) - 1, value, &limit);

    if (error != NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0201", "%s%s%s: %s", key, value != NULL ? "=" : "",
                                value != NULL ? value : "", error);
    }
    error = note(r, key); /* so there are never more of them than there are names */
    if (error == NULL) {
        r->app->limits[r->app->nlimits++] = limit;
    }
    return error;
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
static const char *set_value(abl_app_reader_t *r, const char *key, const char *value, bool *known)
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

static const char *set_key(abl_app_reader_t *r, const char *key, const char *value)
{
    const char *error;
    bool known;

    if (is_members(key)) { /* given twice they are refused where they are read */
        r->rest = apr_pstrcat(r->p, r->rest, " \"", key, "=", value, "\"", NULL);
        return NULL;
    }
    error = note(r, key);
    if (error != NULL) {
        return error;
    }
    error = set_value(r, key, value, &known);
    if (!known) {
        return unknown_key(r->p, key);
    }
    return error != NULL ? ABL_CONFIG_ERROR(r->p, "ABL0204", "%s=%s: %s", key, value, error) : NULL;
}

const char *abl_app_keys_read(abl_app_reader_t *r, char *word)
{
    char *value = strchr(word, '=');

    if (value != NULL) {
        *value++ = '\0';
    }
    if (strncmp(word, ENV, sizeof(ENV) - 1) == 0) {
        return add_env(r, word, value);
    }
    if (strncmp(word, LIMIT, sizeof(LIMIT) - 1) == 0) {
        return add_limit(r, word, value);
    }
    if (value == NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0205", "'%s' is not of the form key=value", word);
    }
    return set_key(r, word, value);
}
