/* SPDX-License-Identifier: Apache-2.0
 *
 * A family's samples stand together, so what is needed of all members is kept first.
 */
#include "httpd/status_metrics.h"

#include "engine/ends.h"
#include "httpd/config.h"
#include "httpd/lifecycle.h"
#include "httpd/status_apps.h"
#include "httpd/status_member.h"
#include "ledger/tally.h"
#include "ledger/view.h"

#include "apr_strings.h"

/* Whose a figure is; member NULL: the balancer's. */
typedef struct labels_t {
    const char *balancer, *member;
} labels_t;

/* What is told of one member. */
typedef struct row_t {
    labels_t labels; /* first */
    const char *state;
    apr_uint64_t is_up, busy, concurrency, queued, weight, requests, failures, bytes;
    bool added;
} row_t;

/* And of one balancer. */
typedef struct group_t {
    labels_t labels; /* first */
    abl_tally_t tally;
    apr_uint64_t waiting, limit, head_age;
} group_t;

typedef struct figures_t {
    apr_pool_t *pool;
    abl_segment_t *segment;
    abl_member_view_t *portion; /* room for one */
    apr_array_header_t *rows;   /* of row_t */
    apr_array_header_t *groups; /* of group_t */
} figures_t;

/* ---- collecting ------------------------------------------------------------------------------------- */

/* One that is gone may be there again, added by hand, while it still has requests: each series is there once.
 */
static bool is_told_of(const figures_t *f, const char *balancer, const abl_member_view_t *m)
{
    int i = m->removed ? f->rows->nelts - 1 : -1;

    for (; i >= 0 && APR_ARRAY_IDX(f->rows, i, row_t).labels.balancer == balancer; i--) {
        const row_t *row = &APR_ARRAY_IDX(f->rows, i, row_t);
        if (row->added && strcmp(row->labels.member, m->address) == 0) {
            return true;
        }
    }
    return false;
}

static void keep_member(figures_t *f, const char *balancer, const abl_member_view_t *m)
{
    row_t *row;

    if (is_told_of(f, balancer, m)) {
        return;
    }
    row = &APR_ARRAY_PUSH(f->rows, row_t);
    row->added = m->added;
    row->labels = (labels_t){balancer, apr_pstrdup(f->pool, m->address)};
    row->state = abl_status_state(m);
    row->requests = m->requests;
    row->failures = m->failures;
    row->bytes = m->bytes;
    row->busy = m->busy;
    row->concurrency = m->concurrency;
    row->weight = m->weight;
    row->queued = m->queued;
    row->is_up = abl_status_is_up(m);
}

static void keep_balancer(figures_t *f, int index, const abl_balancer_view_t *view)
{
    group_t *group = &APR_ARRAY_PUSH(f->groups, group_t);
    abl_view_place_t from = {.balancer = index};
    int i, n;

    group->labels = (labels_t){apr_pstrdup(f->pool, view->name), NULL};
    group->waiting = view->waiting;
    group->limit = view->queue_length;
    group->head_age = (apr_uint64_t)view->head_age;
    abl_tally_read(f->segment, index, &group->tally);
    while ((n = abl_view_members(f->segment, &from, f->portion, ABL_VIEW_PORTION)) > 0) {
        for (i = 0; i < n; i++) {
            keep_member(f, group->labels.balancer, &f->portion[i]);
        }
    }
}

static void collect(figures_t *f)
{
    abl_balancer_view_t view;
    int i;

    for (i = 1; f->segment != NULL && i <= abl_view_balancers(f->segment); i++) {
        if (abl_view_balancer(f->segment, i, &view)) {
            keep_balancer(f, i, &view);
        }
    }
}

/* ---- balancers -------------------------------------------------------------------------------------- */

static void write_requests(abl_metrics_t *m, const figures_t *f)
{
    unsigned end;
    int i, class;

    abl_metrics_family(m, "requests", ABL_METRICS_COUNTER,
                       "requests that have ended, by how, and by the status that the client got");
    for (i = 0; i < f->groups->nelts; i++) {
        const group_t *group = &APR_ARRAY_IDX(f->groups, i, group_t);
        for (end = ABL_END_OK; end < ABL_ENDS; end++) {
            for (class = 0; class < ABL_TALLY_CLASSES; class ++) {
                bool always = end == ABL_END_OK && class == 2;
                if (group->tally.ended[end][class] > 0 || always) {
                    abl_metrics_label(m, "balancer", group->labels.balancer);
                    abl_metrics_label(m, "end", abl_end_word(end));
                    abl_metrics_label(m, "status", abl_end_class(class));
                    abl_metrics_sample(m, "", group->tally.ended[end][class]);
                }
            }
        }
    }
}

/* One bucket for each doubling of a millisecond, from a quarter of one to more than two minutes. */
#define FIRST_BUCKET 256
#define LAST_BUCKET (1 << 27)

static void write_buckets(abl_metrics_t *m, const char *balancer, const apr_uint64_t *steps, apr_uint64_t sum)
{
    apr_uint64_t n = 0;
    int64_t le = FIRST_BUCKET;
    uint32_t step;

    for (step = 0; step < ABL_LATENCY_STEPS; step++) {
        n += steps[step];
        if (abl_latency_end(step) == le && le <= LAST_BUCKET) {
            char text[32];
            (void)apr_snprintf(text, sizeof(text), "%.6f", (double)le / 1000000);
            abl_metrics_label(m, "balancer", balancer);
            abl_metrics_label(m, "le", text);
            abl_metrics_sample(m, "_bucket", n);
            le *= 2;
        }
    }
    abl_metrics_label(m, "balancer", balancer);
    abl_metrics_label(m, "le", "+Inf");
    abl_metrics_sample(m, "_bucket", n);
    abl_metrics_label(m, "balancer", balancer);
    abl_metrics_seconds(m, "_sum", sum);
    abl_metrics_label(m, "balancer", balancer);
    abl_metrics_sample(m, "_count", n);
}

static void write_times(abl_metrics_t *m, const figures_t *f)
{
    int i;

    abl_metrics_family(m, "request_duration_seconds", ABL_METRICS_HISTOGRAM, "how long whole requests took");
    for (i = 0; i < f->groups->nelts; i++) {
        const group_t *group = &APR_ARRAY_IDX(f->groups, i, group_t);
        write_buckets(m, group->labels.balancer, group->tally.took, group->tally.took_sum);
    }
    abl_metrics_family(m, "queue_wait_seconds", ABL_METRICS_HISTOGRAM,
                       "how long requests were in the queue, those that had to");
    for (i = 0; i < f->groups->nelts; i++) {
        const group_t *group = &APR_ARRAY_IDX(f->groups, i, group_t);
        write_buckets(m, group->labels.balancer, group->tally.waits, group->tally.waits_sum);
    }
}

/* ---- families of one figure each --------------------------------------------------------------------- */

typedef struct family_t {
    const char *name;
    abl_metrics_type_t type;
    const char *help;
    apr_size_t field; /* where the apr_uint64_t is, in a row or a group */
    void (*write)(abl_metrics_t *m, const char *suffix, uint64_t value);
} family_t;

static void label(abl_metrics_t *m, const labels_t *labels)
{
    abl_metrics_label(m, "balancer", labels->balancer);
    if (labels->member != NULL) {
        abl_metrics_label(m, "member", labels->member);
    }
}

/* `of`: rows or groups. */
static void write_families(abl_metrics_t *m, const family_t *families, apr_size_t n,
                           const apr_array_header_t *of)
{
    apr_size_t k;
    int i;

    for (k = 0; k < n; k++) {
        abl_metrics_family(m, families[k].name, families[k].type, families[k].help);
        for (i = 0; i < of->nelts; i++) {
            const char *item = of->elts + (apr_size_t)i * (apr_size_t)of->elt_size;
            label(m, (const labels_t *)(const void *)item);
            families[k].write(m, "", *(const apr_uint64_t *)(const void *)(item + families[k].field));
        }
    }
}

#define OF_GROUP(field) APR_OFFSETOF(group_t, field)
#define OF_ROW(field) APR_OFFSETOF(row_t, field)

static void write_balancers(abl_metrics_t *m, const figures_t *f)
{
    static const family_t families[] = {
        {"retries", ABL_METRICS_COUNTER, "tries of requests after the first", OF_GROUP(tally.retries),
         abl_metrics_sample},
        {"hedges", ABL_METRICS_COUNTER, "second tries beside a first", OF_GROUP(tally.hedged),
         abl_metrics_sample},
        {"received_bytes", ABL_METRICS_COUNTER, "of bodies, from clients", OF_GROUP(tally.in),
         abl_metrics_sample},
        {"sent_bytes", ABL_METRICS_COUNTER, "of bodies, to clients", OF_GROUP(tally.out), abl_metrics_sample},
        {"queue_length", ABL_METRICS_GAUGE, "requests that wait for a member", OF_GROUP(waiting),
         abl_metrics_sample},
        {"queue_limit", ABL_METRICS_GAUGE, "requests that may wait", OF_GROUP(limit), abl_metrics_sample},
        {"queue_head_age_seconds", ABL_METRICS_GAUGE, "how long the request that waits longest has waited",
         OF_GROUP(head_age), abl_metrics_seconds}};

    write_families(m, families, sizeof(families) / sizeof(families[0]), f->groups);
}

static void write_members(abl_metrics_t *m, const figures_t *f)
{
    static const family_t families[] = {
        {"member_up", ABL_METRICS_GAUGE, "1: it may get requests", OF_ROW(is_up), abl_metrics_sample},
        {"member_busy", ABL_METRICS_GAUGE, "requests that are at it", OF_ROW(busy), abl_metrics_sample},
        {"member_concurrency", ABL_METRICS_GAUGE, "requests that may be at it at once; 0: no limit",
         OF_ROW(concurrency), abl_metrics_sample},
        {"member_queued", ABL_METRICS_GAUGE, "requests that wait for it and no other", OF_ROW(queued),
         abl_metrics_sample},
        {"member_weight", ABL_METRICS_GAUGE, "its share of the requests", OF_ROW(weight),
         abl_metrics_hundredths},
        {"member_requests", ABL_METRICS_COUNTER, "requests that it was given", OF_ROW(requests),
         abl_metrics_sample},
        {"member_failures", ABL_METRICS_COUNTER, "of these, those that it has failed", OF_ROW(failures),
         abl_metrics_sample},
        {"member_bytes", ABL_METRICS_COUNTER, "to it and from it", OF_ROW(bytes), abl_metrics_sample}};
    int i;

    write_families(m, families, sizeof(families) / sizeof(families[0]), f->rows);
    abl_metrics_family(m, "member_state", ABL_METRICS_GAUGE, "1, with the state that it is in");
    for (i = 0; i < f->rows->nelts; i++) {
        const row_t *row = &APR_ARRAY_IDX(f->rows, i, row_t);
        label(m, &row->labels);
        abl_metrics_label(m, "state", row->state);
        abl_metrics_sample(m, "", 1);
    }
}

/* ---- the server ------------------------------------------------------------------------------------- */

static void write_children(abl_metrics_t *m, const figures_t *f)
{
    abl_seat_view_t *seats = apr_palloc(f->pool, ABL_SEATS_MAX * sizeof(*seats));
    int n = f->segment != NULL ? abl_view_seats(f->segment, seats, ABL_SEATS_MAX) : 0;
    apr_uint64_t parked = 0, adopted = 0, lingering = 0;

    while (n-- > 0) {
        parked += seats[n].parked;
        adopted += seats[n].adopted;
        lingering += seats[n].lingering;
    }
    abl_metrics_family(m, "parked_requests", ABL_METRICS_GAUGE, "requests that wait without a worker");
    abl_metrics_sample(m, "", parked);
    abl_metrics_family(m, "adopted_connections", ABL_METRICS_GAUGE,
                       "connections that are looked after without a worker");
    abl_metrics_sample(m, "", adopted);
    abl_metrics_family(m, "lingering_workers", ABL_METRICS_GAUGE,
                       "workers that stay with a connection for a moment");
    abl_metrics_sample(m, "", lingering);
}

static void write_ledger(abl_metrics_t *m, const figures_t *f)
{
    char verdict[ABL_CHECK_MAX];

    abl_metrics_family(m, "ledger_sound", ABL_METRICS_GAUGE, "1: all counts are right");
    abl_metrics_sample(m, "", f->segment == NULL || abl_ledger_check(f->segment, verdict));
    abl_metrics_family(m, "ledger_rebuilds", ABL_METRICS_COUNTER,
                       "how often a process died in the middle of counting");
    abl_metrics_sample(m, "", f->segment != NULL ? abl_view_rebuilds(f->segment) : 0);
}

void abl_status_metrics(abl_metrics_t *m, apr_pool_t *pool)
{
    figures_t f = {.pool = pool,
                   .segment = abl_lifecycle_segment(),
                   .portion = apr_palloc(pool, ABL_VIEW_PORTION * sizeof(abl_member_view_t)),
                   .rows = apr_array_make(pool, 64, sizeof(row_t)),
                   .groups = apr_array_make(pool, 8, sizeof(group_t))};

    collect(&f);
    abl_metrics_family(m, "module_version", ABL_METRICS_GAUGE, "1, with the module's version");
    abl_metrics_label(m, "version", ABL_VERSION);
    abl_metrics_sample(m, "", 1);
    write_ledger(m, &f);
    write_children(m, &f);
    write_requests(m, &f);
    write_times(m, &f);
    write_balancers(m, &f);
    write_members(m, &f);
    abl_status_apps_metrics(m);
    abl_metrics_end(m);
}
