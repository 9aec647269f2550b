/* SPDX-License-Identifier: Apache-2.0
 *
 * What the module remembers of a client's connection.
 */
#ifndef ABL_HTTPD_CONNECTION_H
#define ABL_HTTPD_CONNECTION_H

#include "httpd/config.h"

struct abl_park_t;

/* In c->pool. Owned by whoever owns the connection. */
typedef struct abl_connection_t {
    bool used;               /* it has used a balancer: see linger.c */
    bool inside;             /* linger.c's hook is running the chain below itself */
    bool has_unblock;        /* unblock.c's filter is in */
    bool unblocked;          /* and at work */
    int64_t keep_alive;      /* how long the client of the last request may be silent, µs */
    struct abl_park_t *park; /* park.c's; NULL: no request of it was ever parked */
} abl_connection_t;

static inline abl_connection_t *abl_connection_of(conn_rec *c)
{
    abl_connection_t *connection = ap_get_module_config(c->conn_config, &appbalance_module);

    if (connection == NULL) {
        connection = apr_pcalloc(c->pool, sizeof(*connection));
        ap_set_module_config(c->conn_config, &appbalance_module, connection);
    }
    return connection;
}

#endif
