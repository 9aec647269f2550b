/* SPDX-License-Identifier: Apache-2.0
 *
 * Members, for those who look.
 */
#include "httpd/status_member.h"

#include "base/clock.h"

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

const char *abl_status_name(abl_status_t status)
{
    static const char *const names[] = {[ABL_STATUS_ON] = "on",
                                        [ABL_STATUS_SPARE] = "spare",
                                        [ABL_STATUS_BACKUP] = "backup",
                                        [ABL_STATUS_DRAIN] = "drain",
                                        [ABL_STATUS_DISABLED] = "disabled"};

    return names[status];
}

/* ---- its state -------------------------------------------------------------------------------------- */

typedef enum state_t {
    REMOVED,
    DISABLED,
    AWAY,
    EJECTED,
    UNFIT,
    UNPROVEN,
    DRAINING,
    STARTING,
    FULL,
    SPARE,
    BACKUP,
    UP,
    UNUSED
} state_t;

static state_t state_of(const abl_member_view_t *m)
{
    const struct {
        bool is;
        state_t state;
    } states[] = {
        {m->removed, REMOVED},
        {m->status == ABL_STATUS_DISABLED, DISABLED},
        {m->away, AWAY},
        {m->ejected, EJECTED},
        {m->unfit, UNFIT},
        {m->unproven, UNPROVEN},
        {m->draining || m->status == ABL_STATUS_DRAIN, DRAINING},
        {m->unreachable, m->supervised ? UNUSED : STARTING},
        {m->concurrency != 0 && m->busy >= m->concurrency, FULL},
        {m->status == ABL_STATUS_SPARE, SPARE},
        {m->status == ABL_STATUS_BACKUP, BACKUP},
        {true, UP},
    };
    int i = 0;

    while (!states[i].is) {
        i++;
    }
    return states[i].state;
}

const char *abl_status_state(const abl_member_view_t *member)
{
    static const char *const words[] = {[REMOVED] = "removed",
                                        [DISABLED] = "disabled",
                                        [AWAY] = "away",
                                        [EJECTED] = "ejected",
                                        [UNFIT] = "unfit",
                                        [UNPROVEN] = "unproven",
                                        [DRAINING] = "draining",
                                        [STARTING] = "starting",
                                        [FULL] = "full",
                                        [SPARE] = "spare",
                                        [BACKUP] = "backup",
                                        [UNUSED] = "unused",
                                        [UP] = "up"};

    return words[state_of(member)];
}

bool abl_status_is_up(const abl_member_view_t *m)
{
    return !m->removed && !m->away && !m->ejected && !m->unfit && !m->unproven && !m->unreachable &&
           m->status != ABL_STATUS_DISABLED;
}

/* ---- and why ---------------------------------------------------------------------------------------- */

static const char *why_ejected(const abl_member_view_t *m, char *buffer, size_t room)
{
    long left = m->ejected_for > 0 ? (long)((m->ejected_for + ABL_SECOND - 1) / ABL_SECOND) : 0;

    if (m->by_hand) {
        (void)snprintf(buffer, room, "ejected %s; again in %ld s", m->notes[ABL_NOTE_OF_REST], left);
    } else if (m->by_wish) {
        (void)snprintf(buffer, room, "it has asked to be left alone (Retry-After); again in %ld s", left);
    } else if (m->by_rate) {
        (void)snprintf(buffer, room, "%u %% of its requests have failed; again in %ld s", m->fails, left);
    } else {
        (void)snprintf(buffer, room, "%u failures in a row; again in %ld s", m->fails, left);
    }
    return buffer;
}

static const char *why_away(const abl_member_view_t *m, char *buffer, size_t room)
{
    char error[128];

    (void)snprintf(buffer, room, "cannot connect: %s", apr_strerror(m->error, error, sizeof(error)));
    return buffer;
}

/* What somebody has done to it, or the configuration. */
static const char *by_whom(const abl_member_view_t *m, const char *what, char *buffer, size_t room)
{
    const char *note = m->notes[ABL_NOTE_OF_STATUS];

    (void)snprintf(buffer, room, "%s %s", what, note[0] != '\0' ? note : "in the configuration");
    return buffer;
}

/* Of a member that is used. */
static const char *why_so(const abl_member_view_t *m, char *buffer, size_t room)
{
    const char *rest = m->notes[ABL_NOTE_OF_REST], *status = m->notes[ABL_NOTE_OF_STATUS];

    if (m->share < 100) {
        (void)snprintf(buffer, room, "it starts slowly: %u %% by now", m->share);
        return buffer;
    }
    if (rest[0] == '\0' && status[0] == '\0') {
        return NULL;
    }
    (void)snprintf(buffer, room, "%s %s", m->added ? "added" : "changed", rest[0] != '\0' ? rest : status);
    return buffer;
}

const char *abl_status_why(const abl_member_view_t *m, char *buffer, size_t room)
{
    switch (state_of(m)) {
    case REMOVED:
        return "not in the configuration any more: it finishes the requests that it has";
    case DISABLED:
        return by_whom(m, "disabled", buffer, room);
    case AWAY:
        return why_away(m, buffer, room);
    case EJECTED:
        return why_ejected(m, buffer, room);
    case UNFIT:
        (void)snprintf(buffer, room, "its checks fail%s%s", m->nfailures > 0 ? ": " : "",
                       m->nfailures > 0 ? m->last[0].why : "");
        return buffer;
    case UNPROVEN:
        return "no check has passed yet";
    case DRAINING:
        return by_whom(m, "drained", buffer, room);
    case UNUSED:
        return "no instance of its application is at this address";
    case STARTING:
        return "its name is being looked up";
    case FULL:
        (void)snprintf(buffer, room, "all of its %u places are taken", m->concurrency);
        return buffer;
    default:
        return why_so(m, buffer, room);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

void abl_status_percentiles(abl_json_t *json, const char *name, const apr_uint32_t values[3],
                            apr_uint32_t nothing)
{
    static const char *const names[] = {"p50", "p90", "p99"};
    int i;

    abl_json_begin(json, name, '{');
    for (i = 0; i < 3; i++) {
        if (values[i] == nothing) {
            abl_json_put_null(json, names[i]);
        } else {
            abl_json_put_millis(json, names[i], values[i]);
        }
    }
    abl_json_close(json, '}');
}

/* What is written, and whether a field may be left out that has its usual value. */
typedef struct fields_t {
    abl_json_t *json;
    bool brief;
} fields_t;

static void put_number(const fields_t *f, const char *name, uint64_t value, uint64_t usual)
{
    if (!f->brief || value != usual) {
        abl_json_put_number(f->json, name, value);
    }
}

/* A weight's is 1.00. */
static void put_hundredths(const fields_t *f, const char *name, uint32_t value)
{
    if (!f->brief || value != 100) {
        abl_json_key(f->json, name);
        abl_json_hundredths(f->json, value);
    }
}

static void put_bool(const fields_t *f, const char *name, bool value)
{
    if (!f->brief || value) {
        abl_json_put_bool(f->json, name, value);
    }
}

/* Both may be NULL. */
static void put_text(const fields_t *f, const char *name, const char *value, const char *usual)
{
    bool same = value == NULL || usual == NULL ? value == usual : strcmp(value, usual) == 0;

    if (!f->brief || !same) {
        abl_json_put_text(f->json, name, value);
    }
}

/* Where a name is, or an added member. */
static void write_site(abl_json_t *json, const abl_site_t *site)
{
    char address[ABL_IP_TEXT];
    int i;

    abl_json_begin(json, "at", '[');
    for (i = 0; i < site->n; i++) {
        abl_json_text(json, abl_ip_text(&site->ips[i], address));
    }
    abl_json_close(json, ']');
}

static void write_configured(const fields_t *f, const abl_member_view_t *m)
{
    if (f->brief && m->conf_status == ABL_STATUS_ON && m->conf_weight == 100 && m->conf_concurrency == 0) {
        return;
    }
    abl_json_begin(f->json, "configured", '{');
    abl_json_put_text(f->json, "status", abl_status_name(m->conf_status));
    abl_json_key(f->json, "weight");
    abl_json_hundredths(f->json, m->conf_weight);
    abl_json_put_number(f->json, "concurrency", m->conf_concurrency);
    abl_json_close(f->json, '}');
}

static void write_steered(const fields_t *f, const abl_member_view_t *m)
{
    if (f->brief && m->steered == 0 && !m->draining) {
        return;
    }
    abl_json_begin(f->json, "steered", '[');
    if ((m->steered & ABL_STEERED_STATUS) || m->draining) {
        abl_json_text(f->json, "status");
    }
    if (m->steered & ABL_STEERED_WEIGHT) {
        abl_json_text(f->json, "weight");
    }
    if (m->steered & ABL_STEERED_LIMIT) {
        abl_json_text(f->json, "concurrency");
    }
    abl_json_close(f->json, ']');
}

static void write_failures(const fields_t *f, const abl_member_view_t *m, int64_t now)
{
    char why[ABL_FAILURE_WHY + 160], error[128];
    int i;

    if (f->brief && m->nfailures == 0) {
        return;
    }
    abl_json_begin(f->json, "last_failures", '[');
    for (i = 0; i < m->nfailures; i++) {
        const abl_failure_t *last = &m->last[i];
        abl_json_open(f->json, '{');
        abl_json_put_millis(f->json, "ago_ms", now - last->at);
        (void)snprintf(why, sizeof(why), "%s%s%s", last->why, last->error != 0 ? ": " : "",
                       last->error != 0 ? apr_strerror(last->error, error, sizeof(error)) : "");
        abl_json_put_text(f->json, "why", why);
        abl_json_close(f->json, '}');
    }
    abl_json_close(f->json, ']');
}

static void write_times(const fields_t *f, const abl_member_view_t *m)
{
    if (m->latency != 0) {
        abl_json_put_millis(f->json, "latency_ms", (int64_t)m->latency);
    } else if (!f->brief) {
        abl_json_put_null(f->json, "latency_ms");
    }
    if (!f->brief || m->percentiles[0] != 0 || m->percentiles[1] != 0 || m->percentiles[2] != 0) {
        abl_status_percentiles(f->json, "percentiles_ms", m->percentiles, 0);
    }
}

static void write_figures(const fields_t *f, const abl_member_view_t *m)
{
    put_number(f, "set", (uint64_t)m->set, 0);
    put_hundredths(f, "weight", m->weight);
    put_number(f, "share", m->share, 100);
    put_number(f, "concurrency", m->concurrency, 0);
    put_number(f, "busy", m->busy, 0);
    put_number(f, "queued", m->queued, 0);
    put_number(f, "requests", m->requests, 0);
    put_number(f, "failures", m->failures, 0);
    put_number(f, "bytes", m->bytes, 0);
    write_times(f, m);
}

static void write_flags(const fields_t *f, const abl_member_view_t *m)
{
    put_bool(f, "added", m->added);
    put_bool(f, "supervised", m->supervised);
    put_bool(f, "away", m->away);
    put_bool(f, "unfit", m->unfit);
    put_bool(f, "unproven", m->unproven);
    put_bool(f, "ejected", m->ejected);
    if (!f->brief || m->ejected_for != 0) {
        abl_json_put_millis(f->json, "ejected_for_ms", m->ejected_for);
    }
    put_bool(f, "draining", m->draining);
    put_bool(f, "removed", m->removed);
}

void abl_status_member(abl_json_t *json, const abl_member_view_t *m, int64_t now, bool brief)
{
    const fields_t f = {.json = json, .brief = brief};
    char why[ABL_NOTE_MAX + 80];

    abl_json_open(json, '{');
    abl_json_put_text(json, "address", m->address);
    abl_json_put_text(json, "route", m->route);
    if (m->named) {
        write_site(json, &m->site);
    }
    put_text(&f, "state", abl_status_state(m), "up");
    put_text(&f, "why", abl_status_why(m, why, sizeof(why)), NULL);
    put_text(&f, "status", abl_status_name(m->draining ? ABL_STATUS_DRAIN : m->status), "on");
    write_figures(&f, m);
    write_configured(&f, m);
    write_steered(&f, m);
    write_flags(&f, m);
    write_failures(&f, m, now);
    abl_json_close(json, '}');
}
