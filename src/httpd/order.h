/* SPDX-License-Identifier: Apache-2.0
 *
 * An action in JSON, understood and done. Who may do it has been found out before.
 */
#ifndef ABL_HTTPD_ORDER_H
#define ABL_HTTPD_ORDER_H

#include "apr_pools.h"

/* Who has sent it. */
typedef struct abl_order_from_t {
    const char *who;  /* user; NULL: nobody in particular */
    const char *from; /* address */
} abl_order_from_t;

typedef struct abl_order_result_t {
    int status;          /* of the answer */
    const char *id;      /* "ABL…" of what went wrong; NULL: it is done */
    const char *message; /* for whoever has sent it */
    const char *log;     /* done: for the log */
} abl_order_result_t;

/* Texts from `pool`. Worker. */
abl_order_result_t abl_order(apr_pool_t *pool, const char *json, apr_size_t len,
                             const abl_order_from_t *from);

#endif
