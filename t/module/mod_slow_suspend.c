/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker that takes its time to let go of a suspended connection, for t/81-races.t: before mod_appbalance
 * has taken the connection over, after that, or both.
 *
 *   SlowSuspend before=MS after=MS
 */
#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "mpm_common.h"

#include "apr_strings.h"

#include <stdio.h>

static int before_ms, after_ms;

static const char *set_times(cmd_parms *cmd, void *dir, const char *args)
{
    (void)dir;
    return sscanf(args, "before=%d after=%d", &before_ms, &after_ms) == 2
               ? NULL
               : apr_psprintf(cmd->pool, "SlowSuspend: expected before=MS after=MS");
}

static void wait_before(conn_rec *c, request_rec *r)
{
    (void)c;
    (void)r;
    apr_sleep(before_ms * 1000);
}

static void wait_after(conn_rec *c, request_rec *r)
{
    (void)c;
    (void)r;
    apr_sleep(after_ms * 1000);
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const after_it[] = {"mod_appbalance.c", NULL};

    (void)p;
    ap_hook_suspend_connection(wait_before, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(wait_after, after_it, NULL, APR_HOOK_REALLY_LAST);
}

static const command_rec directives[] = {
    AP_INIT_RAW_ARGS("SlowSuspend", set_times, NULL, RSRC_CONF, "before=MS after=MS"), {NULL}};

/* clang-format off */
AP_DECLARE_MODULE(slow_suspend) = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, directives, register_hooks
};
