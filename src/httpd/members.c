/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancer's list of members, while the configuration is read.
 */
#include "httpd/members.h"

#include "apr_strings.h"

static abl_member_t *append_member(apr_pool_t *p, abl_balancer_t *b)
{
    abl_member_t *members = apr_pcalloc(p, (apr_size_t)(b->nmembers + 1) * sizeof(*members));

    if (b->nmembers > 0) {
        memcpy(members, b->members, (apr_size_t)b->nmembers * sizeof(*members));
    }
    b->members = members;
    return &members[b->nmembers++];
}

/* What one member alone cannot know: whether another has its address or route. */
static const char *check_member(apr_pool_t *p, const abl_balancer_t *b, const char *directive,
                                const abl_member_t *member)
{
    int i;

    for (i = 0; i < b->nmembers; i++) {
        if (strcmp(b->members[i].url.text, member->url.text) == 0) {
            return ABL_CONFIG_ERROR(p, "ABL0127", "%s %s: <Balancer %s> has this member already", directive,
                                    member->url.text, b->name);
        }
        if (strcmp(b->members[i].route, member->route) == 0) {
            return ABL_CONFIG_ERROR(p, "ABL0147",
                                    "%s %s: route=%s: that is the route of %s already; each "
                                    "member of a balancer has its own",
                                    directive, member->url.text, member->route, b->members[i].url.text);
        }
    }
    if (b->nmembers == ABL_MEMBERS_MAX) {
        return ABL_CONFIG_ERROR(p, "ABL0128", "<Balancer %s> has more than %d members", b->name,
                                ABL_MEMBERS_MAX);
    }
    return NULL;
}

const char *abl_members_add(apr_pool_t *p, abl_balancer_t *balancer, const char *directive,
                            const abl_member_t *member)
{
    const char *error = check_member(p, balancer, directive, member);

    if (error == NULL) {
        *append_member(p, balancer) = *member;
    }
    return error;
}
