/* SPDX-License-Identifier: Apache-2.0
 *
 * The directives outside <Balancer>, and the table of all.
 */
#include "httpd/directives.h"

#include "base/units.h"
#include "httpd/check.h"
#include "httpd/drive.h"
#include "httpd/linger.h"
#include "httpd/persist.h"
#include "httpd/resolver_keys.h"
#include "httpd/timeouts.h"

#include "apr_fnmatch.h"
#include "apr_network_io.h"
#include "apr_strings.h"

static const char *set_timeouts(cmd_parms *cmd, void *dir, const char *args)
{
    abl_timeouts_t *timeouts =
        cmd->path != NULL ? &((abl_dir_conf_t *)dir)->timeouts : &abl_server_conf(cmd->server)->timeouts;

    return abl_timeouts_parse(cmd->pool, args, timeouts);
}

/* ---- BalancerPass, BalancerStatic ------------------------------------------------------------------- */

static abl_route_t *make_route(cmd_parms *cmd, const char *name)
{
    abl_route_t *route = apr_pcalloc(cmd->pool, sizeof(*route));

    route->name = name;
    route->place.file = cmd->directive->filename;
    route->place.line = cmd->directive->line_num;
    return route;
}

/* A prefix without its trailing slashes; "/" becomes "". */
static const char *trim_prefix(apr_pool_t *p, const char *prefix)
{
    apr_size_t len = strlen(prefix);

    while (len > 0 && prefix[len - 1] == '/') {
        len--;
    }
    return apr_pstrmemdup(p, prefix, len);
}

/* A plain <Location /path> is as specific as its path; every other scope has no length to compare. */
static void measure_scope(cmd_parms *cmd, abl_route_t *route)
{
    const ap_directive_t *parent = cmd->directive->parent;

    route->length = ABL_ROUTE_SCOPE;
    if (parent != NULL && ap_cstr_casecmp(parent->directive, "<Location") == 0 && cmd->path[0] == '/' &&
        !apr_fnmatch_test(cmd->path)) {
        route->prefix = trim_prefix(cmd->pool, cmd->path);
        route->length = strlen(route->prefix);
    }
}

static const char *add_scope_route(cmd_parms *cmd, abl_dir_conf_t *conf, const char *name)
{
    abl_route_t *route = make_route(cmd, name);

    if (conf->route != NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0160", "%s: this scope has a %s at %s:%d already",
                                cmd->cmd->name, conf->route->name != NULL ? "BalancerPass" : "BalancerStatic",
                                conf->route->place.file, conf->route->place.line);
    }
    measure_scope(cmd, route);
    conf->route = route;
    return abl_check_scope_route(cmd, route);
}

static const char *add_server_route(cmd_parms *cmd, const char *prefix, const char *name)
{
    abl_route_t *route = make_route(cmd, name);
    const abl_route_t *other;

    if (prefix[0] != '/') {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0161", "%s %s: a prefix begins with '/'", cmd->cmd->name,
                                prefix);
    }
    if (strstr(prefix, "//") != NULL || strstr(prefix, "/./") != NULL || strstr(prefix, "/../") != NULL) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0168",
            "%s %s: httpd takes '//', '/./' and '/../' out of a path, so this prefix never matches",
            cmd->cmd->name, prefix);
    }
    if (strpbrk(prefix, "?#%") != NULL || apr_fnmatch_test(prefix)) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0162",
            "%s %s: a prefix is a plain, decoded path without '?', '#', '%%' or wildcards; "
            "use <LocationMatch> for patterns",
            cmd->cmd->name, prefix);
    }
    route->prefix = trim_prefix(cmd->pool, prefix);
    route->length = strlen(route->prefix);
    other = abl_config_add_route(&abl_server_conf(cmd->server)->routes, route);
    if (other != NULL) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0163", "%s %s: this prefix has a %s at %s:%d already", cmd->cmd->name, prefix,
            other->name != NULL ? "BalancerPass" : "BalancerStatic", other->place.file, other->place.line);
    }
    return NULL;
}

static const char *set_pass(cmd_parms *cmd, void *dir, const char *first, const char *second)
{
    const char *error = ap_check_cmd_context(cmd, NOT_IN_LIMIT);

    if (error != NULL) {
        return error;
    }
    if (cmd->path != NULL) {
        return second == NULL
                   ? add_scope_route(cmd, dir, first)
                   : ABL_CONFIG_ERROR(cmd->pool, "ABL0164",
                                      "BalancerPass %s %s: inside a <Location> or <Directory> it takes the "
                                      "balancer's name only, and holds for all of it",
                                      first, second);
    }
    if (second == NULL) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0165",
            "BalancerPass %s: expected a prefix and a balancer's name, as in BalancerPass / "
            "my_cluster",
            first);
    }
    return add_server_route(cmd, first, second);
}

static const char *set_static(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    const char *error = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    int i;

    if (error != NULL) {
        return error;
    }
    if (cmd->path != NULL) {
        return argc == 0 ? add_scope_route(cmd, dir, NULL)
                         : ABL_CONFIG_ERROR(
                               cmd->pool, "ABL0166",
                               "BalancerStatic %s: inside a <Location> or <Directory> it takes nothing, and "
                               "holds for all of it",
                               argv[0]);
    }
    if (argc == 0) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0167",
                                "BalancerStatic: expected one or more prefixes, as in "
                                "BalancerStatic /static /favicon.ico");
    }
    for (i = 0; i < argc && error == NULL; i++) {
        error = add_server_route(cmd, argv[i], NULL);
    }
    return error;
}

/* ---- the others ------------------------------------------------------------------------------------- */

static const char *set_forwarded(cmd_parms *cmd, void *dir, const char *value)
{
    static const struct {
        const char *word;
        abl_forwarded_t mode;
    } words[] = {{"on", ABL_FORWARDED_X},
                 {"off", ABL_FORWARDED_OFF},
                 {"rfc7239", ABL_FORWARDED_RFC},
                 {"both", ABL_FORWARDED_BOTH}};
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (ap_cstr_casecmp(words[i].word, value) == 0) {
            ((abl_dir_conf_t *)dir)->forwarded = words[i].mode;
            return NULL;
        }
    }
    return ABL_CONFIG_ERROR(
        cmd->pool, "ABL0170",
        "BalancerForwarded %s: expected on (X-Forwarded-*), rfc7239 (Forwarded), both or off", value);
}

/* Everybody: APR knows no network of 0 bits, so it is written as its two halves. */
static bool push_everybody(apr_pool_t *p, apr_array_header_t *trusted, const char *address)
{
    bool v6 = strcmp(address, "::") == 0;

    if (!v6 && strcmp(address, "0.0.0.0") != 0) {
        return false;
    }
    return apr_ipsubnet_create(&APR_ARRAY_PUSH(trusted, apr_ipsubnet_t *), address, "1", p) == APR_SUCCESS &&
           apr_ipsubnet_create(&APR_ARRAY_PUSH(trusted, apr_ipsubnet_t *), v6 ? "8000::" : "128.0.0.0", "1",
                               p) == APR_SUCCESS;
}

static const char *add_trusted(cmd_parms *cmd, void *dir, const char *word)
{
    abl_dir_conf_t *conf = dir;
    char *mask;
    char *address = apr_pstrdup(cmd->temp_pool, word);
    apr_ipsubnet_t *subnet;

    if (conf->trusted_none || (conf->trusted != NULL && ap_cstr_casecmp(word, "none") == 0)) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0176", "BalancerTrusted %s: none stands alone", word);
    }
    conf->trusted_none = ap_cstr_casecmp(word, "none") == 0;
    if (conf->trusted == NULL) {
        conf->trusted = apr_array_make(cmd->pool, 4, sizeof(apr_ipsubnet_t *));
    }
    if (ap_cstr_casecmp(word, "none") == 0) {
        return NULL;
    }
    mask = strchr(address, '/');
    if (mask != NULL) {
        *mask++ = '\0';
    }
    if (mask != NULL && strcmp(mask, "0") == 0 && push_everybody(cmd->pool, conf->trusted, address)) {
        return NULL;
    }
    if (apr_ipsubnet_create(&subnet, address, mask, cmd->pool) != APR_SUCCESS) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0171",
            "BalancerTrusted %s: expected addresses or networks such as 10.0.0.0/8 or ::1, or none", word);
    }
    APR_ARRAY_PUSH(conf->trusted, apr_ipsubnet_t *) = subnet;
    return NULL;
}

static const char *set_error_override(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    abl_dir_conf_t *conf = dir;
    int i;

    if (argc == 0 || (ap_cstr_casecmp(argv[0], "on") != 0 && ap_cstr_casecmp(argv[0], "off") != 0)) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0172",
            "BalancerErrorOverride %s: expected on or off, and after on perhaps status codes",
            argc > 0 ? argv[0] : "");
    }
    if (conf->error_override != ABL_UNSET) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0177",
                                "BalancerErrorOverride %s: it is already %s in this scope", argv[0],
                                conf->error_override ? "on" : "off");
    }
    conf->error_override = ap_cstr_casecmp(argv[0], "on") == 0;
    conf->error_codes = apr_array_make(cmd->pool, 4, sizeof(int));
    for (i = 1; i < argc; i++) {
        int64_t code;
        if (!conf->error_override) {
            return ABL_CONFIG_ERROR(cmd->pool, "ABL0173",
                                    "BalancerErrorOverride off %s: off takes no status codes", argv[i]);
        }
        if (abl_units_number(argv[i], 400, 599, &code) != NULL) {
            return ABL_CONFIG_ERROR(cmd->pool, "ABL0174",
                                    "BalancerErrorOverride on %s: expected status codes from 400 to 599",
                                    argv[i]);
        }
        APR_ARRAY_PUSH(conf->error_codes, int) = (int)code;
    }
    return NULL;
}

static const char *set_linger(cmd_parms *cmd, void *dir, const char *value)
{
    int64_t *linger = &abl_server_conf(cmd->server)->linger;

    (void)dir;
    if (ap_cstr_casecmp(value, "off") == 0) {
        *linger = 0;
        return NULL;
    }
    if (abl_units_time(value, linger) != NULL || *linger > ABL_LINGER_MAX) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0175", "BalancerLinger %s: expected off or a time up to 100ms",
                                value);
    }
    return NULL;
}

static const char *set_inline(cmd_parms *cmd, void *dir, const char *value)
{
    int64_t *at_once = &abl_server_conf(cmd->server)->at_once;

    (void)dir;
    if (ap_cstr_casecmp(value, "off") == 0) {
        *at_once = ABL_INLINE_OFF;
        return NULL;
    }
    if (abl_units_time(value, at_once) != NULL || *at_once > ABL_INLINE_MAX) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0198", "BalancerInline %s: expected off or a time up to 1s",
                                value);
    }
    return NULL;
}

static const char *set_lane(cmd_parms *cmd, void *dir, int on)
{
    (void)dir;
    abl_server_conf(cmd->server)->lane = on;
    return NULL;
}

static const char *set_log_fields(cmd_parms *cmd, void *dir, const char *value)
{
    (void)dir;
    if (ap_cstr_casecmp(value, "on") == 0) {
        abl_config_set_log_fields(ABL_LOG_FIELDS_ON);
    } else if (ap_cstr_casecmp(value, "off") == 0) {
        abl_config_set_log_fields(ABL_LOG_FIELDS_OFF);
    } else if (ap_cstr_casecmp(value, "auto") == 0) {
        abl_config_set_log_fields(ABL_LOG_FIELDS_AUTO);
    } else {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0400", "BalancerLogFields %s: expected auto, on or off",
                                value);
    }
    return NULL;
}

#define ANYWHERE (RSRC_CONF | ACCESS_CONF | OR_FILEINFO)
#define FLAG_OF(field) (void *)APR_OFFSETOF(abl_dir_conf_t, field)

const command_rec abl_directives[] = {
    AP_INIT_RAW_ARGS("<Balancer", abl_section_open, NULL, RSRC_CONF,
                     "a name: begins the definition of a balancer"),
    AP_INIT_RAW_ARGS("BalancerMember", abl_section_outside, NULL, RSRC_CONF | ACCESS_CONF,
                     "in <Balancer>: a member's address, and key=value pairs"),
    AP_INIT_RAW_ARGS(
        "BalancerMethod", abl_section_outside, NULL, RSRC_CONF,
        "in <Balancer>: roundrobin (default), leastbusy, traffic, latency, or hash and what to hash"),
    AP_INIT_RAW_ARGS("BalancerQueue", abl_section_outside, NULL, RSRC_CONF,
                     "in <Balancer>: length=, timeout= and per-client= of the queue"),
    AP_INIT_RAW_ARGS(
        "BalancerApp", abl_section_outside, NULL, RSRC_CONF,
        "in <Balancer>: an application's name, its command and key=value: it is started and looked "
        "after"),
    AP_INIT_RAW_ARGS(
        "BalancerEject", abl_section_outside, NULL, RSRC_CONF,
        "in <Balancer>: when a member whose requests fail is left out: failures=N rate=PERCENT over=TIME "
        "for=TIME max-share=PERCENT, or off"),
    AP_INIT_RAW_ARGS("BalancerBuffer", abl_section_outside, NULL, RSRC_CONF,
                     "in <Balancer>: request=, response=, file=, max= and folder= of what is kept"),
    AP_INIT_RAW_ARGS("BalancerRetry", abl_section_outside, NULL, RSRC_CONF,
                     "in <Balancer>: off, or attempts=, on=, time=, budget= and methods= of requests that "
                     "another member may get"),
    AP_INIT_RAW_ARGS("BalancerHealthCheck", abl_section_outside, NULL, RSRC_CONF,
                     "in <Balancer>: uri= or tcp, interval=, timeout=, rise=, fall=, expect=, body~, host=, "
                     "jitter=, mandatory: members are asked from time to time whether they are well"),
    AP_INIT_RAW_ARGS(
        "BalancerPlaces", abl_section_outside, NULL, RSRC_CONF,
        "in <Balancer>: off, or how many members may be added at run time, and keys of BalancerMember"),
    AP_INIT_TAKE1("BalancerPersist", abl_persist_set, NULL, RSRC_CONF,
                  "a file that keeps what was changed by the manager, over a stop of httpd"),
    AP_INIT_RAW_ARGS("BalancerHedge", abl_section_outside, NULL, RSRC_CONF,
                     "in <Balancer>: off, or after= (p95, or a time) and budget= of a second try beside the "
                     "first, and limited="),
    AP_INIT_RAW_ARGS("BalancerAffinity", abl_section_outside, NULL, RSRC_CONF,
                     "in <Balancer>: cookie=NAME [param=NAME], header=NAME or client; then perhaps strict"),
    AP_INIT_RAW_ARGS("BalancerTimeout", set_timeouts, NULL, ANYWHERE,
                     "connect=, response=, gap= and tunnel= times; also in <Balancer>"),
    AP_INIT_TAKE12("BalancerPass", set_pass, NULL, ANYWHERE,
                   "a URL prefix and the balancer that serves it; inside a scope the balancer only"),
    AP_INIT_TAKE_ARGV("BalancerStatic", set_static, NULL, ANYWHERE,
                      "URL prefixes that are left to httpd; inside a scope nothing"),
    AP_INIT_FLAG("BalancerTryFiles", ap_set_flag_slot, FLAG_OF(try_files), ANYWHERE,
                 "On: a file that exists is served by httpd, everything else goes to the balancer"),
    AP_INIT_FLAG("BalancerPreserveHost", ap_set_flag_slot, FLAG_OF(preserve_host), ANYWHERE,
                 "On (default): members get the client's Host; Off: their own"),
    AP_INIT_TAKE_ARGV(
        "BalancerErrorOverride", set_error_override, NULL, ANYWHERE,
        "on: answers from 400 on, or of the codes that follow, are replaced by httpd's ErrorDocument"),
    AP_INIT_TAKE1("BalancerForwarded", set_forwarded, NULL, ANYWHERE,
                  "on (default, X-Forwarded-*), rfc7239 (Forwarded), both or off"),
    AP_INIT_ITERATE(
        "BalancerTrusted", add_trusted, NULL, ANYWHERE,
        "addresses and networks of proxies whose Forwarded and X-Forwarded-* fields are believed; or none"),
    AP_INIT_TAKE1(
        "BalancerLinger", set_linger, NULL, RSRC_CONF,
        "off, or how long a worker waits for the next request on a connection (event MPM; default 2ms)"),
    AP_INIT_RAW_ARGS(
        "BalancerResolver", abl_resolver_keys_parse, NULL, RSRC_CONF,
        "addresses of DNS servers for members by name, instead of the system's; timeout=, tries="),
    AP_INIT_FLAG("BalancerLane", set_lane, NULL, RSRC_CONF,
                 "on or off: requests of kept connections are handled where connections are waited for"),
    AP_INIT_TAKE1("BalancerLogFields", set_log_fields, NULL, RSRC_CONF,
                  "auto (default: where the configuration names one), on or off: BALANCER_ variables for log "
                  "lines"),
    AP_INIT_FLAG("BalancerServerTiming", ap_set_flag_slot, FLAG_OF(server_timing), ANYWHERE,
                 "On: answers tell the browser how long they took where (Server-Timing)"),
    AP_INIT_FLAG("BalancerTrace", ap_set_flag_slot, FLAG_OF(trace), ANYWHERE,
                 "On: requests without a traceparent field get one"),
    AP_INIT_TAKE1("BalancerInline", set_inline, NULL, RSRC_CONF,
                  "how long a worker waits for an answer before it parks the request (event MPM), or off"),
    {.name = NULL}};
