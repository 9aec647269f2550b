/* SPDX-License-Identifier: Apache-2.0
 *
 * mod_appbalance: application servers behind httpd. This file is the table of contents: the module record,
 * the hooks in the order in which a request meets them, and what happens when the configuration is read.
 */
#include "mod_appbalance.h"

#include "balance/methods.h"
#include "httpd/account.h"
#include "httpd/beside_proxy.h"
#include "httpd/check.h"
#include "httpd/config.h"
#include "httpd/directives.h"
#include "httpd/forwarded.h"
#include "httpd/handler.h"
#include "httpd/lifecycle.h"
#include "httpd/linger.h"
#include "httpd/park.h"
#include "httpd/persist.h"
#include "httpd/resolver_keys.h"
#include "httpd/route.h"
#include "httpd/status.h"
#include "httpd/status_extend.h"
#include "httpd/supervision.h"
#include "httpd/trailers.h"
#include "httpd/unblock.h"

#include "ap_provider.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "mod_status.h"
#include "http_request.h"
#include "mpm_common.h"

/* Parent, before the configuration is read: at every start and restart. */
static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    abl_config_reset();
    abl_check_reset();
    abl_resolver_keys_reset();
    abl_persist_reset();
    return OK;
}

static void register_methods(apr_pool_t *p)
{
    const abl_method_t *const *method;

    for (method = abl_methods; *method != NULL; method++) {
        ap_register_provider(p, ABL_METHOD_GROUP, (*method)->name, ABL_METHOD_VERSION, *method);
    }
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const after_mappers[] = {"mod_rewrite.c", "mod_proxy.c", NULL};
    static const char *const after_rewrite[] = {"mod_rewrite.c", NULL};
    static const char *const before_dir[] = {"mod_dir.c", NULL};
    static const char *const before_proxy[] = {"mod_proxy_balancer.c", NULL};

    register_methods(p);
    abl_trailers_register();
    abl_unblock_register();

    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(abl_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(abl_beside_proxy_look, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(abl_lifecycle_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(abl_supervision_watch, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(abl_lifecycle_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(abl_lifecycle_child_status, NULL, NULL, APR_HOOK_MIDDLE);

    ap_hook_child_stopping(abl_park_on_stopping, NULL, NULL, APR_HOOK_MIDDLE);

    ap_hook_process_connection(abl_linger_process, NULL, NULL, APR_HOOK_LAST);
    ap_hook_post_read_request(abl_route_note_framing, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_pre_translate_name(abl_route_keep_slashes, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(abl_route_translate, after_mappers, NULL, APR_HOOK_FIRST);
    ap_hook_map_to_storage(abl_route_map, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_type_checker(abl_route_type, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(abl_forwarded_fixup, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_fixups(abl_route_fixup, after_rewrite, before_dir, APR_HOOK_LAST);
    ap_hook_fixups(abl_handler_fixup, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_handler(abl_handler, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(abl_status_handler, NULL, before_proxy, APR_HOOK_FIRST);
    APR_OPTIONAL_HOOK(ap, status_hook, abl_status_extend, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(abl_park_on_request, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_log_transaction(abl_account_log, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_log_transaction(abl_park_on_log, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_suspend_connection(abl_park_on_suspend, NULL, NULL, APR_HOOK_REALLY_LAST);
}

/* The only symbol that leaves the module: everything else is hidden by the compiler. */
__attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA appbalance_module = {
    STANDARD20_MODULE_STUFF, abl_config_create_dir, abl_config_merge_dir, abl_config_create_server,
    abl_config_merge_server, abl_directives,        register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
