/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process, seen from httpd's parent, which starts it, starts it again when it dies, tells it what
 * the configuration says, and has it end before httpd does.
 */
#ifndef ABL_HTTPD_SUPERVISION_H
#define ABL_HTTPD_SUPERVISION_H

#include "httpd/config.h"
#include "control/board.h"

/* What drew the memory that the parent keeps over restarts, which load the module anew: the ledger, and the
 * board. Another build may draw them differently, and begins with new ones: with both, because the ledger
 * says which of the instances on the board get requests. */
#define ABL_MADE_BY ABL_VERSION " " ABL_LEDGER_LAYOUT " " ABL_BOARD_LAYOUT

/* The configuration was read (again). Parent, after the ledger has been configured. OK, or
 * HTTP_INTERNAL_SERVER_ERROR, and the log says why. */
int abl_supervision_configure(apr_pool_t *pconf, server_rec *s, abl_segment_t *segment);

/* httpd's monitor hook, every few seconds: a control process that could not be started is tried again. */
int abl_supervision_watch(apr_pool_t *p, server_rec *s);

/* NULL: there have been none since httpd began. Any process of httpd's. */
abl_board_t *abl_supervision_board(void);

#endif
