/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys about names.
 */
#include "httpd/name_keys.h"

#include "base/clock.h"
#include "base/units.h"
#include "control/name.h"

#include "apr_strings.h"

#define RECORDS_SLOTS 16 /* of srv: without expand= */
#define RESOLVE_MAX (3600 * ABL_SECOND)

const char *abl_name_set_expand(abl_member_t *member, const char *value)
{
    int64_t n;

    if (abl_units_number(value, 1, ABL_NAME_SLOTS_MAX, &n) != NULL) {
        return "expected a whole number from 1 to 64: so many members the name may stand for";
    }
    member->slots = (int)n;
    return NULL;
}

const char *abl_name_set_resolve(abl_member_t *member, const char *value)
{
    if (ap_cstr_casecmp(value, "ttl") == 0) {
        member->resolve = ABL_RESOLVE_BY_TTL;
        return NULL;
    }
    if (ap_cstr_casecmp(value, "off") == 0) {
        member->resolve = ABL_RESOLVE_ONCE;
        return NULL;
    }
    if (abl_units_time(value, &member->resolve) != NULL || member->resolve < ABL_SECOND ||
        member->resolve > RESOLVE_MAX) {
        return "expected ttl, off, or a time from 1s to 1h";
    }
    return NULL;
}

static const char *check_slots(apr_pool_t *p, const abl_member_t *m, const abl_name_seen_t *seen)
{
    if (seen->route) {
        return ABL_CONFIG_ERROR(
            p, "ABL0311",
            "route= names one member, and this line stands for several; leave it out: each "
            "has a route that is made of its address");
    }
    if (seen->weight && m->url.srv) {
        return ABL_CONFIG_ERROR(p, "ABL0312", "with srv: the records say the weights; leave weight= out");
    }
    return NULL;
}

const char *abl_name_check(apr_pool_t *p, abl_member_t *m, const abl_name_seen_t *seen)
{
    if (!m->url.named) {
        return seen->expand || seen->resolve
                   ? ABL_CONFIG_ERROR(p, "ABL0310",
                                      "%s= goes with a host name, and this address has none; leave it out",
                                      seen->expand ? "expand" : "resolve")
                   : NULL;
    }
    m->naming = m->url.srv ? ABL_NAMING_RECORD : seen->expand ? ABL_NAMING_SLOT : ABL_NAMING_HOST;
    if (m->url.srv && !seen->expand) {
        m->slots = RECORDS_SLOTS;
    }
    return m->slots > 0 ? check_slots(p, m, seen) : NULL;
}
