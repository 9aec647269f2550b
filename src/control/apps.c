/* SPDX-License-Identifier: Apache-2.0
 *
 * From the lines of the configuration to rows of the board.
 */
#include "control/apps.h"

#include "base/clock.h"
#include "base/hash.h"
#include "control/say.h"
#include "control/supervise.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t hash, const char *text)
{
    return (hash ^ abl_hash_text(text != NULL ? text : "")) * UINT64_C(0x100000001b3);
}

/* Changes when an instance would be made differently. */
static uint64_t fingerprint(const abl_app_conf_t *line)
{
    uint64_t hash = mix((uint64_t)line->place, line->dir);
    int i;

    for (i = 0; line->argv[i] != NULL; i++) {
        hash = mix(hash, line->argv[i]);
    }
    for (i = 0; line->env[i] != NULL; i++) {
        hash = mix(hash + 1, line->env[i]);
    }
    for (i = 0; i < line->nlimits; i++) {
        hash = mix(hash ^ line->limits[i].value, "limit") + (uint64_t)line->limits[i].resource;
    }
    hash = mix(hash ^ line->uid, "uid");
    hash = mix(hash ^ line->gid, "gid");
    hash = mix(hash ^ (uint64_t)line->umask, "umask");
    return mix(hash ^ (uint64_t)line->nice, "nice");
}

static bool is_called(const abl_board_app_t *row, const abl_app_conf_t *line)
{
    return strcmp(row->name, line->name) == 0 && strcmp(row->balancer, line->balancer) == 0;
}

/* There may be more of them now, or fewer. */
static bool has_same_slots(const abl_board_app_t *row, const abl_app_conf_t *line)
{
    int i = 0;

    while (i < row->fleet.n && i < line->nslots && strcmp(row->slots[i].address, line->addresses[i]) == 0) {
        i++;
    }
    return i == row->fleet.n || i == line->nslots;
}

static void set_text(char *to, size_t room, const char *text)
{
    size_t len = strlen(text);

    len = len < room ? len : room - 1;
    memcpy(to, text, len);
    to[len] = '\0';
}

static void add_slots(abl_board_app_t *row, const abl_app_conf_t *line)
{
    int i;

    for (i = row->fleet.n; i < line->nslots; i++) {
        memset(&row->fleet.slots[i], 0, sizeof(row->fleet.slots[i]));
        memset(&row->slots[i], 0, sizeof(row->slots[i]));
        set_text(row->slots[i].address, sizeof(row->slots[i].address), line->addresses[i]);
    }
    row->fleet.n = i; /* last: now they count */
}

static void begin_row(abl_board_app_t *row, const abl_app_conf_t *line)
{
    memset(row, 0, sizeof(*row));
    add_slots(row, line);
    row->fingerprint = fingerprint(line);
    set_text(row->balancer, sizeof(row->balancer), line->balancer);
    set_text(row->name, sizeof(row->name), line->name); /* last: now it is not free any more */
}

static abl_supervised_t *add_app(abl_apps_t *apps, int i)
{
    abl_supervised_t *app = calloc(1, sizeof(*app));

    if (app == NULL) {
        return NULL;
    }
    app->index = i;
    app->board = apps->board;
    app->segment = apps->segment;
    app->child = apps->child;
    app->watch = apps->watch;
    app->record = apps->record;
    app->row = abl_board_app(app->board, i);
    apps->apps[i] = app;
    return app;
}

static void remove_app(abl_supervised_t *app)
{
    app->conf = NULL;
    (void)abl_log_open(&app->log, NULL);
    app->row->gone_at = app->row->gone_at != 0 ? app->row->gone_at : abl_clock_now();
    abl_supervise_look(app);
}

/* The application that this line is about; NULL: there is none yet. One whose addresses have changed is
 * another; one that was about to go stays. */
static abl_supervised_t *find_app(abl_apps_t *apps, const abl_app_conf_t *line)
{
    int i;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (apps->apps[i] != NULL && is_called(apps->apps[i]->row, line)) {
            if (has_same_slots(apps->apps[i]->row, line)) {
                apps->apps[i]->row->gone_at = 0;
                return apps->apps[i];
            }
            remove_app(apps->apps[i]);
        }
    }
    return NULL;
}

static abl_supervised_t *new_app(abl_apps_t *apps, const abl_app_conf_t *line)
{
    int i = 0;

    while (i < ABL_APPS_MAX && apps->apps[i] != NULL) {
        i++;
    }
    if (i == ABL_APPS_MAX) {
        if (!apps->left_out_said) {
            abl_say(
                ABL_SAY_WARNING, 0,
                "ABL0040: application %s: there are more than %d applications, with those that still end; it "
                "begins when one of these has ended",
                line->name, ABL_APPS_MAX);
        }
        apps->left_out = true;
        apps->left_out_said = true;
        return NULL;
    }
    begin_row(abl_board_app(apps->board, i), line);
    return add_app(apps, i);
}

static void open_log(abl_supervised_t *app)
{
    apr_status_t rv = abl_log_open(&app->log, app->conf->log);

    if (rv != APR_SUCCESS) {
        abl_say(ABL_SAY_ERROR, rv,
                "ABL0041: application %s: log=%s cannot be opened; what it says goes to the error log",
                app->row->name, app->conf->log);
    }
}

static void apply_line(abl_apps_t *apps, const abl_app_conf_t *line)
{
    abl_supervised_t *app = find_app(apps, line);
    bool known = app != NULL;

    app = known ? app : new_app(apps, line);
    if (app == NULL) {
        return;
    }
    app->conf = line;
    app->row->conf = line->fleet;
    app->row->memory = line->recycle.memory;
    add_slots(app->row, line);
    abl_supervise_use(app, line->nslots);
    open_log(app);
    if (app->row->restart_path_hash != abl_hash_text(line->restart_file)) {
        app->row->restart_path_hash = abl_hash_text(line->restart_file);
        app->row->restart_mtime = 0;
    }
    if (known && app->row->fingerprint != fingerprint(line)) {
        abl_supervise_roll(app, "its line in the configuration has changed");
        app->row->fingerprint = fingerprint(line); /* last: who is killed before that leaves it to do again */
    }
}

void abl_apps_configure(abl_apps_t *apps)
{
    int i;

    apps->left_out = false;
    apps->left_out_said = false;
    abl_segment_renew(apps->child);
    apps->conf = abl_board_take(apps->board);
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (apps->apps[i] != NULL) {
            apps->apps[i]->conf = NULL; /* what it was is not readable any more */
        }
    }
    for (i = 0; i < apps->conf.n; i++) {
        apply_line(apps, &apps->conf.apps[i]);
    }
    for (i = 0; i < ABL_APPS_MAX; i++) {
        if (apps->apps[i] != NULL && apps->apps[i]->conf == NULL) {
            remove_app(apps->apps[i]);
        }
    }
}

static bool has_app(const abl_apps_t *apps, const abl_app_conf_t *line)
{
    int i = 0;

    while (i < ABL_APPS_MAX && (apps->apps[i] == NULL || apps->apps[i]->conf != line)) {
        i++;
    }
    return i < ABL_APPS_MAX;
}

/* As many as there are rows for now. */
static void apply_left_out(abl_apps_t *apps)
{
    int i;

    apps->left_out = false;
    for (i = 0; i < apps->conf.n && !apps->left_out; i++) {
        if (!has_app(apps, &apps->conf.apps[i])) {
            apply_line(apps, &apps->conf.apps[i]);
        }
    }
}

int abl_apps_take_over(abl_apps_t *apps)
{
    int i, running = 0;

    for (i = 0; i < ABL_APPS_MAX; i++) {
        const abl_board_app_t *row = abl_board_app(apps->board, i);
        if (row->name[0] != '\0' && add_app(apps, i) != NULL) {
            abl_supervise_take_over(apps->apps[i]);
            running += row->fleet.n - abl_fleet_count(&row->fleet, ABL_INSTANCE_NONE);
        }
    }
    return running;
}

void abl_apps_drop(abl_apps_t *apps, int i)
{
    abl_supervised_t *app = apps->apps[i];

    abl_supervise_end(app);
    memset(app->row, 0, sizeof(*app->row));
    free(app);
    apps->apps[i] = NULL;
    if (apps->left_out) {
        apply_left_out(apps);
    }
}
