/* SPDX-License-Identifier: Apache-2.0
 *
 * Staying with a keep-alive connection for a moment.
 *
 * Under the event MPM every request on a kept connection costs a trip from the worker to the listener, to the
 * queue, to a worker. A client that sends its next request within a millisecond or two is served for about
 * half the CPU when the worker waits for it. Only connections that have used a balancer are waited for, and
 * only while few of the child's threads do so.
 */
#ifndef ABL_HTTPD_LINGER_H
#define ABL_HTTPD_LINGER_H

#include "base/clock.h"
#include "httpd/config.h"

#define ABL_LINGER_DEFAULT (2 * ABL_MS)
#define ABL_LINGER_MAX (100 * ABL_MS)

/* child_init: learns how many threads there are. `shared`: where to say so, and how many linger; NULL:
 * nowhere. */
void abl_linger_child_init(abl_seat_counts_t *shared);

/* process_connection hook, right before the core's own. */
int abl_linger_process(conn_rec *c);

/* This connection has used a balancer. Worker. */
void abl_linger_allow(conn_rec *c);

#endif
