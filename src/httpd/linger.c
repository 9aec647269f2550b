/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for the next request where the last one was answered.
 *
 * The hook runs the whole chain of process_connection hooks again, with itself out of the way, so that
 * reading and answering a request stays what the core makes of it. Between two requests it does what the MPM
 * would do: it sends what the filters hold back, and looks whether the connection may live on. In every case
 * that is not plain it gives the connection to the MPM at once.
 */
#include "httpd/linger.h"

#include "httpd/connection.h"
#include "httpd/drive.h"
#include "httpd/lane.h"
#include "httpd/park.h"

#include "ap_mpm.h"
#include "ap_mmn.h"
#include "http_connection.h"
#include "http_core.h"
#include "scoreboard.h"
#include "util_filter.h"

#include "apr_portable.h"

#include <poll.h>

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 135)
#define STATE_PROCESSING CONN_STATE_PROCESSING /* the name since httpd 2.4.63 */
#else
#define STATE_PROCESSING CONN_STATE_READ_REQUEST_LINE
#endif

static abl_seat_counts_t unseen;            /* where there is no ledger */
static abl_seat_counts_t *counts = &unseen; /* with the threads of this child that wait here now */
static apr_uint32_t most;                   /* how many may */

void abl_linger_child_init(abl_seat_counts_t *shared)
{
    int threads = 0;

    (void)ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    counts = shared != NULL ? shared : &unseen;
    counts->threads = threads > 0 ? (apr_uint32_t)threads : 1;
    most = threads > 1 ? (apr_uint32_t)threads / 2 : 0;
}

void abl_linger_allow(conn_rec *c)
{
    if (c->master == NULL) {
        abl_connection_of(c)->used = true;
    }
}

static int64_t patience(const conn_rec *c)
{
    int64_t linger = abl_server_conf(c->base_server)->linger;

    return linger == ABL_UNSET ? ABL_LINGER_DEFAULT : linger;
}

/* ---- between two requests --------------------------------------------------------------------------- */

/* Sends what can be sent without waiting. False: something is left, or went wrong; the MPM deals with it. */
static bool flushed(conn_rec *c)
{
    ap_filter_t *f = c->output_filters;

    while (f->next != NULL) {
        f = f->next;
    }
    return f->frec->filter_func.out_func(f, NULL) == APR_SUCCESS && !c->data_in_output_filters;
}

static bool is_running(void)
{
    int state = AP_MPMQ_STOPPING;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_RUNNING;
}

static bool may_wait(conn_rec *c)
{
    return c->cs->state == CONN_STATE_WRITE_COMPLETION && c->keepalive == AP_CONN_KEEPALIVE && !c->aborted &&
           !c->data_in_input_filters && abl_connection_of(c)->used && is_running() && flushed(c);
}

static bool readable(conn_rec *c, int64_t wait)
{
    apr_socket_t *socket = ap_get_conn_socket(c);
    struct pollfd pfd = {.events = POLLIN};
    struct timespec ts = {.tv_nsec = wait * 1000};

    return socket != NULL && apr_os_sock_get(&pfd.fd, socket) == APR_SUCCESS &&
           ppoll(&pfd, 1, &ts, NULL) > 0 && pfd.revents == POLLIN;
}

/* Did the next request arrive in time? */
static bool next_request(conn_rec *c)
{
    bool come = false;

    if (!may_wait(c) || (abl_drive_patience(c->base_server) >= 0 && abl_park_idle(c))) {
        return false;
    }
    if (atomic_fetch_add_explicit(&counts->lingering, 1, memory_order_relaxed) < most) {
        ap_update_child_status(c->sbh, SERVER_BUSY_KEEPALIVE, NULL);
        come = readable(c, patience(c));
    }
    atomic_fetch_sub_explicit(&counts->lingering, 1, memory_order_relaxed);
    return come;
}

/* ---- the hook --------------------------------------------------------------------------------------- */

static bool can_linger(const conn_rec *c)
{
    return most > 0 && !abl_lane_is_here() && c->cs != NULL && c->master == NULL &&
           !c->clogging_input_filters && patience(c) > 0;
}

int abl_linger_process(conn_rec *c)
{
    abl_connection_t *connection;
    int rc;

    if (!can_linger(c)) {
        return DECLINED;
    }
    connection = abl_connection_of(c);
    if (connection->inside) {
        return DECLINED;
    }
    connection->inside = true;
    do {
        c->cs->state = STATE_PROCESSING;
        rc = ap_run_process_connection(c);
    } while (rc == OK && next_request(c));
    connection->inside = false;
    return rc;
}
