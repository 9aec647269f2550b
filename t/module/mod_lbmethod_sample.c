/* SPDX-License-Identifier: Apache-2.0
 *
 * A balancing method in a module of its own: how to add one to mod_appbalance.
 *
 *   apxs -i -a -c -I/path/to/mod_appbalance mod_lbmethod_sample.c
 *
 * and then, in <Balancer>, `BalancerMethod last`: the last member of the list that can be used.
 */
#include "mod_appbalance.h"

#include "ap_provider.h"
#include "httpd.h"
#include "http_config.h"

/* Called while all other processes wait: no blocking, no memory, no log, and quickly. */
static int pick_last(abl_candidate_t *candidates, int n, const abl_pick_t *request)
{
    int i = n - 1;

    (void)request;
    while (i >= 0 && !candidates[i].usable) {
        i--;
    }
    return i; /* -1: none */
}

static const abl_method_t method_last = {.name = "last", .pick = pick_last};

/* The order of the LoadModule lines does not matter: methods are looked up when a <Balancer> is read. */
static void register_hooks(apr_pool_t *p)
{
    ap_register_provider(p, ABL_METHOD_GROUP, "last", ABL_METHOD_VERSION, &method_last);
}

/* clang-format off */
AP_DECLARE_MODULE(lbmethod_sample) = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL, /* no configuration of its own */
    register_hooks
};
