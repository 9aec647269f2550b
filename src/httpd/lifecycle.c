/* SPDX-License-Identifier: Apache-2.0
 *
 * The module in the parent's life and in its children's.
 */
#include "httpd/lifecycle.h"

#include "engine/orphans.h"
#include "engine/sweeper.h"
#include "httpd/capacity.h"
#include "httpd/drive.h"
#include "httpd/linger.h"
#include "httpd/park.h"
#include "httpd/persist.h"
#include "httpd/supervision.h"
#include "ledger/secret.h"

#include "http_core.h"

#include "apr_strings.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

/* What the parent keeps over restarts, which unload the module's code and data. */
typedef struct retained_t {
    abl_segment_t *segment;
    char made_by[64]; /* another build may draw the segment differently */
} retained_t;

#define DESCRIPTORS_OF_A_CHILD 512

static abl_segment_t *segment;

abl_segment_t *abl_lifecycle_segment(void)
{
    return segment;
}

/* ---- the parent ------------------------------------------------------------------------------------- */

/* No name is looked up here: a DNS server that does not answer must not keep httpd from starting. */
static void locate_members(const abl_balancer_t *balancer)
{
    int i;

    for (i = 0; i < balancer->nmembers; i++) {
        (void)abl_member_locate(
            &balancer->members[i]); /* its path is not too long: member_url.c has looked */
    }
}

/* One for each child, and for those of the generation before that still finish their requests. */
static int seats_needed(void)
{
    int children = 0, threaded = 0, seats;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &children);
    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    seats = threaded != AP_MPMQ_NOT_SUPPORTED ? 2 * children + 16 : children + 32;
    return seats < ABL_SEATS_MAX ? seats : ABL_SEATS_MAX;
}

/* One per seat wakes its child, another one lets the leader watch it; and there must be room for what a child
 * needs itself. */
static void allow_descriptors(int seats)
{
    rlim_t needed = 2 * (rlim_t)seats + DESCRIPTORS_OF_A_CHILD;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return;
    }
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Without one there are no actions (session.h). */
static void make_secret(abl_segment_t *made)
{
    unsigned char secret[ABL_SECRET_BYTES];

    if (apr_generate_random_bytes(secret, sizeof(secret)) == APR_SUCCESS) {
        abl_secret_set(made, secret);
    }
}

/* *is_new: it was made just now, and nobody has changed anything in it. */
static int get_segment(server_rec *s, bool *is_new)
{
    retained_t *retained = ap_retained_data_get("mod_appbalance");
    apr_status_t rv;

    if (retained == NULL) {
        retained = ap_retained_data_create("mod_appbalance", sizeof(*retained));
    }
    if (retained->segment != NULL && strcmp(retained->made_by, ABL_MADE_BY) != 0) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "ABL0014: the module was replaced by another version: it begins to count anew, and does "
                     "not see the requests that children of the old one still have under way");
        retained->segment = NULL;
    }
    *is_new = retained->segment == NULL;
    if (retained->segment == NULL) {
        allow_descriptors(seats_needed());
        rv = abl_segment_create(seats_needed(), &retained->segment);
        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_EMERG, rv, s,
                         "ABL0015: cannot make the shared memory and the %d descriptors for at most %d child "
                         "processes; raise the limit of open files, or lower ServerLimit",
                         seats_needed(), seats_needed());
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        make_secret(retained->segment);
        apr_cpystrn(retained->made_by, ABL_MADE_BY, sizeof(retained->made_by));
    }
    segment = retained->segment;
    return OK;
}

static void configure(apr_array_header_t *balancers, apr_pool_t *pconf, server_rec *s)
{
    int left_out;
    apr_status_t rv = abl_balancers_configure(segment, (abl_balancer_t **)balancers->elts, balancers->nelts,
                                              pconf, &left_out);

    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "ABL0016: the ledger has no room for %d members: it holds %d in all, with those that "
                     "still finish their requests; they are left out until the next restart",
                     left_out, ABL_LEDGER_MEMBERS);
    }
}

int abl_lifecycle_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_array_header_t *balancers = apr_array_make(ptemp, 8, sizeof(abl_balancer_t *));
    abl_section_t *section;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* httpd reads everything twice when it starts; once is enough */
    }
    for (section = abl_config_sections(); section != NULL; section = section->next) {
        locate_members(&section->balancer);
        APR_ARRAY_PUSH(balancers, abl_balancer_t *) = &section->balancer;
    }
    if (balancers->nelts > 0 || ap_retained_data_get("mod_appbalance") != NULL) {
        bool is_new;
        if (get_segment(s, &is_new) != OK) {
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        configure(balancers, pconf, s);
        if (is_new) {
            abl_persist_load(s, segment, ptemp);
        }
        abl_capacity_check(s);
        return abl_supervision_configure(pconf, s, segment);
    }
    return OK;
}

void abl_lifecycle_child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                                mpm_child_status status)
{
    (void)s;
    (void)gen;
    (void)slot;
    if (segment == NULL) {
        return;
    }
    if (status == MPM_CHILD_STARTED) {
        abl_segment_expect(segment, pid);
    } else if (status == MPM_CHILD_EXITED) {
        abl_segment_reap(segment, pid);
    }
}

/* ---- a child ---------------------------------------------------------------------------------------- */

/* A child of the prefork MPM that is told to end does so in the signal's handler: wherever it was. Such a
 * handler blocks its own signal while it runs. (Threaded MPMs end in the normal course of a thread that
 * blocks what it likes.) */
static bool in_handler(void)
{
    int threaded = 0;
    sigset_t blocked;

    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && threaded != AP_MPMQ_NOT_SUPPORTED) {
        return false;
    }
    return pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 &&
           (sigismember(&blocked, SIGTERM) == 1 || sigismember(&blocked, SIGHUP) == 1);
}

static apr_status_t leave_orphans(void *child)
{
    if (abl_orphans_count() > 0 && !in_handler()) {
        abl_orphans_move_out(child);
    }
    return APR_SUCCESS;
}

/* *child stays NULL where there is no balancer. */
static apr_status_t start_balancers(apr_pool_t *pchild, abl_child_t **child)
{
    abl_section_t *section = abl_config_sections();
    apr_status_t rv;

    if (section == NULL) {
        return APR_SUCCESS;
    }
    rv = abl_segment_join(segment, child);
    for (; rv == APR_SUCCESS && section != NULL; section = section->next) {
        rv = abl_balancer_start(&section->balancer, *child);
    }
    apr_pool_pre_cleanup_register(pchild, *child, leave_orphans);
    return rv;
}

void abl_lifecycle_child_init(apr_pool_t *pchild, server_rec *s)
{
    abl_child_t *child = NULL;
    apr_status_t rv;

    abl_drive_child_init();
    rv = start_balancers(pchild, &child);
    abl_linger_child_init(child != NULL ? abl_segment_counts(child) : NULL);
    if (rv == APR_SUCCESS) {
        rv = abl_orphans_start();
    }
    if (rv == APR_SUCCESS) {
        rv = abl_sweeper_start();
    }
    if (rv == APR_SUCCESS) {
        rv = abl_park_child_init(pchild, child != NULL ? abl_segment_counts(child)
                                                       : NULL); /* last: it is the first to stop */
    }
    if (rv == APR_SUCCESS) {
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                 rv == APR_ENOSPC
                     ? "ABL0017: every place for a child process is taken; this one gives up, and "
                       "httpd starts another one later"
                     : "ABL0012: this process cannot set up its balancers");
    exit(APEXIT_CHILDSICK);
}
