/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger, the children, the applications and what was done lately, in one object. Parts are written into
 * a text of their own first: a reader of the stream gets only those that have changed.
 */
#include "httpd/status_json.h"

#include "base/clock.h"
#include "engine/ends.h"
#include "httpd/lifecycle.h"
#include "httpd/persist.h"
#include "httpd/status_apps.h"
#include "httpd/status_member.h"
#include "httpd/text.h"
#include "ledger/history.h"
#include "ledger/journal.h"
#include "ledger/tally.h"
#include "ledger/view.h"

#include "apr_strings.h"

/* ---- parts ------------------------------------------------------------------------------------------ */

typedef struct writer_t {
    abl_json_t *json;
    apr_pool_t *pool;
    abl_segment_t *segment;
    abl_seen_t *seen;           /* NULL: everything is sent */
    abl_text_t part;            /* the one that is being written */
    abl_text_t parts;           /* of an array */
    abl_member_view_t *portion; /* room for one */
    int64_t now;
} writer_t;

static abl_json_t begin_part(writer_t *w)
{
    abl_text_clear(&w->part);
    return abl_text_json(&w->part);
}

/* Has the reader got what is in w->part? */
static bool is_known(writer_t *w, const char *kind, const char *of, const char *name)
{
    return w->seen != NULL && w->seen->is_known(w->seen, kind, of, name, w->part.bytes, w->part.len) &&
           !w->seen->whole;
}

static void end_part(writer_t *w, const char *name)
{
    if (!is_known(w, name, "", "")) {
        abl_json_key(w->json, name);
        abl_json_raw(w->json, w->part.bytes, w->part.len);
    }
}

/* ---- balancers -------------------------------------------------------------------------------------- */

static void write_queue(abl_json_t *json, const abl_balancer_view_t *view, const abl_tally_t *tally,
                        const abl_history_t *history)
{
    const abl_percentiles_t *wait = &history->minute_wait;

    abl_json_begin(json, "queue", '{');
    abl_json_put_number(json, "length", view->waiting);
    abl_json_put_number(json, "limit", view->queue_length);
    abl_json_put_number(json, "per_client", view->per_client);
    abl_json_put_millis(json, "head_age_ms", view->head_age);
    abl_json_put_number(json, "waited", tally->waited);
    abl_status_percentiles(json, "wait_ms", (const apr_uint32_t[]){wait->p50, wait->p90, wait->p99},
                           ABL_SAMPLE_NOTHING);
    abl_json_close(json, '}');
}

static apr_uint64_t sum_of_end(const abl_tally_t *tally, unsigned end)
{
    apr_uint64_t sum = 0;
    int class;

    for (class = 0; class < ABL_TALLY_CLASSES; class ++) {
        sum += tally->ended[end][class];
    }
    return sum;
}

static void write_answers(abl_json_t *json, const abl_tally_t *tally)
{
    int class;

    abl_json_begin(json, "answers", '{');
    for (class = 0; class < ABL_TALLY_CLASSES; class ++) {
        apr_uint64_t sum = 0;
        unsigned end;
        for (end = 0; end < ABL_ENDS; end++) {
            sum += tally->ended[end][class];
        }
        abl_json_put_number(json, abl_end_class(class), sum);
    }
    abl_json_close(json, '}');
}

static void write_ends(abl_json_t *json, const abl_tally_t *tally)
{
    apr_uint64_t all = 0, errors = 0;
    unsigned end;
    int class;

    abl_json_begin(json, "ends", '{');
    for (end = ABL_END_OK; end < ABL_ENDS; end++) {
        abl_json_put_number(json, abl_end_word(end), sum_of_end(tally, end));
        all += sum_of_end(tally, end);
        for (class = 0; class < ABL_TALLY_CLASSES; class ++) {
            errors += abl_end_is_error(end, class) ? tally->ended[end][class] : 0;
        }
    }
    abl_json_close(json, '}');
    abl_json_put_number(json, "requests", all);
    abl_json_put_number(json, "errors", errors);
    write_answers(json, tally);
}

/* ---- history ---------------------------------------------------------------------------------------- */

static void write_micros(abl_json_t *json, apr_uint32_t micros)
{
    if (micros == ABL_SAMPLE_NOTHING) {
        abl_json_null(json);
    } else {
        abl_json_millis(json, micros);
    }
}

static void write_per_second(abl_json_t *json, apr_uint32_t n)
{
    abl_json_hundredths(json, n * 100 / ABL_SAMPLE_SECONDS);
}

static void write_count(abl_json_t *json, apr_uint32_t n)
{
    abl_json_number(json, n);
}

/* The last n of them. */
static void write_history(abl_json_t *json, const abl_history_t *history, int n)
{
#define OF(field) APR_OFFSETOF(abl_sample_t, field)
    static const struct {
        const char *name;
        apr_size_t field;
        void (*write)(abl_json_t *json, apr_uint32_t value);
    } lists[] = {{"requests", OF(requests), write_per_second},
                 {"errors", OF(errors), write_per_second},
                 {"queue", OF(queue), write_count},
                 {"busy", OF(busy), write_count},
                 {"wait_ms", OF(wait), write_micros},
                 {"p50_ms", OF(took.p50), write_micros},
                 {"p90_ms", OF(took.p90), write_micros},
                 {"p99_ms", OF(took.p99), write_micros}};
    apr_size_t i;
    int j;

    abl_json_begin(json, "history", '{');
    abl_json_put_number(json, "step_s", ABL_SAMPLE_SECONDS);
    abl_json_put_number(json, "end", (uint64_t)history->end);
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        abl_json_begin(json, lists[i].name, '[');
        for (j = history->n - n; j < history->n; j++) {
            const char *sample = (const char *)&history->samples[j];
            lists[i].write(json, *(const apr_uint32_t *)(const void *)(sample + lists[i].field));
        }
        abl_json_close(json, ']');
    }
    abl_json_close(json, '}');
}

/* How many of its samples the reader has not got. */
static int news_of(writer_t *w, const abl_balancer_view_t *view, const abl_history_t *history)
{
    apr_uint64_t got = w->seen != NULL ? w->seen->history(w->seen, view->name, history->ever) : 0;
    apr_uint64_t news =
        w->seen == NULL || w->seen->whole || got > history->ever ? history->ever : history->ever - got;

    return news < (apr_uint64_t)history->n ? (int)news : history->n;
}

/* ---- one balancer ----------------------------------------------------------------------------------- */

static void write_head(abl_json_t *json, const abl_balancer_view_t *view, const abl_tally_t *tally,
                       const abl_history_t *history)
{
    const abl_percentiles_t *took = &history->minute_took;

    abl_json_put_text(json, "name", view->name);
    abl_json_put_text(json, "method", view->method);
    abl_json_put_bool(json, "removed", view->removed);
    write_queue(json, view, tally, history);
    write_ends(json, tally);
    abl_json_put_number(json, "retries", tally->retries);
    abl_json_put_number(json, "hedges", tally->hedged);
    abl_json_put_number(json, "bytes_in", tally->in);
    abl_json_put_number(json, "bytes_out", tally->out);
    abl_status_percentiles(json, "latency_ms", (const apr_uint32_t[]){took->p50, took->p90, took->p99},
                           ABL_SAMPLE_NOTHING);
    abl_json_begin(json, "places", '{');
    abl_json_put_number(json, "free", view->free_places);
    abl_json_put_number(json, "all", view->places);
    abl_json_close(json, '}');
    if (view->reset_at == 0) {
        abl_json_put_null(json, "reset_at");
    } else {
        abl_json_put_number(json, "reset_at", (uint64_t)view->reset_at);
    }
}

/* One that goes is another one for who reads: then all is sent anew. */
static const char *kind_of(const abl_member_view_t *member)
{
    return member->removed ? "removed" : "member";
}

/* Those that the reader has not got, into w->parts. Returns how many. */
static int write_members(writer_t *w, const abl_balancer_view_t *view, int index)
{
    abl_view_place_t from = {.balancer = index};
    abl_json_t list;
    int i, n, changed = 0;

    abl_text_clear(&w->parts);
    list = abl_text_json(&w->parts);
    while ((n = abl_view_members(w->segment, &from, w->portion, ABL_VIEW_PORTION)) > 0) {
        for (i = 0; i < n; i++) {
            abl_json_t json = begin_part(w);
            abl_status_member(&json, &w->portion[i], w->now, w->seen != NULL);
            if (!is_known(w, kind_of(&w->portion[i]), view->name, w->portion[i].address)) {
                abl_json_raw(&list, w->part.bytes, w->part.len);
                changed++;
            }
        }
    }
    return changed;
}

static void write_balancer(writer_t *w, const abl_balancer_view_t *view, int index)
{
    int changed = write_members(w, view, index);
    abl_history_t *history = apr_palloc(w->pool, sizeof(*history));
    abl_tally_t *tally = apr_palloc(w->pool, sizeof(*tally));
    int news;
    abl_json_t json;

    abl_tally_read(w->segment, index, tally);
    abl_history_read(w->segment, index, history);
    news = news_of(w, view, history);
    json = begin_part(w);
    write_head(&json, view, tally, history);
    if (is_known(w, "balancer", "", view->name) && changed == 0 && news == 0) {
        return;
    }
    abl_json_open(w->json, '{');
    abl_json_raw(w->json, w->part.bytes, w->part.len);
    write_history(w->json, history, news);
    abl_json_begin(w->json, "members", '[');
    if (changed > 0) {
        abl_json_raw(w->json, w->parts.bytes, w->parts.len);
    }
    abl_json_close(w->json, ']');
    abl_json_close(w->json, '}');
}

static void write_balancers(writer_t *w)
{
    abl_balancer_view_t view;
    int i;

    abl_json_begin(w->json, "balancers", '[');
    for (i = 1; w->segment != NULL && i <= abl_view_balancers(w->segment); i++) {
        if (abl_view_balancer(w->segment, i, &view)) {
            write_balancer(w, &view, i);
        }
    }
    abl_json_close(w->json, ']');
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static void write_seats(writer_t *w)
{
    abl_seat_view_t *seats = apr_palloc(w->pool, ABL_SEATS_MAX * sizeof(*seats));
    int n = w->segment != NULL ? abl_view_seats(w->segment, seats, ABL_SEATS_MAX) : 0;
    abl_json_t json = begin_part(w);
    int i;

    abl_json_open(&json, '[');
    for (i = 0; i < n; i++) {
        abl_json_open(&json, '{');
        abl_json_put_number(&json, "seat", (uint64_t)seats[i].seat);
        abl_json_put_number(&json, "pid", (uint64_t)seats[i].pid);
        abl_json_put_bool(&json, "old", seats[i].old);
        abl_json_put_number(&json, "parked", seats[i].parked);
        abl_json_put_number(&json, "adopted", seats[i].adopted);
        abl_json_put_number(&json, "lingering", seats[i].lingering);
        abl_json_put_number(&json, "threads", seats[i].threads);
        abl_json_close(&json, '}');
    }
    abl_json_close(&json, ']');
    end_part(w, "seats");
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void write_event(abl_json_t *json, const abl_entry_t *entry)
{
    abl_json_open(json, '{');
    abl_json_put_number(json, "time", (uint64_t)entry->time);
    abl_json_put_text(json, "who", or_null(entry->who));
    abl_json_put_text(json, "from", or_null(entry->from));
    abl_json_put_text(json, "action", entry->action);
    abl_json_put_text(json, "balancer", entry->balancer);
    abl_json_put_text(json, "target", or_null(entry->target));
    abl_json_put_text(json, "value", or_null(entry->value));
    abl_json_put_text(json, "reason", or_null(entry->reason));
    abl_json_put_text(json, "result", entry->result);
    abl_json_close(json, '}');
}

static void write_events(writer_t *w)
{
    abl_entry_t *entries = apr_palloc(w->pool, ABL_JOURNAL_ENTRIES * sizeof(*entries));
    int n = w->segment != NULL ? abl_journal_read(w->segment, entries) : 0;
    abl_json_t json = begin_part(w);
    int i;

    abl_json_open(&json, '[');
    for (i = 0; i < n; i++) {
        write_event(&json, &entries[i]);
    }
    abl_json_close(&json, ']');
    end_part(w, "events");
}

static void write_steering(abl_json_t *json, const abl_steering_t *steering)
{
    if (!steering->manager) {
        abl_json_put_null(json, "steering");
        return;
    }
    abl_json_begin(json, "steering", '{');
    abl_json_put_bool(json, "allowed", steering->token != NULL);
    abl_json_put_text(json, "token", steering->token);
    abl_json_put_text(json, "why_not", steering->why_not);
    abl_json_put_text(json, "persist", abl_persist_file());
    abl_json_close(json, '}');
}

static void write_applications(writer_t *w)
{
    abl_json_t json = begin_part(w);

    abl_status_apps(&json);
    end_part(w, "applications");
}

static void write_head_of_all(writer_t *w, const server_rec *s)
{
    abl_json_t *json = w->json;
    char verdict[ABL_CHECK_MAX] = "";
    bool sound = w->segment == NULL || abl_ledger_check(w->segment, verdict);

    abl_json_put_number(json, "version", ABL_STATUS_VERSION);
    abl_json_put_text(json, "module", ABL_VERSION);
    abl_json_put_text(json, "server", s->server_hostname);
    abl_json_key(json, "time");
    abl_json_seconds(json, apr_time_now());
    abl_json_put_text(json, "check", sound ? "ok" : verdict);
    abl_json_put_number(json, "rebuilds", w->segment != NULL ? abl_view_rebuilds(w->segment) : 0);
    abl_json_put_number(json, "control", abl_status_control());
}

void abl_status_json(abl_json_t *json, apr_pool_t *pool, const server_rec *s, const abl_steering_t *steering,
                     abl_seen_t *seen)
{
    writer_t w = {.json = json,
                  .pool = pool,
                  .segment = abl_lifecycle_segment(),
                  .seen = seen,
                  .part = {.pool = pool},
                  .parts = {.pool = pool},
                  .portion = apr_palloc(pool, ABL_VIEW_PORTION * sizeof(abl_member_view_t)),
                  .now = abl_clock_now()};

    abl_json_open(json, '{');
    if (seen != NULL) {
        abl_json_put_bool(json, "whole", seen->whole);
    }
    write_head_of_all(&w, s);
    write_steering(json, steering);
    write_seats(&w);
    write_balancers(&w);
    write_applications(&w);
    write_events(&w);
    abl_json_close(json, '}');
}
