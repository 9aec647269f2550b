/* SPDX-License-Identifier: Apache-2.0
 *
 * What has become of the applications, as JSON. The control process writes while this reads, so what is read
 * is checked for what it can be at all, and texts are copied before they are looked at.
 */
#include "httpd/status_apps.h"

#include "httpd/supervision.h"

#include "base/clock.h"

#include "apr_strings.h"

#include <errno.h>

/* A copy that ends. */
static void text(abl_json_t *json, const char *name, const char *value, size_t room)
{
    char copy[ABL_ADDRESS_MAX + 1];
    size_t most = room < sizeof(copy) ? room : sizeof(copy);

    memcpy(copy, value, most);
    copy[most - 1] = '\0';
    if (name != NULL) {
        abl_json_key(json, name);
    }
    abl_json_text(json, copy);
}

static void write_lines(abl_json_t *json, const abl_board_slot_t *s)
{
    uint64_t n = s->nlines, i;

    abl_json_begin(json, "last_lines", '[');
    for (i = n > ABL_SLOT_LINES ? n - ABL_SLOT_LINES : 0; i < n; i++) {
        text(json, NULL, s->lines[i % ABL_SLOT_LINES], sizeof(s->lines[0]));
    }
    abl_json_close(json, ']');
}

static void write_instance(abl_json_t *json, const abl_board_app_t *row, int i, int64_t now)
{
    const abl_slot_t *slot = &row->fleet.slots[i];
    const abl_board_slot_t *s = &row->slots[i];
    abl_instance_state_t state = slot->instance.state;
    abl_leave_t leave = slot->instance.leave != ABL_LEAVE_NOT ? slot->instance.leave : slot->worn;

    if (state <= ABL_INSTANCE_NONE || state > ABL_INSTANCE_KILLED) {
        return;
    }
    abl_json_open(json, '{');
    abl_json_put_number(json, "instance", (uint64_t)i + 1);
    text(json, "address", s->address, sizeof(s->address));
    abl_json_put_number(json, "pid", (uint64_t)s->pid);
    abl_json_key(json, "state");
    abl_json_text(json, abl_instance_state_name(state));
    abl_json_key(json, "age_ms");
    abl_json_millis(json, slot->instance.ready_at != 0 ? now - slot->instance.ready_at : 0);
    abl_json_put_number(json, "requests", s->served);
    abl_json_put_number(json, "memory", s->recycle.memory);
    abl_json_put_number(json, "memory_limit", row->memory);
    abl_json_put_number(json, "restarts", s->starts > 0 ? s->starts - 1 : 0);
    abl_json_key(json, "leaves_because");
    if (leave > ABL_LEAVE_NOT && leave <= ABL_LEAVE_STOP) {
        abl_json_text(json, abl_leave_name(leave));
    } else {
        abl_json_null(json);
    }
    write_lines(json, s);
    abl_json_close(json, '}');
}

/* Addresses that were not free when they were last needed. */
static void write_blocked(abl_json_t *json, const abl_board_app_t *row, int64_t now)
{
    char why[128];
    int i;

    abl_json_key(json, "blocked");
    abl_json_open(json, '[');
    for (i = 0; i < row->fleet.n && i < ABL_SLOTS_OF_APP_MAX; i++) {
        const abl_slot_t *slot = &row->fleet.slots[i];
        int error = row->slots[i].blocked_by;
        if (row->slots[i].blocked == 0 || slot->blocked_until == ABL_SLOT_UNUSED ||
            slot->instance.state != ABL_INSTANCE_NONE) {
            continue;
        }
        abl_json_open(json, '{');
        text(json, "address", row->slots[i].address, sizeof(row->slots[i].address));
        abl_json_key(json, "why");
        abl_json_text(json, error == EADDRINUSE ? "in use by somebody else"
                                                : apr_strerror(error, why, sizeof(why)));
        abl_json_key(json, "again_ms");
        abl_json_millis(json, slot->blocked_until > now ? slot->blocked_until - now : 0);
        abl_json_close(json, '}');
    }
    abl_json_close(json, ']');
}

static void write_death(abl_json_t *json, const abl_board_failure_t *death, int64_t now)
{
    int i;

    abl_json_key(json, "last_failure");
    if (death->at == 0) {
        abl_json_null(json);
        return;
    }
    abl_json_open(json, '{');
    abl_json_put_number(json, "instance", (uint64_t)death->slot + 1);
    abl_json_put_number(json, "pid", (uint64_t)death->pid);
    text(json, "why", death->why, sizeof(death->why));
    abl_json_key(json, "ago_ms");
    abl_json_millis(json, now - death->at);
    abl_json_key(json, "last_lines");
    abl_json_open(json, '[');
    for (i = 0; i < ABL_LAST_LINES && death->lines[i][0] != '\0'; i++) {
        text(json, NULL, death->lines[i], sizeof(death->lines[i]));
    }
    abl_json_close(json, ']');
    abl_json_close(json, '}');
}

/* The newest first. */
static void write_ended(abl_json_t *json, const abl_board_app_t *row, int64_t now)
{
    uint64_t n = row->nended, i;

    abl_json_begin(json, "ended", '[');
    for (i = 1; i <= n && i <= ABL_ENDED_KEPT; i++) {
        const abl_board_end_t *end = &row->ended[(n - i) % ABL_ENDED_KEPT];
        abl_json_open(json, '{');
        abl_json_put_number(json, "instance", (uint64_t)end->slot + 1);
        abl_json_put_number(json, "pid", (uint64_t)end->pid);
        text(json, "why", end->why, sizeof(end->why));
        abl_json_put_millis(json, "ago_ms", now - end->at);
        abl_json_close(json, '}');
    }
    abl_json_close(json, ']');
}

static void write_app(abl_json_t *json, const abl_board_app_t *row, int64_t now)
{
    int i, n = row->fleet.n;

    abl_json_open(json, '{');
    text(json, "balancer", row->balancer, sizeof(row->balancer));
    text(json, "name", row->name, sizeof(row->name));
    abl_json_put_bool(json, "removed", row->gone_at != 0);
    abl_json_put_bool(json, "failed", row->fleet.failed);
    abl_json_put_bool(json, "rolling",
                      n >= 0 && n <= ABL_SLOTS_OF_APP_MAX && abl_fleet_is_rolling(&row->fleet));
    abl_json_put_number(json, "wanted", (uint64_t)abl_fleet_wanted(&row->fleet, &row->conf));
    abl_json_put_number(json, "starts", row->starts);
    abl_json_put_number(json, "failures", row->failures);
    abl_json_key(json, "instances");
    abl_json_open(json, '[');
    for (i = 0; i < n && i < ABL_SLOTS_OF_APP_MAX; i++) {
        write_instance(json, row, i, now);
    }
    abl_json_close(json, ']');
    write_blocked(json, row, now);
    write_death(json, &row->last_failure, now);
    write_ended(json, row, now);
    abl_json_close(json, '}');
}

uint64_t abl_status_control(void)
{
    abl_board_t *board = abl_supervision_board();

    return board != NULL ? (uint64_t)atomic_load(abl_board_control(board)) : 0;
}

void abl_status_apps(abl_json_t *json)
{
    abl_board_t *board = abl_supervision_board();
    int64_t now = abl_clock_now();
    int i;

    abl_json_open(json, '[');
    for (i = 0; board != NULL && i < ABL_APPS_MAX; i++) {
        const abl_board_app_t *row = abl_board_app(board, i);
        if (row->name[0] != '\0') {
            write_app(json, row, now);
        }
    }
    abl_json_close(json, ']');
}

/* ---- figures ---------------------------------------------------------------------------------------- */

static uint64_t wanted(const abl_board_app_t *row)
{
    return (uint64_t)abl_fleet_wanted(&row->fleet, &row->conf);
}

static uint64_t ready(const abl_board_app_t *row)
{
    uint64_t n = 0;
    int i;

    for (i = 0; i < row->fleet.n && i < ABL_SLOTS_OF_APP_MAX; i++) {
        n += row->fleet.slots[i].instance.state == ABL_INSTANCE_READY;
    }
    return n;
}

static uint64_t memory(const abl_board_app_t *row)
{
    uint64_t sum = 0;
    int i;

    for (i = 0; i < row->fleet.n && i < ABL_SLOTS_OF_APP_MAX; i++) {
        sum += row->slots[i].recycle.memory;
    }
    return sum;
}

static uint64_t starts(const abl_board_app_t *row)
{
    return row->starts;
}

static uint64_t failures(const abl_board_app_t *row)
{
    return row->failures;
}

static void write_family(abl_metrics_t *m, abl_board_t *board, uint64_t (*value)(const abl_board_app_t *row))
{
    int i;

    for (i = 0; board != NULL && i < ABL_APPS_MAX; i++) {
        const abl_board_app_t *row = abl_board_app(board, i);
        char balancer[ABL_NAME_MAX + 1], name[ABL_NAME_MAX + 1];
        if (row->name[0] == '\0') {
            continue;
        }
        apr_cpystrn(balancer, row->balancer, sizeof(balancer));
        apr_cpystrn(name, row->name, sizeof(name));
        abl_metrics_label(m, "balancer", balancer);
        abl_metrics_label(m, "application", name);
        abl_metrics_sample(m, "", value(row));
    }
}

void abl_status_apps_metrics(abl_metrics_t *m)
{
    abl_board_t *board = abl_supervision_board();

    abl_metrics_family(m, "application_wanted", ABL_METRICS_GAUGE, "instances that there should be");
    write_family(m, board, wanted);
    abl_metrics_family(m, "application_ready", ABL_METRICS_GAUGE, "instances that requests go to");
    write_family(m, board, ready);
    abl_metrics_family(m, "application_memory_bytes", ABL_METRICS_GAUGE,
                       "memory of all instances, when it was measured last");
    write_family(m, board, memory);
    abl_metrics_family(m, "application_starts", ABL_METRICS_COUNTER, "instances that were started");
    write_family(m, board, starts);
    abl_metrics_family(m, "application_failures", ABL_METRICS_COUNTER,
                       "instances that ended unasked or could not be started");
    write_family(m, board, failures);
}
