/* SPDX-License-Identifier: Apache-2.0
 *
 * A place is a member that is nowhere as yet.
 */
#include "httpd/places.h"

#include "base/units.h"
#include "httpd/affinity.h"
#include "httpd/member_keys.h"
#include "httpd/members.h"

#include "apr_strings.h"

/* What all places of a section have in common. */
static const char *make_template(apr_pool_t *p, const char *keys, abl_member_t *member)
{
    const char *error = abl_member_url_parse(p, "http://added:80", &member->url);

    if (error == NULL) {
        error = abl_member_keys_parse(p, keys, member);
    }
    member->naming = ABL_NAMING_OPEN;
    member->slots = 0;
    return error;
}

const char *abl_places_parse(cmd_parms *cmd, abl_section_t *section, const char *args)
{
    const char *word = ap_getword_conf(cmd->pool, &args);
    int64_t n = 0;
    const char *error;

    if (section->places_seen) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0427", "BalancerPlaces %s: this balancer has the line already",
                                word);
    }
    if (ap_cstr_casecmp(word, "off") != 0 && abl_units_number(word, 1, ABL_PLACES_MAX, &n) != NULL) {
        return ABL_CONFIG_ERROR(
            cmd->pool, "ABL0428",
            "BalancerPlaces %s: expected off, or how many members may be added at run time, "
            "from 1 to %d",
            word, ABL_PLACES_MAX);
    }
    section->places_seen = true;
    section->places = (int)n;
    error = make_template(cmd->pool, args, &section->place_of);
    return error != NULL ? apr_pstrcat(cmd->pool, "BalancerPlaces: ", error, NULL) : NULL;
}

static bool names_manager(const ap_directive_t *line)
{
    return ap_cstr_casecmp(line->directive, "SetHandler") == 0 &&
           (ap_strcasestr(line->args, "balancer-manager") != NULL ||
            ap_strcasestr(line->args, "appbalance-manager") != NULL);
}

static const char *make_places(apr_pool_t *p, abl_section_t *section)
{
    const char *error = NULL;
    int i;

    for (i = 1; error == NULL && i <= section->places; i++) {
        abl_member_t place = section->place_of;
        place.url.text = apr_psprintf(p, "http://added#%d", i);
        place.route = apr_psprintf(p, "added#%d", i);
        error = abl_members_add(p, section, "BalancerPlaces", &place);
    }
    abl_affinity_prepare(p, section); /* now all of its members are known */
    return error;
}

int abl_places_make(apr_pool_t *p, server_rec *s)
{
    bool manager = abl_config_any(ap_conftree, names_manager);
    abl_section_t *section;
    int wrong = 0;

    for (section = abl_config_sections(); section != NULL; section = section->next) {
        int room = ABL_MEMBERS_MAX - section->balancer.nmembers;
        const char *error;
        if (!section->places_seen && manager) {
            section->places = room < ABL_PLACES_DEFAULT ? room : ABL_PLACES_DEFAULT;
            (void)make_template(p, "", &section->place_of);
        }
        error = make_places(p, section);
        if (error != NULL) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s, "ABL0431: %s:%d: %s",
                         section->place.file, section->place.line, error);
            wrong++;
        }
    }
    return wrong;
}
