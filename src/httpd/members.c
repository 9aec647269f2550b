/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer's list of members, while the configuration is read.
 */
#include "httpd/members.h"

#include "apr_strings.h"

/* There is room for as many as the next power of two. */
static abl_member_t *append_member(apr_pool_t *p, abl_balancer_t *b)
{
    apr_size_t n = (apr_size_t)b->nmembers;

    if ((n & (n - 1)) == 0) {
        abl_member_t *members = apr_palloc(p, (n > 0 ? 2 * n : 1) * sizeof(*members));
        if (n > 0) {
            memcpy(members, b->members, n * sizeof(*members));
        }
        b->members = members;
    }
    return &b->members[b->nmembers++];
}

/* What one member alone cannot know: whether another has its address or route. */
static const char *check_member(apr_pool_t *p, const abl_section_t *section, const char *directive,
                                const abl_member_t *member)
{
    const abl_balancer_t *b = &section->balancer;
    const char *other;

    if (b->nmembers > 0 && apr_hash_get(section->addresses, member->url.text, APR_HASH_KEY_STRING) != NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0127", "%s %s: <Balancer %s> has this member already", directive,
                                member->url.text, b->name);
    }
    other = b->nmembers > 0 ? apr_hash_get(section->routes, member->route, APR_HASH_KEY_STRING) : NULL;
    if (other != NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0147",
                                "%s %s: route=%s: that is the route of %s already; each "
                                "member of a balancer has its own",
                                directive, member->url.text, member->route, other);
    }
    if (b->nmembers == ABL_MEMBERS_MAX) {
        return ABL_CONFIG_ERROR(p, "ABL0128", "<Balancer %s> has more than %d members", b->name,
                                ABL_MEMBERS_MAX);
    }
    return NULL;
}

const char *abl_members_add(apr_pool_t *p, abl_section_t *section, const char *directive,
                            const abl_member_t *member)
{
    const char *error = check_member(p, section, directive, member);

    if (error != NULL) {
        return error;
    }
    if (section->addresses == NULL) {
        section->addresses = apr_hash_make(p);
        section->routes = apr_hash_make(p);
    }
    apr_hash_set(section->addresses, member->url.text, APR_HASH_KEY_STRING, member->url.text);
    apr_hash_set(section->routes, member->route, APR_HASH_KEY_STRING, member->url.text);
    *append_member(p, &section->balancer) = *member;
    return NULL;
}
