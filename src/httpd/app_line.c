/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of BalancerApp as a whole: its name and command, where its instances listen, and their members.
 */
#include "httpd/app_line.h"

#include "base/clock.h"
#include "control/placeholder.h"
#include "httpd/app_keys.h"
#include "httpd/member_keys.h"
#include "httpd/members.h"

#include "http_core.h"

#include "apr_lib.h"
#include "apr_strings.h"

/* ---- where it listens ------------------------------------------------------------------------------- */

/* Which placeholders there are in its command and its environment. */
typedef struct uses_t {
    bool port, socket;
    const char *unknown; /* one that would be passed on as it stands; NULL: none */
} uses_t;

static void note_uses(apr_pool_t *p, const char *text, uses_t *uses)
{
    abl_placeholder_t it;

    for (it = abl_placeholder_find(text); it.at != NULL; it = abl_placeholder_find(it.at + it.len)) {
        uses->port = uses->port || it.kind == ABL_PLACEHOLDER_PORT;
        uses->socket = uses->socket || it.kind == ABL_PLACEHOLDER_SOCKET;
        if (it.kind == ABL_PLACEHOLDER_UNKNOWN && uses->unknown == NULL) {
            uses->unknown = apr_pstrmemdup(p, it.at, it.len);
        }
    }
}

static uses_t find_uses(const abl_app_reader_t *r)
{
    uses_t uses = {false, false, NULL};
    int i;

    for (i = 0; r->app->argv[i] != NULL; i++) {
        note_uses(r->p, r->app->argv[i], &uses);
    }
    for (i = 0; i < r->env->nelts; i++) {
        note_uses(r->p, APR_ARRAY_IDX(r->env, i, const char *), &uses);
    }
    return uses;
}

/* Does it hear where it is to listen, and in one way only? */
static const char *choose_place(abl_app_reader_t *r)
{
    uses_t uses = find_uses(r);

    if (uses.unknown != NULL) {
        return ABL_CONFIG_ERROR(r->p, "ABL0216",
                                "%s: there are %%{port} and %%{socket} only; a plain %%{ is written "
                                "%%%%{",
                                uses.unknown);
    }
    if (uses.port + uses.socket + r->listens != 1) {
        return ABL_CONFIG_ERROR(
            r->p, "ABL0208",
            "the application must be told where to listen, in one way: %%{port} or %%{socket} in "
            "its command or in an env:, or listen=fd");
    }
    if (uses.port && r->first_port == 0) {
        return ABL_CONFIG_ERROR(r->p, "ABL0209", "%%{port} needs ports=, such as ports=39564-39579");
    }
    if (uses.socket && r->first_port != 0) {
        return ABL_CONFIG_ERROR(r->p, "ABL0210", "with %%{socket} there are no ports; leave ports= out");
    }
    r->app->place = uses.port ? ABL_PLACE_PORT : uses.socket ? ABL_PLACE_SOCKET : ABL_PLACE_FD;
    return NULL;
}

static const char *count_slots(abl_app_reader_t *r)
{
    const abl_fleet_conf_t *fleet = &r->app->fleet;
    int needed = fleet->most + fleet->surge;

    if (r->first_port == 0) {
        r->app->nslots = 2 * fleet->most + fleet->surge;
        r->app->nslots = r->app->nslots < ABL_SLOTS_OF_APP_MAX ? r->app->nslots : ABL_SLOTS_OF_APP_MAX;
    } else {
        r->app->nslots = r->last_port - r->first_port + 1;
    }
    if (r->app->nslots < needed) {
        return ABL_CONFIG_ERROR(
            r->p, "ABL0211", "%d instances and %d more while one replaces another need %d %s; there are %d",
            fleet->most, fleet->surge, needed, r->first_port != 0 ? "ports" : "places", r->app->nslots);
    }
    return NULL;
}

/* ---- its members ------------------------------------------------------------------------------------ */

static const char *url_of(abl_app_reader_t *r, const abl_section_t *section, int slot, const char **socket)
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

static const char *add_slot(abl_app_reader_t *r, abl_section_t *section, int slot)
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
    return abl_members_add(r->p, section, "BalancerApp", &member);
}

static const char *add_members(abl_app_reader_t *r, abl_section_t *section)
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

static void set_defaults(apr_pool_t *p, abl_app_conf_t *app)
{
    app->dir = ap_server_root_relative(p, "");
    app->uid = (uid_t)-1; /* httpd's, which is not known yet */
    app->gid = (gid_t)-1;
    app->umask = -1;
    app->concurrency = 1;
    app->fleet = (abl_fleet_conf_t){.least = 1,
                                    .most = 1,
                                    .surge = 1,
                                    .starts = 1,
                                    .grow = 500 * ABL_MS,
                                    .idle = 300 * ABL_SECOND,
                                    .failures = 5,
                                    .within = 60 * ABL_SECOND,
                                    .retry = 30 * ABL_SECOND,
                                    .times = {60 * ABL_SECOND, 30 * ABL_SECOND, 10 * ABL_SECOND}};
    app->recycle.check = 5 * ABL_SECOND;
}

static const char *check_line(abl_app_reader_t *r)
{
    const char *error = choose_place(r);

    if (error == NULL) {
        error = count_slots(r);
    }
    if (error == NULL && r->app->recycle.memory == 0 && abl_app_keys_has(r, "check")) {
        error = ABL_CONFIG_ERROR(r->p, "ABL0212",
                                 "check= says how often memory= is looked at; there is no memory=");
    }
    return error;
}

/* What other parts of it depend on. */
static void finish(abl_app_reader_t *r, const abl_section_t *section)
{
    const char *file = r->restart_file != NULL ? r->restart_file : "tmp/restart.txt";

    r->app->balancer = section->balancer.name;
    r->app->restart_file = *file == '/' ? file : apr_pstrcat(r->p, r->app->dir, "/", file, NULL);
    APR_ARRAY_PUSH(r->env, const char *) = NULL;
    r->app->env = (const char *const *)r->env->elts;
}

static const char *read_line(cmd_parms *cmd, abl_section_t *section, const char *args, abl_app_reader_t *r)
{
    const char *command = ap_getword_conf(cmd->pool, &args);
    const char *error = NULL;
    char **argv = NULL;

    if (apr_tokenize_to_argv(command, &argv, cmd->pool) != APR_SUCCESS || argv[0] == NULL ||
        argv[0][0] == '\0') {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0213", "its command is missing, in quotes if it has spaces");
    }
    r->app->argv = (const char *const *)argv;
    while (error == NULL && *args != '\0') {
        error = abl_app_keys_read(r, ap_getword_conf(cmd->pool, &args));
    }
    if (error == NULL) {
        error = check_line(r);
    }
    if (error == NULL) {
        error = add_members(r, section);
    }
    return error;
}

const char *abl_app_line_parse(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    abl_app_reader_t r = {.p = cmd->pool, .rest = "", .seen = ""};
    abl_app_conf_t *apps = apr_pcalloc(cmd->pool, (apr_size_t)(section->napps + 1) * sizeof(*apps));
    const char *error;

    if (section->napps > 0) {
        memcpy(apps, section->apps, (apr_size_t)section->napps * sizeof(*apps));
    }
    r.app = &apps[section->napps];
    r.env = apr_array_make(cmd->pool, 8, sizeof(char *));
    r.app->name = ap_getword_conf(cmd->pool, &args);
    set_defaults(cmd->pool, r.app);
    error = read_name(cmd, section, r.app->name);
    if (error != NULL) {
        return error;
    }
    error = read_line(cmd, section, args, &r);
    if (error != NULL) {
        return apr_pstrcat(cmd->pool, "BalancerApp ", r.app->name, ": ", error, NULL);
    }
    finish(&r, section);
    section->apps = apps;
    section->napps++;
    return NULL;
}
