/* SPDX-License-Identifier: Apache-2.0
 *
 * <Balancer NAME>: the section walks its own lines, so that its BalancerMember never meets mod_proxy's.
 */
#include "httpd/affinity.h"
#include "httpd/app_line.h"
#include "httpd/buffer_keys.h"
#include "httpd/check_keys.h"
#include "httpd/directives.h"
#include "httpd/eject_keys.h"
#include "httpd/hedge_keys.h"
#include "httpd/key.h"
#include "httpd/member_keys.h"
#include "httpd/members.h"
#include "httpd/name_line.h"
#include "httpd/places.h"
#include "httpd/queue_keys.h"
#include "httpd/retry_keys.h"
#include "httpd/timeouts.h"

#include "ap_provider.h"
#include "apr_lib.h"
#include "apr_strings.h"

/* ---- the lines of the section ----------------------------------------------------------------------- */

static const char *read_address(apr_pool_t *p, const char *url, abl_member_t *member)
{
    const char *error = abl_member_url_parse(p, url, &member->url);

    if (error != NULL) {
        /* What has an @ may hold a password. */
        return ABL_CONFIG_ERROR(p, "ABL0129", "BalancerMember %s: %s",
                                strchr(url, '@') != NULL ? "(not shown)" : url, error);
    }
    if (strlen(member->url.text) > ABL_ADDRESS_MAX) {
        return ABL_CONFIG_ERROR(p, "ABL0148", "BalancerMember %s: the address has %d characters; at most %d",
                                url, (int)strlen(member->url.text), ABL_ADDRESS_MAX);
    }
    return NULL;
}

static const char *add_member(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    abl_member_t member = {.naddresses = 0};
    const char *url = ap_getword_conf(cmd->pool, &args);
    const char *error = read_address(cmd->pool, url, &member);

    if (error != NULL) {
        return error;
    }
    error = abl_member_keys_parse(cmd->pool, args, &member);
    if (error != NULL) {
        return apr_pstrcat(cmd->pool, "BalancerMember ", url, ": ", error, NULL);
    }
    return member.url.named ? abl_name_line_add(cmd->pool, section, &member)
                            : abl_members_add(cmd->pool, section, "BalancerMember", &member);
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

/* Has the method the key it needs, and no other? */
static const char *read_key(cmd_parms *cmd, abl_section_t *section, const char *word)
{
    const abl_method_t *method = section->balancer.method;

    if (*word != '\0' && !method->takes_key) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0154", "BalancerMethod %s %s: %s takes no key; leave it out",
                                method->name, word, method->name);
    }
    if (*word == '\0' && method->takes_key) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0155",
                                "BalancerMethod %s: what is hashed must follow: " ABL_KEY_FORMS,
                                method->name);
    }
    return *word != '\0' ? abl_key_parse(cmd, word, &section->method_key) : NULL;
}

static const char *set_method(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    const char *name = ap_getword_conf(cmd->pool, &args);
    const char *key = ap_getword_conf(cmd->pool, &args);

    if (*name == '\0' || *args != '\0') {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0130",
            "BalancerMethod takes one name, and perhaps a key in one word or in quotes: %s",
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
    return read_key(cmd, section, key);
}

static const char *set_queue(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_queue_keys_parse(cmd->pool, args, &section->balancer.queue, &section->queue_seen);
}

static const char *set_eject(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_eject_keys_parse(cmd->pool, args, &section->balancer.eject, &section->eject_seen);
}

static const char *set_buffer(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_buffer_keys_parse(cmd->pool, args, &section->buffer, &section->buffer_seen);
}

static const char *set_check(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    section->balancer.checked = true;
    return abl_check_keys_parse(cmd->pool, args, &section->check, &section->check_seen);
}

static const char *set_hedge(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_hedge_keys_parse(cmd->pool, args, &section->balancer.hedge, &section->hedge_seen);
}

static const char *set_retry(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_retry_keys_parse(cmd->pool, args, &section->balancer.retry, &section->retry_seen);
}

static const char *set_affinity(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_affinity_parse(cmd->pool, args, &section->affinity);
}

static const char *set_timeouts(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    return abl_timeouts_parse(cmd->pool, args, &section->balancer.timeouts);
}

static const struct {
    const char *name;
    const char *(*set)(cmd_parms *cmd, abl_section_t *section, const char *args);
} section_lines[] = {
    {"BalancerMember", add_member},     {"BalancerMethod", set_method},
    {"BalancerQueue", set_queue},       {"BalancerAffinity", set_affinity},
    {"BalancerTimeout", set_timeouts},  {"BalancerBuffer", set_buffer},
    {"BalancerRetry", set_retry},       {"BalancerApp", abl_app_line_parse},
    {"BalancerEject", set_eject},       {"BalancerHedge", set_hedge},
    {"BalancerHealthCheck", set_check}, {"BalancerPlaces", abl_places_parse},
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
        "BalancerQueue, BalancerAffinity, BalancerTimeout, BalancerBuffer, BalancerEject, BalancerRetry, "
        "BalancerHealthCheck, BalancerHedge, BalancerPlaces, BalancerApp",
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
    if (*c != '\0' || c - *name > ABL_NAME_MAX) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0143",
            "<Balancer %s>: a name has letters, digits, '_', '.' and '-', at most %d of them", *name,
            ABL_NAME_MAX);
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
                                "http://127.0.0.1:8001, or a BalancerApp",
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
    section->balancer.queue = (abl_queue_conf_t){.length = ABL_QUEUE_LENGTH, .timeout = ABL_QUEUE_TIMEOUT};
    section->balancer.eject = ABL_EJECT_DEFAULTS;
    section->balancer.retry = abl_retry_defaults();
    abl_buffer_defaults(cmd->pool, &section->buffer);
    for (line = cmd->directive->first_child; line != NULL; line = line->next) {
        error = set_line(cmd, section, line);
        if (error != NULL) {
            cmd->err_directive = line; /* so that httpd names the line's place and not the section's */
            return error;
        }
    }
    error = check_section(cmd, section);
    if (error == NULL && section->balancer.checked) {
        error = abl_check_keys_finish(cmd->pool, section);
    }
    if (error != NULL) {
        return error;
    }
    if (section->balancer.method == NULL) {
        section->balancer.method = ap_lookup_provider(ABL_METHOD_GROUP, "roundrobin", ABL_METHOD_VERSION);
    }
    section->balancer.mandatory = section->check.mandatory;
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
