/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and merging configurations.
 */
#include "httpd/config.h"

#include "base/clock.h"

#include "apr_strings.h"

static const abl_timeouts_t default_timeouts = {
    .connect = 5 * ABL_SECOND,
    .response = 60 * ABL_SECOND,
    .gap = 60 * ABL_SECOND,
    .tunnel = 3600 * ABL_SECOND,
};

static const abl_timeouts_t unset_timeouts = {ABL_UNSET, ABL_UNSET, ABL_UNSET, ABL_UNSET};

/* The sections of the configuration being read or in force. The parent resets it before each reading;
 * children inherit it and only read. */
static abl_section_t *sections;

/* BalancerLogFields, and with auto what was found. */
static abl_log_fields_t log_fields;
static bool wants_fields;

void abl_config_reset(void)
{
    sections = NULL;
    log_fields = ABL_LOG_FIELDS_AUTO;
    wants_fields = false;
}

void abl_config_set_log_fields(abl_log_fields_t fields)
{
    log_fields = fields;
}

bool abl_config_any(const ap_directive_t *line, bool (*fits)(const ap_directive_t *line))
{
    bool found = false;

    for (; line != NULL && !found; line = line->next) {
        found = (line->args != NULL && fits(line)) || abl_config_any(line->first_child, fits);
    }
    return found;
}

static bool speaks_of_fields(const ap_directive_t *line)
{
    return ap_strstr_c(line->args, "BALANCER_") != NULL;
}

void abl_config_look_for_fields(void)
{
    wants_fields = log_fields == ABL_LOG_FIELDS_ON ||
                   (log_fields == ABL_LOG_FIELDS_AUTO && abl_config_any(ap_conftree, speaks_of_fields));
}

bool abl_config_wants_fields(void)
{
    return wants_fields;
}

abl_section_t *abl_config_sections(void)
{
    return sections;
}

void abl_config_add_section(abl_section_t *section)
{
    abl_section_t **link = &sections;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = section;
}

abl_section_t *abl_config_find(const char *name)
{
    abl_section_t *section = sections;

    while (section != NULL && ap_cstr_casecmp(section->balancer.name, name) != 0) {
        section = section->next;
    }
    return section;
}

abl_route_t *abl_config_add_route(abl_route_t **routes, abl_route_t *route)
{
    abl_route_t **link = routes;

    while (*link != NULL && (*link)->length >= route->length) {
        if (strcmp((*link)->prefix, route->prefix) == 0) {
            return *link;
        }
        link = &(*link)->next;
    }
    route->next = *link;
    *link = route;
    return NULL;
}

/* ---- merging ---------------------------------------------------------------------------------------- */

static int64_t time_or(int64_t add, int64_t base)
{
    return add != ABL_UNSET ? add : base;
}

static abl_timeouts_t merge_timeouts(const abl_timeouts_t *base, const abl_timeouts_t *add)
{
    abl_timeouts_t merged = {
        .connect = time_or(add->connect, base->connect),
        .response = time_or(add->response, base->response),
        .gap = time_or(add->gap, base->gap),
        .tunnel = time_or(add->tunnel, base->tunnel),
    };
    return merged;
}

abl_timeouts_t abl_config_timeouts(const request_rec *r, const abl_balancer_t *balancer)
{
    abl_timeouts_t t = merge_timeouts(&default_timeouts, &abl_server_conf(r->server)->timeouts);

    t = merge_timeouts(&t, &balancer->timeouts);
    return merge_timeouts(&t, &abl_dir_conf(r)->timeouts);
}

void *abl_config_create_server(apr_pool_t *p, server_rec *s)
{
    abl_server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)s;
    conf->timeouts = unset_timeouts;
    conf->linger = ABL_UNSET;
    conf->at_once = ABL_UNSET;
    conf->lane = ABL_UNSET;
    return conf;
}

/* A host's own routes come before the main server's of the same prefix. */
static void inherit_routes(apr_pool_t *p, abl_server_conf_t *merged, const abl_route_t *routes)
{
    for (; routes != NULL; routes = routes->next) {
        (void)abl_config_add_route(&merged->routes, apr_pmemdup(p, routes, sizeof(*routes)));
    }
}

void *abl_config_merge_server(apr_pool_t *p, void *base_, void *add_)
{
    const abl_server_conf_t *base = base_, *add = add_;
    abl_server_conf_t *merged = apr_pcalloc(p, sizeof(*merged));

    inherit_routes(p, merged, add->routes);
    inherit_routes(p, merged, base->routes);
    merged->timeouts = merge_timeouts(&base->timeouts, &add->timeouts);
    merged->linger = time_or(add->linger, base->linger);
    merged->at_once = time_or(add->at_once, base->at_once);
    merged->lane = add->lane != ABL_UNSET ? add->lane : base->lane;
    merged->walk = base->walk || add->walk;
    return merged;
}

void *abl_config_create_dir(apr_pool_t *p, char *path)
{
    abl_dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    (void)path;
    conf->try_files = ABL_UNSET;
    conf->preserve_host = ABL_UNSET;
    conf->error_override = ABL_UNSET;
    conf->forwarded = ABL_FORWARDED_UNSET;
    conf->server_timing = conf->trace = ABL_UNSET;
    conf->timeouts = unset_timeouts;
    return conf;
}

/* Of two scopes that both apply the more specific one wins, whatever their order; of equals the later. */
static abl_route_t *merge_route(abl_route_t *base, abl_route_t *add)
{
    if (base == NULL || add == NULL) {
        return add != NULL ? add : base;
    }
    return add->length >= base->length ? add : base;
}

void *abl_config_merge_dir(apr_pool_t *p, void *base_, void *add_)
{
    const abl_dir_conf_t *base = base_, *add = add_;
    abl_dir_conf_t *merged = apr_palloc(p, sizeof(*merged));

    merged->route = merge_route(base->route, add->route);
    merged->try_files = add->try_files != ABL_UNSET ? add->try_files : base->try_files;
    merged->preserve_host = add->preserve_host != ABL_UNSET ? add->preserve_host : base->preserve_host;
    merged->error_override = add->error_override != ABL_UNSET ? add->error_override : base->error_override;
    merged->error_codes = add->error_override != ABL_UNSET ? add->error_codes : base->error_codes;
    merged->forwarded = add->forwarded != ABL_FORWARDED_UNSET ? add->forwarded : base->forwarded;
    merged->trusted_none = add->trusted_none;
    merged->trusted = add->trusted != NULL ? add->trusted : base->trusted;
    merged->server_timing = add->server_timing != ABL_UNSET ? add->server_timing : base->server_timing;
    merged->trace = add->trace != ABL_UNSET ? add->trace : base->trace;
    merged->timeouts = merge_timeouts(&base->timeouts, &add->timeouts);
    return merged;
}
