/* SPDX-License-Identifier: Apache-2.0
 *
 * The directive, and what is said of the file when httpd starts.
 */
#include "httpd/persist.h"

#include "control/keep.h"

#include "apr_strings.h"

static const char *path;

void abl_persist_reset(void)
{
    path = NULL;
}

const char *abl_persist_set(cmd_parms *cmd, void *dir, const char *file)
{
    apr_finfo_t info;
    char *folder;

    (void)dir;
    if (path != NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0421", "BalancerPersist %s: it is %s already", file, path);
    }
    path = ap_server_root_relative(cmd->pool, file);
    if (path == NULL) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0422", "BalancerPersist %s: this is no path", file);
    }
    folder = apr_pstrdup(cmd->temp_pool, path);
    *(strrchr(folder, '/') != NULL ? strrchr(folder, '/') + 1 : folder) = '\0';
    if (apr_stat(&info, folder, APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS || info.filetype != APR_DIR) {
        return ABL_CONFIG_ERROR(cmd->pool, "ABL0423", "BalancerPersist %s: there is no folder %s", file,
                                folder);
    }
    return NULL;
}

const char *abl_persist_file(void)
{
    return path;
}

static void say_loss(void *ctx, const abl_steered_t *s, unsigned stale, bool found)
{
    server_rec *server = ctx;

    if (!found) {
        ap_log_error(
            APLOG_MARK, APLOG_NOTICE, 0, server,
            "ABL0424: balancer %s has no %s %s any more: what was changed by hand about it is forgotten",
            s->balancer, s->added ? "place for" : "member", s->address);
        return;
    }
    ap_log_error(
        APLOG_MARK, APLOG_NOTICE, 0, server,
        "ABL0425: balancer %s: %s: the configuration says something else now than when%s%s%s was changed by "
        "hand, and wins",
        s->balancer, s->address, stale & ABL_STEERED_STATUS ? " its status" : "",
        stale & ABL_STEERED_WEIGHT ? " its weight" : "", stale & ABL_STEERED_LIMIT ? " its concurrency" : "");
}

void abl_persist_load(server_rec *s, abl_segment_t *segment, apr_pool_t *ptemp)
{
    const abl_keep_news_t news = {say_loss, s};
    const char *why = path != NULL ? abl_keep_read(segment, path, ptemp, &news) : NULL;
    const char *aside;
    bool moved;

    if (why == NULL) {
        return;
    }
    aside = apr_pstrcat(ptemp, path, ".unreadable", NULL);
    moved = rename(path, aside) == 0;
    ap_log_error(
        APLOG_MARK, APLOG_ERR, 0, s,
        "ABL0426: BalancerPersist %s cannot be read: %s; what was changed by hand is forgotten, and the file "
        "%s",
        path, why, moved ? apr_pstrcat(ptemp, "is ", aside, " now", NULL) : "will be written over");
}
