/* SPDX-License-Identifier: Apache-2.0
 *
 * Both modules answer to one name. mod_proxy_balancer's page is for those who have balancers of its own;
 * where it is only loaded (distributions do that), its page would be empty, and in the place of ours.
 */
#include "httpd/beside_proxy.h"

#include "http_config.h"

#include "apr_strings.h"

static bool theirs; /* parent, at every start and restart */

/* Is this a line that makes a balancer of mod_proxy's? */
static bool makes_balancer(const ap_directive_t *line)
{
    return (ap_cstr_casecmpn(line->directive, "Proxy", 5) == 0 ||
            ap_cstr_casecmpn(line->directive, "<Proxy", 6) == 0 ||
            ap_cstr_casecmp(line->directive, "BalancerMember") == 0) &&
           ap_strcasestr(line->args, "balancer://") != NULL;
}

int abl_beside_proxy_look(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    (void)s;
    theirs =
        ap_find_linked_module("mod_proxy_balancer.c") != NULL && abl_config_any(ap_conftree, makes_balancer);
    return OK;
}

bool abl_beside_proxy_is_theirs(void)
{
    return theirs;
}
