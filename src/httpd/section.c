/* SPDX-License-Identifier: Apache-2.0
 *
 * <Balancer NAME>: the section walks its own lines, so that its BalancerMember never meets mod_proxy's.
 */
#include "httpd/directives.h"
#include "httpd/timeouts.h"

#include "base/clock.h"
#include "base/units.h"

#include "ap_provider.h"
#include "apr_lib.h"
#include "apr_strings.h"

#define NAME_MAX_LEN 64

/* ---- the keys of BalancerMember --------------------------------------------------------------------- */

enum { KEY_WEIGHT = 1, KEY_KEEPALIVE = 2, KEY_IDLE_MAX = 4, KEY_IDLE_TIMEOUT = 8, KEY_MAX_AGE = 16 };

static const char *set_weight(abl_member_t *m, const char *value)
{
    return abl_units_weight(value, &m->weight);
}

static const char *set_flag(bool *flag, const char *value, bool on)
{
    if (ap_cstr_casecmp(value, "on") != 0 && ap_cstr_casecmp(value, "off") != 0) {
        return "expected on or off";
    }
    *flag = (ap_cstr_casecmp(value, "on") == 0) == on;
    return NULL;
}

static const char *set_keepalive(abl_member_t *m, const char *value)
{
    return set_flag(&m->keepalive, value, true);
}

static const char *set_disablereuse(abl_member_t *m, const char *value)
{
    return set_flag(&m->keepalive, value, false);
}

static const char *set_idle_max(abl_member_t *m, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, 10000, &n) != NULL) {
        return "expected a whole number from 1 to 10000";
    }
    m->idle_max = (int)n;
    return NULL;
}

static const char *set_positive_time(int64_t *time, const char *value)
{
    const char *error = abl_units_time(value, time);

    return error == NULL && *time == 0 ? "expected a time over 0, such as 500ms or 30s" : error;
}

static const char *set_idle_timeout(abl_member_t *m, const char *value)
{
    return set_positive_time(&m->idle_timeout, value);
}

/* mod_proxy's ttl: seconds without a unit. */
static const char *set_ttl(abl_member_t *m, const char *value)
{
    int64_t seconds;

    if (abl_units_number(value, 1, INT64_C(7) * 24 * 3600, &seconds) != NULL) {
        return "expected a whole number of seconds from 1 to 604800";
    }
    m->idle_timeout = seconds * ABL_SECOND;
    return NULL;
}

static const char *set_max_age(abl_member_t *m, const char *value)
{
    return set_positive_time(&m->max_age, value);
}

static const struct {
    const char *key;
    const char *(*set)(abl_member_t *m, const char *value);
    unsigned bit; /* what it sets; two keys with the same bit contradict each other */
} member_keys[] = {
    {"weight", set_weight, KEY_WEIGHT},
    {"loadfactor", set_weight, KEY_WEIGHT},
    {"keepalive", set_keepalive, KEY_KEEPALIVE},
    {"enablereuse", set_keepalive, KEY_KEEPALIVE},
    {"disablereuse", set_disablereuse, KEY_KEEPALIVE},
    {"idle-max", set_idle_max, KEY_IDLE_MAX},
    {"idle-timeout", set_idle_timeout, KEY_IDLE_TIMEOUT},
    {"ttl", set_ttl, KEY_IDLE_TIMEOUT},
    {"max-age", set_max_age, KEY_MAX_AGE},
};

/* mod_proxy's keys that would mean something else here, or nothing. */
static const struct {
    const char *key;
    const char *instead;
} foreign_keys[] = {
    {"timeout", "write BalancerTimeout response=... gap=... in the section"},
    {"connectiontimeout", "write BalancerTimeout connect=... in the section"},
    {"acquire", "a request does not wait for a connection slot here"},
    {"max", "there it limits connections of one httpd process, not requests at the member; leave it out"},
    {"smax", "write idle-max=N, the idle connections each httpd process keeps"},
    {"min", "connections are made when they are needed; leave it out"},
    {"retry", "a refused member is never put out of use for a time; leave it out"},
    {"route", "there is no session affinity yet; leave it out"},
    {"redirect", "there is no session affinity yet; leave it out"},
    {"lbset", "all members are in one set; leave it out"},
    {"status", "all members are in use from the start; leave it out"},
    {"ping", "a dead kept connection is found out and replaced without it; leave it out"},
    {"flushpackets", "what the member sends is always passed on as it comes; leave it out"},
    {"flushwait", "what the member sends is always passed on as it comes; leave it out"},
    {"upgrade", "upgrades (WebSocket) are always passed on; leave it out"},
    {"iobuffersize", "the buffer's size is fixed; leave it out"},
    {"receivebuffersize", "the socket's buffer is left to the kernel; leave it out"},
    {"responsefieldsize", "the limit is on the whole head; leave it out"},
    {"addressttl", "names are resolved when httpd starts; leave it out"},
    {"failontimeout", "a timeout does not put a member out of use; leave it out"},
    {"failonstatus", "no status puts a member out of use; leave it out"},
    {"growth", "leave it out"},
    {"flusher", "what the member sends is always passed on as it comes; leave it out"},
    {"hcmethod", "there are no active health checks yet; leave it out"},
    {"hcuri", "there are no active health checks yet; leave it out"},
    {"hcinterval", "there are no active health checks yet; leave it out"},
    {"hcpasses", "there are no active health checks yet; leave it out"},
    {"hcfails", "there are no active health checks yet; leave it out"},
    {"hcexpr", "there are no active health checks yet; leave it out"},
    {"hctemplate", "there are no active health checks yet; leave it out"},
    {"secret", "it belongs to AJP, which is not spoken here"},
};

static const char *unknown_key(apr_pool_t *p, const char *key)
{
    const char *known = "";
    apr_size_t i;

    if (ap_cstr_casecmp(key, "concurrency") == 0) {
        return ABL_CONFIG_ERROR(p, "ABL0120",
                                "concurrency= is not there yet: no limit counts over all httpd "
                                "processes; leave it out");
    }
    for (i = 0; i < sizeof(foreign_keys) / sizeof(foreign_keys[0]); i++) {
        if (ap_cstr_casecmp(foreign_keys[i].key, key) == 0) {
            return ABL_CONFIG_ERROR(p, "ABL0121", "%s= is mod_proxy's and means nothing here: %s",
                                    foreign_keys[i].key, foreign_keys[i].instead);
        }
    }
    for (i = 0; i < sizeof(member_keys) / sizeof(member_keys[0]); i++) {
        known = apr_pstrcat(p, known, i ? ", " : "", member_keys[i].key, "=", NULL);
    }
    return ABL_CONFIG_ERROR(p, "ABL0122", "unknown key '%s='; known are %s", key, known);
}

static const char *set_member_key(apr_pool_t *p, abl_member_t *m, char *word, unsigned *seen)
{
    char *value = strchr(word, '=');
    apr_size_t i;

    if (value == NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0123", "'%s' is not of the form key=value", word);
    }
    *value++ = '\0';
    for (i = 0; i < sizeof(member_keys) / sizeof(member_keys[0]); i++) {
        const char *error;
        if (ap_cstr_casecmp(member_keys[i].key, word) != 0) {
            continue;
        }
        if (*seen & member_keys[i].bit) {
            return ABL_CONFIG_ERROR(p, "ABL0124", "%s= sets what another key of this line has set already",
                                    word);
        }
        *seen |= member_keys[i].bit;
        error = member_keys[i].set(m, value);
        return error == NULL ? NULL : ABL_CONFIG_ERROR(p, "ABL0125", "%s=%s: %s", word, value, error);
    }
    return unknown_key(p, word);
}

static const char *check_member_keys(apr_pool_t *p, const abl_member_t *m, unsigned seen)
{
    if (!m->keepalive && (seen & (KEY_IDLE_MAX | KEY_IDLE_TIMEOUT | KEY_MAX_AGE))) {
        return ABL_CONFIG_ERROR(p, "ABL0126",
                                "with keepalive=off no connection is kept, so idle-max=, "
                                "idle-timeout= and max-age= have nothing to limit");
    }
    return NULL;
}

/* ---- the lines of the section ----------------------------------------------------------------------- */

static abl_member_t *append_member(apr_pool_t *p, abl_balancer_t *b)
{
    abl_member_t *members = apr_pcalloc(p, (apr_size_t)(b->nmembers + 1) * sizeof(*members));

    if (b->nmembers > 0) {
        memcpy(members, b->members, (apr_size_t)b->nmembers * sizeof(*members));
    }
    b->members = members;
    return &members[b->nmembers++];
}

static const char *add_member(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    abl_balancer_t *b = &section->balancer;
    abl_member_t member = {.weight = 100,
                           .keepalive = true,
                           .idle_max = 32,
                           .idle_timeout = 4 * ABL_SECOND,
                           .max_age = 300 * ABL_SECOND};
    const char *url = ap_getword_conf(cmd->pool, &args);
    const char *error = abl_member_url_parse(cmd->pool, url, &member.url);
    unsigned seen = 0;
    int i;

    if (error != NULL) {
        /* What has an @ may hold a password. */
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0129", "BalancerMember %s: %s",
                                strchr(url, '@') != NULL ? "(not shown)" : url, error);
    }
    while (error == NULL && *args != '\0') {
        error = set_member_key(cmd->pool, &member, ap_getword_conf(cmd->pool, &args), &seen);
    }
    if (error == NULL) {
        error = check_member_keys(cmd->pool, &member, seen);
    }
    if (error != NULL) {
        return apr_pstrcat(cmd->pool, "BalancerMember ", url, ": ", error, NULL);
    }
    for (i = 0; i < b->nmembers; i++) {
        if (strcmp(b->members[i].url.text, member.url.text) == 0) {
            return ABL_CONFIG_ERROR(cmd->pool, "ABL0127",
                                    "BalancerMember %s: <Balancer %s> has this member already",
                                    member.url.text, b->name);
        }
    }
    if (b->nmembers == ABL_MEMBERS_MAX) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0128", "<Balancer %s> has more than %d members", b->name,
                                ABL_MEMBERS_MAX);
    }
    *append_member(cmd->pool, b) = member;
    return NULL;
}

static const char *method_names(apr_pool_t *p)
{
    apr_array_header_t *list = ap_list_provider_names(p, ABL_METHOD_GROUP, ABL_METHOD_VERSION);
    const char *names = "";
    int i;

    for (i = 0; i < list->nelts; i++) {
        const ap_list_provider_names_t *item = &APR_ARRAY_IDX(list, i, ap_list_provider_names_t);
        names = apr_pstrcat(p, names, i ? ", " : "", item->provider_name, NULL);
    }
    return names;
}

static const char *set_method(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    const char *name = ap_getword_conf(cmd->pool, &args);

    if (*name == '\0' || *args != '\0') {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0130", "BalancerMethod takes one name: %s",
                                method_names(cmd->pool));
    }
    if (section->balancer.method != NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0131", "BalancerMethod %s: the method is already %s", name,
                                section->balancer.method->name);
    }
    section->balancer.method = ap_lookup_provider(ABL_METHOD_GROUP, name, ABL_METHOD_VERSION);
    if (section->balancer.method == NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0132",
                                "BalancerMethod %s: there is no such method; known are %s", name,
                                method_names(cmd->pool));
    }
    return NULL;
}

static const char *set_timeouts(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_timeouts_parse(cmd->pool, args, &section->balancer.timeouts);
}

static const struct {
    const char *name;
    const char *(*set)(cmd_parms *cmd, abl_section_t *section, const char *args);
} section_lines[] = {
    {"BalancerMember", add_member},
    {"BalancerMethod", set_method},
    {"BalancerTimeout", set_timeouts},
};

static const char *set_line(cmd_parms *cmd, abl_section_t *section, const ap_directive_t *line)
{
    apr_size_t i;

    for (i = 0; i < sizeof(section_lines) / sizeof(section_lines[0]); i++) {
        if (ap_cstr_casecmp(section_lines[i].name, line->directive) == 0) {
            return section_lines[i].set(cmd, section, line->args);
        }
    }
    return ABL_CONFIG_ERROR(
        cmd->pool, "ABL0140",
        "%s does not belong inside <Balancer %s>; what does: BalancerMember, BalancerMethod, "
        "BalancerTimeout",
        line->directive, section->balancer.name);
}

/* ---- the section ------------------------------------------------------------------------------------ */

static const char *read_name(cmd_parms *cmd, const char *args, const char **name)
{
    const char *end = ap_strrchr_c(args, '>');
    const char *c;

    if (end == NULL || end[1] != '\0') {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0141", "<Balancer without a closing '>'");
    }
    args = apr_pstrmemdup(cmd->temp_pool, args, (apr_size_t)(end - args));
    *name = ap_getword_conf(cmd->pool, &args);
    if (**name == '\0' || *args != '\0') {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0142",
                                "<Balancer> takes one name, as in <Balancer my_cluster>");
    }
    for (c = *name; *c != '\0'; c++) {
        if (!apr_isalnum(*c) && strchr("_.-", *c) == NULL) {
            break;
        }
    }
    if (*c != '\0' || c - *name > NAME_MAX_LEN) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0143",
            "<Balancer %s>: a name has letters, digits, '_', '.' and '-', at most %d of them", *name,
            NAME_MAX_LEN);
    }
    return NULL;
}

static const char *check_section(cmd_parms *cmd, abl_section_t *section)
{
    const abl_section_t *other = abl_config_find(section->balancer.name);

    if (other != NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0144",
                                "<Balancer %s> is already defined at %s:%d; names are unique in the "
                                "whole server, and a virtual host may use any of them",
                                section->balancer.name, other->place.file, other->place.line);
    }
    if (section->balancer.nmembers == 0) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0145",
                                "<Balancer %s> has no member; add a line such as BalancerMember "
                                "http://127.0.0.1:8001",
                                section->balancer.name);
    }
    return NULL;
}

const char *abl_section_open(cmd_parms *cmd, void *dir, const char *args)
{
    abl_section_t *section = apr_pcalloc(cmd->pool, sizeof(*section));
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    const ap_directive_t *line;

    (void)dir;
    if (error == NULL) {
        error = read_name(cmd, args, &section->balancer.name);
    }
    if (error != NULL) {
        return error;
    }
    section->handler = apr_pstrcat(cmd->pool, ABL_HANDLER, section->balancer.name, NULL);
    section->place.file = cmd->directive->filename;
    section->place.line = cmd->directive->line_num;
    section->balancer.timeouts = (abl_timeouts_t){ABL_UNSET, ABL_UNSET, ABL_UNSET, ABL_UNSET};
    for (line = cmd->directive->first_child; line != NULL; line = line->next) {
        error = set_line(cmd, section, line);
        if (error != NULL) {
            cmd->err_directive = line; /* so that httpd names the line's place and not the section's */
            return error;
        }
    }
    error = check_section(cmd, section);
    if (error != NULL) {
        return error;
    }
    if (section->balancer.method == NULL) {
        section->balancer.method = ap_lookup_provider(ABL_METHOD_GROUP, "roundrobin", ABL_METHOD_VERSION);
    }
    abl_config_add_section(section);
    return NULL;
}

const char *abl_section_outside(cmd_parms *cmd, void *dir, const char *args)
{
    (void)dir;
    (void)args;
    if (ap_cstr_casecmp(cmd->cmd->name, "BalancerMember") == 0 &&
        ap_find_linked_module("mod_proxy.c") != NULL) {
        return DECLINE_CMD;
    }
    return ABL_CONFIG_ERROR(cmd->pool, "ABL0146", "%s belongs inside <Balancer NAME> ... </Balancer>",
                            cmd->cmd->name);
}
