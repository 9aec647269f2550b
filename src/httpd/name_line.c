/* SPDX-License-Identifier: Apache-2.0
 *
 * A line with a name.
 */
#include "httpd/name_line.h"

#include "base/hash.h"
#include "httpd/members.h"

#include "apr_strings.h"

static const char *add_slot(apr_pool_t *p, abl_section_t *section, const abl_member_t *member, int slot)
{
    abl_member_t m = *member;

    m.url.text = apr_psprintf(p, "%s#%d", member->url.text, slot);
    m.route = apr_psprintf(p, "%016" APR_UINT64_T_HEX_FMT, abl_hash_text(m.url.text));
    if (strlen(m.url.text) > ABL_ADDRESS_MAX) {
        return ABL_CONFIG_ERROR(p, "ABL0313",
                                "BalancerMember %s: the address has %d characters; with expand= at most %d",
                                member->url.text, (int)strlen(member->url.text), ABL_ADDRESS_MAX - 3);
    }
    return abl_members_add(p, section, "BalancerMember", &m);
}

static void note_name(apr_pool_t *p, abl_section_t *section, const abl_member_t *m)
{
    apr_size_t n = (apr_size_t)section->nnames;

    if ((n & (n - 1)) == 0) { /* as members.c */
        abl_name_conf_t *names = apr_palloc(p, (n > 0 ? 2 * n : 1) * sizeof(*names));
        if (n > 0) {
            memcpy(names, section->names, n * sizeof(*names));
        }
        section->names = names;
    }
    section->names[section->nnames++] = (abl_name_conf_t){.balancer = section->balancer.name,
                                                          .text = m->url.text,
                                                          .host = m->url.host,
                                                          .scheme = m->url.scheme,
                                                          .path = m->url.path,
                                                          .port = m->url.port,
                                                          .records = m->url.srv,
                                                          .slots = m->slots,
                                                          .set = m->set,
                                                          .resolve = m->resolve};
}

/* Its slots have numbers behind it, so nobody else would notice that it is the same. */
static const char *check_twice(apr_pool_t *p, const abl_section_t *section, const abl_member_t *m)
{
    const char *first_slot = apr_pstrcat(p, m->url.text, "#1", NULL);

    if (section->addresses != NULL &&
        (apr_hash_get(section->addresses, m->url.text, APR_HASH_KEY_STRING) != NULL ||
         apr_hash_get(section->addresses, first_slot, APR_HASH_KEY_STRING) != NULL)) {
        return ABL_CONFIG_ERROR(p, "ABL0314", "BalancerMember %s: <Balancer %s> has this name already",
                                m->url.text, section->balancer.name);
    }
    return NULL;
}

const char *abl_name_line_add(apr_pool_t *p, abl_section_t *section, const abl_member_t *member)
{
    const char *error = check_twice(p, section, member);
    int i;

    if (error == NULL && member->slots == 0) {
        error = abl_members_add(p, section, "BalancerMember", member);
    }
    for (i = 1; error == NULL && i <= member->slots; i++) {
        error = add_slot(p, section, member, i);
    }
    if (error == NULL) {
        note_name(p, section, member);
    }
    return error;
}

const abl_name_conf_t *abl_name_line_collect(apr_pool_t *p, int *n)
{
    const abl_section_t *section;
    abl_name_conf_t *names;

    *n = 0;
    for (section = abl_config_sections(); section != NULL; section = section->next) {
        *n += section->nnames;
    }
    names = apr_palloc(p, (apr_size_t)(*n + 1) * sizeof(*names));
    *n = 0;
    for (section = abl_config_sections(); section != NULL; section = section->next) {
        if (section->nnames > 0) {
            memcpy(&names[*n], section->names, (apr_size_t)section->nnames * sizeof(*names));
            *n += section->nnames;
        }
    }
    return names;
}
