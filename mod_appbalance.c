/* SPDX-License-Identifier: Apache-2.0
 *
 * mod_appbalance: application servers behind httpd. This file is the table of contents: the module record,
 * the hooks in the order in which a request meets them, and what happens when the configuration is read.
 */
#include "mod_appbalance.h"

#include "balance/methods.h"
#include "httpd/check.h"
#include "httpd/config.h"
#include "httpd/directives.h"
#include "httpd/forwarded.h"
#include "httpd/handler.h"
#include "httpd/linger.h"
#include "httpd/route.h"
#include "httpd/trailers.h"

#include "ap_provider.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"

/* Parent, before the configuration is read: at every start and restart. */
static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    abl_config_reset();
    abl_check_reset();
    return OK;
}

/* Parent, when the configuration has been read and checked: host names become addresses. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    abl_section_t *section;

    (void)pconf;
    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* httpd reads everything twice when it starts; once is enough to resolve */
    }
    for (section = abl_config_sections(); section != NULL; section = section->next) {
        abl_balancer_t *balancer = &section->balancer;
        int i;
        for (i = 0; i < balancer->nmembers; i++) {
            apr_status_t rv = abl_member_resolve(&balancer->members[i], ptemp);
            if (rv != APR_SUCCESS) {
                ap_log_error(
                    APLOG_MARK, APLOG_WARNING, rv, s,
                    "ABL0013: balancer %s: %s: the host's address cannot be found; the member is left out "
                    "until httpd is restarted",
                    balancer->name, balancer->members[i].url.text);
            }
        }
    }
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

    register_methods(p);
    abl_trailers_register();

    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(abl_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(abl_handler_child_init, NULL, NULL, APR_HOOK_MIDDLE);

    ap_hook_process_connection(abl_linger_process, NULL, NULL, APR_HOOK_LAST);
    ap_hook_post_read_request(abl_route_note_framing, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_pre_translate_name(abl_route_keep_slashes, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(abl_route_translate, after_mappers, NULL, APR_HOOK_FIRST);
    ap_hook_map_to_storage(abl_route_map, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_type_checker(abl_route_type, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(abl_forwarded_fixup, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_fixups(abl_route_fixup, after_rewrite, before_dir, APR_HOOK_LAST);
    ap_hook_handler(abl_handler, NULL, NULL, APR_HOOK_FIRST);
}

/* The only symbol that leaves the module: everything else is hidden by the compiler. */
__attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA appbalance_module = {
    STANDARD20_MODULE_STUFF, abl_config_create_dir, abl_config_merge_dir, abl_config_create_server,
    abl_config_merge_server, abl_directives,        register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
