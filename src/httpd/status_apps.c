/* SPDX-License-Identifier: Apache-2.0
 *
 * What has become of the applications, as JSON. The control process writes while this reads, so what is read
 * is checked for what it can be at all, and texts are copied before they are looked at.
 */
#include "httpd/status_apps.h"

#include "httpd/supervision.h"

#include "base/clock.h"

#include <errno.h>

static void number(abl_json_t *json, const char *name, uint64_t value)
{
    abl_json_key(json, name);
    abl_json_number(json, (int64_t)value);
}

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

static void flag(abl_json_t *json, const char *name, bool value)
{
    abl_json_key(json, name);
    abl_json_bool(json, value);
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
    number(json, "instance", (uint64_t)i + 1);
    text(json, "address", s->address, sizeof(s->address));
    number(json, "pid", (uint64_t)s->pid);
    abl_json_key(json, "state");
    abl_json_text(json, abl_instance_state_name(state));
    abl_json_key(json, "age_ms");
    abl_json_millis(json, slot->instance.ready_at != 0 ? now - slot->instance.ready_at : 0);
    number(json, "requests", s->served);
    number(json, "memory", s->recycle.memory);
    abl_json_key(json, "leaves_because");
    if (leave > ABL_LEAVE_NOT && leave <= ABL_LEAVE_STOP) {
        abl_json_text(json, abl_leave_name(leave));
    } else {
        abl_json_null(json);
    }
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
    number(json, "instance", (uint64_t)death->slot + 1);
    number(json, "pid", (uint64_t)death->pid);
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

static void write_app(abl_json_t *json, const abl_board_app_t *row, int64_t now)
{
    int i, n = row->fleet.n;

    abl_json_open(json, '{');
    text(json, "balancer", row->balancer, sizeof(row->balancer));
    text(json, "name", row->name, sizeof(row->name));
    flag(json, "removed", row->gone_at != 0);
    flag(json, "failed", row->fleet.failed);
    flag(json, "rolling", n >= 0 && n <= ABL_SLOTS_OF_APP_MAX && abl_fleet_is_rolling(&row->fleet));
    number(json, "wanted", (uint64_t)abl_fleet_wanted(&row->fleet, &row->conf));
    number(json, "starts", row->starts);
    number(json, "failures", row->failures);
    abl_json_key(json, "instances");
    abl_json_open(json, '[');
    for (i = 0; i < n && i < ABL_SLOTS_OF_APP_MAX; i++) {
        write_instance(json, row, i, now);
    }
    abl_json_close(json, ']');
    write_blocked(json, row, now);
    write_death(json, &row->last_failure, now);
    abl_json_close(json, '}');
}

void abl_status_apps(abl_json_t *json)
{
    abl_board_t *board = abl_supervision_board();
    int64_t now = abl_clock_now();
    int i;

    if (board != NULL) {
        number(json, "control", (uint64_t)atomic_load(abl_board_control(board)));
    }
    abl_json_key(json, "applications");
    abl_json_open(json, '[');
    for (i = 0; board != NULL && i < ABL_APPS_MAX; i++) {
        const abl_board_app_t *row = abl_board_app(board, i);
        if (row->name[0] != '\0') {
            write_app(json, row, now);
        }
    }
    abl_json_close(json, ']');
}
