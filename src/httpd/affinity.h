/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerAffinity: requests of one session or client go to one member.
 */
#ifndef ABL_HTTPD_AFFINITY_H
#define ABL_HTTPD_AFFINITY_H

#include "httpd/config.h"

/* Reads the words of the directive. Returns NULL or a message. Parent. */
const char *abl_affinity_parse(apr_pool_t *p, const char *args, abl_affinity_t *affinity);

/* Makes what requests will need, when all members of the section are known. Parent. */
void abl_affinity_prepare(apr_pool_t *p, abl_section_t *section);

/* Fills in what a request wants of the ledger: the member it belongs to, the key of the balancer's method,
 * and whose request it is. */
void abl_affinity_want(request_rec *r, const abl_section_t *section, abl_want_t *want);

/* `member` has given the answer whose fields are in `fields`: adds our cookie, unless the client or the
 * application is of another mind. For the final head of an answer, before it is passed on. */
void abl_affinity_respond(request_rec *r, const abl_section_t *section, int member, apr_table_t *fields);

#endif
