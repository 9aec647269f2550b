/* SPDX-License-Identifier: Apache-2.0
 *
 * What configtest looks at for applications.
 */
#include "httpd/app_check.h"

#include "control/program.h"

#include "apr_strings.h"

#include <unistd.h>

static int complain(server_rec *s, const abl_app_conf_t *app, const char *what)
{
    ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, s, "ABL0214: balancer %s: application %s: %s",
                 app->balancer, app->name, what);
    return 1;
}

/* The program may be another one in each slot: its name and its PATH may have placeholders. */
static int check_program(apr_pool_t *p, server_rec *s, const abl_app_conf_t *app)
{
    int slot;

    for (slot = 0; slot < app->nslots; slot++) {
        abl_program_t program = abl_program_of(p, app, slot);
        if (!abl_program_is_there(p, app, &program)) {
            return complain(
                s, app,
                apr_psprintf(p, "its program %s is not there, or cannot be executed (looked for %s%s)",
                             program.name, program.path != NULL ? "along PATH=" : "in dir=",
                             program.path != NULL ? program.path : app->dir));
        }
    }
    return 0;
}

static int check_app(apr_pool_t *p, server_rec *s, const abl_app_conf_t *app)
{
    apr_finfo_t info;

    if (geteuid() != 0 && app->user != NULL && app->uid != geteuid()) {
        return complain(s, app, "user= can only be obeyed where httpd is started by root");
    }
    if (apr_stat(&info, app->restart_file, APR_FINFO_TYPE, p) == APR_SUCCESS && info.filetype == APR_DIR) {
        return complain(s, app, apr_pstrcat(p, "restart-file=: ", app->restart_file, " is a folder", NULL));
    }
    return check_program(p, s, app);
}

int abl_app_check(apr_pool_t *p, server_rec *s)
{
    const abl_section_t *section;
    int i, n = 0, wrong = 0;

    for (section = abl_config_sections(); section != NULL; section = section->next) {
        for (i = 0; i < section->napps; i++) {
            wrong += check_app(p, s, &section->apps[i]);
            n++;
        }
    }
    if (n > ABL_APPS_MAX) {
        ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, s,
                     "ABL0215: there are %d BalancerApp lines; at most %d", n, ABL_APPS_MAX);
        wrong++;
    }
    return wrong;
}
