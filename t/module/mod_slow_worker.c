/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker that takes its time, for t/81-races.t and t/83-lane.t: to begin with a connection, and to let go
 * of a suspended one before mod_appbalance has taken it over, after that, or both.
 *
 *   SlowWorker connect=MS before=MS after=MS
 *
 * And a hook that takes its time for a request that says so: X-Slow: MS. It complains where a request is said
 * to be another thread's.
 */
#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_request.h"
#include "mpm_common.h"

#include "apr_strings.h"

#include <stdio.h>
#include <stdlib.h>

static int connect_ms, before_ms, after_ms;

static const char *set_times(cmd_parms *cmd, void *dir, const char *args)
{
    (void)dir;
    return sscanf(args, "connect=%d before=%d after=%d", &connect_ms, &before_ms, &after_ms) == 3
               ? NULL
               : apr_psprintf(cmd->pool, "SlowWorker: expected connect=MS before=MS after=MS");
}

static conn_rec *wait_for_connect(apr_pool_t *p, server_rec *s, apr_socket_t *csd, long id, void *sbh,
                                  apr_bucket_alloc_t *alloc)
{
    (void)p;
    (void)csd;
    (void)id;
    (void)sbh;
    (void)alloc;
    if (connect_ms > 0) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, "slow worker: has a connection");
        apr_sleep(connect_ms * 1000);
    }
    return NULL;
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

static int wait_for_request(request_rec *r)
{
    const char *ms = apr_table_get(r->headers_in, "X-Slow");

#if AP_HAS_THREAD_LOCAL
    if (r->connection->current_thread != ap_thread_current()) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "slow worker: this is another thread's");
    }
#endif
    if (ms != NULL && ap_is_initial_req(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "slow worker: has a request");
        apr_sleep(atoi(ms) * 1000);
    }
    return DECLINED;
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const after_it[] = {"mod_appbalance.c", NULL};

    (void)p;
    ap_hook_create_connection(wait_for_connect, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_access_checker(wait_for_request, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_suspend_connection(wait_before, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(wait_after, after_it, NULL, APR_HOOK_REALLY_LAST);
}

static const command_rec directives[] = {
    AP_INIT_RAW_ARGS("SlowWorker", set_times, NULL, RSRC_CONF, "connect=MS before=MS after=MS"), {NULL}};

/* clang-format off */
AP_DECLARE_MODULE(slow_worker) = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, directives, register_hooks
};
