/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks across directives.
 */
#include "httpd/check.h"

#include "httpd/app_check.h"
#include "httpd/places.h"

#include "http_core.h"

#include "apr_hash.h"
#include "apr_strings.h"

/* Routes of scopes, while the configuration is read. Parent. */
static abl_route_t *scope_routes;

void abl_check_reset(void)
{
    scope_routes = NULL;
}

static const char *known_balancers(apr_pool_t *p)
{
    const abl_section_t *section = abl_config_sections();
    const char *names = "";

    if (section == NULL) {
        return "there is no <Balancer> section at all";
    }
    for (; section != NULL; section = section->next) {
        names = apr_pstrcat(p, names, *names ? ", " : "", section->balancer.name, NULL);
    }
    return apr_pstrcat(p, "defined are: ", names, NULL);
}

const char *abl_check_scope_route(cmd_parms *cmd, abl_route_t *route)
{
    if (cmd->pool != cmd->server->process->pconf && route->name != NULL) {
        route->to = abl_config_find(route->name); /* .htaccess: everything is known */
        return route->to != NULL
                   ? NULL
                   : apr_psprintf(cmd->pool, "ABL0180: BalancerPass %s: no such balancer", route->name);
    }
    route->next = scope_routes;
    scope_routes = route;
    return NULL;
}

/* ---- routes ----------------------------------------------------------------------------------------- */

static int check_route(apr_pool_t *p, server_rec *s, abl_route_t *route)
{
    if (route->name == NULL) {
        return 0;
    }
    route->to = abl_config_find(route->name);
    if (route->to != NULL) {
        return 0;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, s,
                 "ABL0181: %s:%d: BalancerPass: there is no <Balancer %s>; %s", route->place.file,
                 route->place.line, route->name, known_balancers(p));
    return 1;
}

/* A virtual host has copies of the main server's routes: one mistake is one message. */
static bool is_reported(const abl_route_t *main_routes, const abl_route_t *route)
{
    for (; main_routes != NULL; main_routes = main_routes->next) {
        if (main_routes != route && main_routes->to == NULL && main_routes->name == route->name) {
            return true;
        }
    }
    return false;
}

static int check_routes(apr_pool_t *p, server_rec *s, abl_route_t *routes, const abl_route_t *main_routes)
{
    int wrong = 0;

    for (; routes != NULL; routes = routes->next) {
        if (!is_reported(main_routes, routes)) {
            wrong += check_route(p, s, routes);
        }
    }
    return wrong;
}

/* ---- handler names in other modules' directives ----------------------------------------------------- */

/* Where a directive's arguments name one of our handlers; NULL: nowhere. */
static const char *handler_in(const ap_directive_t *d)
{
    const char *args = d->args;

    if (ap_cstr_casecmp(d->directive, "SetHandler") == 0 ||
        ap_cstr_casecmp(d->directive, "AddHandler") == 0) {
        args += strspn(args, " \t\"'");
        return ap_cstr_casecmpn(args, ABL_HANDLER, sizeof(ABL_HANDLER) - 1) == 0 ? args : NULL;
    }
    if (ap_cstr_casecmp(d->directive, "RewriteRule") == 0) {
        const char *at = ap_strcasestr(args, "H=" ABL_HANDLER);
        if (at == NULL) {
            at = ap_strcasestr(args, "handler=" ABL_HANDLER);
        }
        return at == NULL ? NULL : strchr(at, '=') + 1;
    }
    return NULL;
}

static int check_handler(apr_pool_t *p, server_rec *s, const ap_directive_t *d)
{
    const char *name = handler_in(d);

    if (name == NULL) {
        return 0;
    }
    name += sizeof(ABL_HANDLER) - 1;
    name = apr_pstrmemdup(p, name, strcspn(name, " \t\"',]"));
    if (strpbrk(name, "%$") != NULL || abl_config_find(name) != NULL) {
        return 0; /* a name that is made at run time is looked up then */
    }
    ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, s,
                 "ABL0182: %s:%d: %s: there is no <Balancer %s>; %s", d->filename, d->line_num, d->directive,
                 name, known_balancers(p));
    return 1;
}

static int check_handlers(apr_pool_t *p, server_rec *s, const ap_directive_t *d)
{
    int wrong = 0;

    for (; d != NULL; d = d->next) {
        wrong += check_handler(p, s, d);
        wrong += check_handlers(p, s, d->first_child);
    }
    return wrong;
}

/* ---- may a directory overrule? ---------------------------------------------------------------------- */

static bool any_overrules(const apr_array_header_t *sections);

/* Does a <Directory> or <Files> section, or one inside it, set a handler, a route or try-files? */
static bool overrules(const ap_conf_vector_t *section)
{
    const core_dir_config *core = ap_get_core_module_config(section);
    const abl_dir_conf_t *ours = ap_get_module_config(section, &appbalance_module);

    if ((core != NULL && (core->handler != NULL || core->expr_handler != NULL)) ||
        (ours != NULL && (ours->route != NULL || ours->try_files == 1))) {
        return true;
    }
    return core != NULL && (any_overrules(core->sec_file) || any_overrules(core->sec_if));
}

static bool any_overrules(const apr_array_header_t *sections)
{
    int i;

    for (i = 0; sections != NULL && i < sections->nelts; i++) {
        if (overrules(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *))) {
            return true;
        }
    }
    return false;
}

static void note_walk(server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const core_dir_config *defaults = ap_get_core_module_config(s->lookup_defaults);
    abl_server_conf_t *conf = abl_server_conf(s);

    conf->walk |= any_overrules(core->sec_dir) || (defaults != NULL && any_overrules(defaults->sec_file));
}

/* ---- two limits for one server ---------------------------------------------------------------------- */

/* Where a member listens, whatever is asked of it there. */
static const char *place_of(apr_pool_t *p, const abl_member_t *member)
{
    const abl_member_url_t *url = &member->url;

    if (member->naming >= ABL_NAMING_SLOT) {
        return url->text; /* each slot is another server */
    }
    return url->socket_path != NULL ? url->socket_path
                                    : apr_psprintf(p, "%s port %d", url->host, (int)url->port);
}

typedef struct listener_t {
    const char *balancer;
    bool limited;
} listener_t;

static void note_listener(apr_hash_t *listeners, server_rec *s, const abl_section_t *section,
                          const abl_member_t *member)
{
    apr_pool_t *p = apr_hash_pool_get(listeners);
    const char *place = place_of(p, member);
    listener_t *other = apr_hash_get(listeners, place, APR_HASH_KEY_STRING);

    if (other == NULL) {
        other = apr_pcalloc(p, sizeof(*other));
        other->balancer = section->balancer.name;
        other->limited = member->concurrency > 0;
        apr_hash_set(listeners, place, APR_HASH_KEY_STRING, other);
    } else if (other->limited || member->concurrency > 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, s,
                     "ABL0193: %s:%d: <Balancer %s>: BalancerMember %s: %s is in <Balancer %s> too, and each "
                     "counts for itself: together they may send more than concurrency= says. Use one "
                     "balancer for both",
                     section->place.file, section->place.line, section->balancer.name, member->url.text,
                     place, other->balancer);
    }
}

static void check_listeners(apr_pool_t *p, server_rec *s)
{
    apr_hash_t *listeners = apr_hash_make(p);
    const abl_section_t *section;
    int i;

    for (section = abl_config_sections(); section != NULL; section = section->next) {
        for (i = 0; i < section->balancer.nmembers; i++) {
            const abl_member_t *member = &section->balancer.members[i];
            if (member->naming != ABL_NAMING_OPEN) { /* a place is nowhere yet */
                note_listener(listeners, s, section, member);
            }
        }
    }
}

int abl_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    server_rec *server;
    int wrong = check_routes(ptemp, s, scope_routes, NULL) + abl_places_make(pconf, s);

    (void)plog;
    for (server = s; server != NULL; server = server->next) {
        wrong += check_routes(ptemp, server, abl_server_conf(server)->routes,
                              server == s ? NULL : abl_server_conf(s)->routes);
        note_walk(server);
    }
    wrong += check_handlers(ptemp, s, ap_conftree);
    abl_config_look_for_fields();
    wrong += abl_app_check(ptemp, s);
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG ||
        ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        check_listeners(ptemp, s); /* httpd reads everything twice when it starts; once is enough to warn */
    }
    return wrong == 0 ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
