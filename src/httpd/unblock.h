/* SPDX-License-Identifier: Apache-2.0
 *
 * Output that never waits for the client.
 *
 * httpd's core writes without blocking, except when it is told to flush or holds more than 64 kB: then it
 * waits, and the worker with it. So a filter right in front of the core takes every flush for what it can do
 * without waiting, and whoever produces output looks at abl_unblock_is_full() and gives small pieces.
 */
#ifndef ABL_HTTPD_UNBLOCK_H
#define ABL_HTTPD_UNBLOCK_H

#include "httpd/config.h"

/* Registers the output filter. Parent, register_hooks. */
void abl_unblock_register(void);

/* From now on nothing waits, or everything as always: whatever is not ours relies on it that a flush is one.
 * Worker that owns the connection. */
void abl_unblock(request_rec *r, bool on);

/* Sends what is held back, as far as the client takes it now. Worker that owns the connection. */
apr_status_t abl_unblock_send(conn_rec *c);

/* Is something held back, so that the client has to be waited for before there is more? */
static inline bool abl_unblock_is_full(const conn_rec *c)
{
    return c->data_in_output_filters != 0;
}

#endif
