/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerPlaces: places for members that are added at run time (ledger/steer.h).
 */
#ifndef ABL_HTTPD_PLACES_H
#define ABL_HTTPD_PLACES_H

#include "httpd/config.h"

#define ABL_PLACES_DEFAULT 8 /* where there is a manager */
#define ABL_PLACES_MAX 64

/* The line of a section: a number, or off, and keys of BalancerMember. NULL, or a message. Parent. */
const char *abl_places_parse(cmd_parms *cmd, abl_section_t *section, const char *args);

/* The whole configuration is known: every section gets its places, and with them its last members, and what
 * affinity needs of these (affinity.h). Returns how many sections are wrong, which
 * the log says. Parent. */
int abl_places_make(apr_pool_t *p, server_rec *s);

#endif
