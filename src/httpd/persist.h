/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerPersist: where what administrators change is kept over a full stop (control/keep.h).
 */
#ifndef ABL_HTTPD_PERSIST_H
#define ABL_HTTPD_PERSIST_H

#include "httpd/config.h"

/* Forgets what was said: the configuration is about to be read (again). Parent. */
void abl_persist_reset(void);

/* For the table of directives. Parent. */
const char *abl_persist_set(cmd_parms *cmd, void *dir, const char *file);

/* The file, absolute; NULL: there is none. Any process. */
const char *abl_persist_file(void);

/* A segment that has just been made and configured gets what the file says. Parent. */
void abl_persist_load(server_rec *s, abl_segment_t *segment, apr_pool_t *ptemp);

#endif
