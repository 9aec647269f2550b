/* SPDX-License-Identifier: Apache-2.0
 *
 * The event MPM counts a parked request's connection: a child accepts ThreadsPerChild connections, and
 * AsyncRequestWorkerFactor more for each thread that is idle, as threads are while requests are parked.
 */
#include "httpd/capacity.h"

#include "httpd/drive.h"

#include "ap_mpm.h"

#include <stdlib.h>
#include <sys/resource.h>

#define FACTOR_DEFAULT 2.0

/* What BalancerQueue allows, as far as somebody has written it down. */
typedef struct promise_t {
    apr_int64_t waiting;     /* requests at once */
    apr_int64_t descriptors; /* of them all, at most */
} promise_t;

/* httpd does not tell, so the configuration is asked. */
static double factor(void)
{
    const ap_directive_t *line;
    double value = FACTOR_DEFAULT;

    for (line = ap_conftree; line != NULL; line = line->next) {
        if (ap_cstr_casecmp(line->directive, "AsyncRequestWorkerFactor") == 0) {
            value = strtod(line->args, NULL);
        }
    }
    return value;
}

/* Of a request that waits: the client's, its ticket's, and a file's where its body, which is there by then,
 * may be too long for memory. A member's connection and an answer's file come when it waits no longer. */
static int descriptors(const abl_buffer_conf_t *buffer)
{
    bool may_have_file = buffer->file > 0 && (buffer->max == 0 || buffer->max > buffer->request);

    return may_have_file ? 3 : 2;
}

static promise_t promised(void)
{
    const abl_section_t *section;
    promise_t sum = {0, 0};

    for (section = abl_config_sections(); section != NULL; section = section->next) {
        if (section->queue_seen != 0 && section->balancer.limited) {
            apr_int64_t length = section->balancer.queue.length;
            sum.waiting += length;
            sum.descriptors += length * descriptors(&section->buffer);
        }
    }
    return sum;
}

static void check_connections(server_rec *s, apr_int64_t waiting, int children, double of_child)
{
    if ((double)waiting > children * of_child) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ABL0021: BalancerQueue lets %" APR_INT64_T_FMT " requests wait, but httpd accepts %d "
                     "connections at once (%d children, %d threads each, AsyncRequestWorkerFactor %g); the "
                     "others wait unseen; raise AsyncRequestWorkerFactor, or lower length=",
                     waiting, (int)(children * of_child), children, (int)(of_child / (1 + factor()) + 0.5),
                     factor());
    }
}

static void check_descriptors(server_rec *s, const promise_t *promise, int children, double of_child)
{
    struct rlimit limit;
    double share = (double)promise->waiting / children;
    double each = (double)promise->descriptors / (double)promise->waiting;
    double needed = each * (share < of_child ? share : of_child);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        needed > (double)limit.rlim_cur) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "ABL0022: BalancerQueue lets %" APR_INT64_T_FMT
                     " requests wait: up to %d descriptors for "
                     "them in each child, which may have %ld in all (each has two, and a file if its body is "
                     "longer than BalancerBuffer request=); raise the limit of open files, or lower length=",
                     promise->waiting, (int)needed, (long)limit.rlim_cur);
    }
}

void abl_capacity_check(server_rec *s)
{
    promise_t promise = promised();
    int async = 0, children = 0, threads = 0;
    double of_child;

    if (promise.waiting == 0 || abl_drive_patience(s) < 0 ||
        ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) != APR_SUCCESS || !async ||
        ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children) != APR_SUCCESS ||
        ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || children <= 0) {
        return;
    }
    of_child = threads * (1 + factor());
    check_connections(s, promise.waiting, children, of_child);
    check_descriptors(s, &promise, children, of_child);
}
