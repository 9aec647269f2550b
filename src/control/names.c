/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, asked for again and again. A round begins with one question; that for SRV records has one more for
 * each of their targets, and when the last is answered the round is over: what it has found is settled
 * (settling.c), and the next one is due when its shortest answer is too old.
 */
#include "control/names.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/index.h"
#include "control/say.h"
#include "control/settling.h"
#include "control/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN ABL_SECOND
#define PAUSE_MAX (30 * ABL_SECOND) /* between two attempts at a name that cannot be found */
#define SPREAD_MAX (ABL_SECOND / 2) /* so that those of one moment do not stay together for ever */

typedef struct name_t name_t;

/* A record, and the addresses of its target. */
typedef struct target_t {
    name_t *name;
    abl_srv_t record;
    uint64_t id;
    int n;
    abl_ip_t ips[ABL_ADDRESSES_MAX];
} target_t;

struct name_t {
    abl_names_t *names;
    uint64_t key;    /* of balancer and text */
    bool configured; /* the configuration has it still */
    abl_settling_t settling;
    bool under_way; /* a round is */
    bool warned;    /* that it cannot be found */
    int64_t due;    /* the next round */
    int64_t pause;  /* after a failure; 0: the last one was none */
    uint32_t ttl;   /* of this round so far, seconds */
    int ntargets, unanswered;
    target_t *targets; /* of this round; owned */
    name_t *next;
};

struct abl_names_t {
    abl_segment_t *segment;
    const abl_child_t *child;
    abl_resolver_t *resolver;
    name_t *first;
    abl_index_t index; /* for abl_names_configure() */
    bool asked;        /* something that the resolver has not looked at */
};

abl_names_t *abl_names_begin(abl_segment_t *segment, const abl_child_t *child,
                             const abl_resolver_watch_t *watch)
{
    abl_names_t *names = calloc(1, sizeof(*names));

    if (names != NULL) {
        names->segment = segment;
        names->child = child;
        names->resolver = abl_resolver_create(watch);
    }
    if (names != NULL && names->resolver == NULL) {
        free(names);
        return NULL;
    }
    return names;
}

/* ---- the end of a round ----------------------------------------------------------------------------- */

static void end_round(name_t *name, int64_t pause)
{
    int64_t spread = pause / 10 < SPREAD_MAX ? pause / 10 : SPREAD_MAX;

    free(name->targets);
    name->targets = NULL;
    name->under_way = false;
    name->due = abl_clock_now() + pause + random() % (spread + 1);
}

static void succeed(name_t *name)
{
    const abl_name_conf_t *conf = &name->settling.conf;
    uint32_t ttl = name->ttl < ABL_NAME_TTL_MIN ? ABL_NAME_TTL_MIN : name->ttl;

    ttl = ttl < ABL_NAME_TTL_MAX ? ttl : ABL_NAME_TTL_MAX;
    name->warned = false;
    name->pause = 0;
    end_round(name, conf->resolve > 0 ? conf->resolve : ttl * ABL_SECOND);
    if (conf->resolve == ABL_RESOLVE_ONCE) {
        name->due = INT64_MAX;
    }
}

/* What is known from before, or else nobody. */
static void fail(name_t *name, const char *why)
{
    const abl_name_conf_t *conf = &name->settling.conf;

    if (!name->settling.answered) {
        abl_settling_vacate(&name->settling);
    }
    if (!name->warned) {
        abl_say(
            ABL_SAY_WARNING, 0,
            name->settling.answered
                ? "ABL0302: balancer %s: %s cannot be looked up: %s; what was found last is used until it can"
                : "ABL0300: balancer %s: %s cannot be found: %s; it is left out until it can, and looked up "
                  "again and again",
            conf->balancer, conf->text, why);
    }
    name->warned = true;
    name->pause = name->pause == 0 ? PAUSE_MIN : name->pause * 2 < PAUSE_MAX ? name->pause * 2 : PAUSE_MAX;
    end_round(name, name->pause);
}

static void found_again(const name_t *name)
{
    const abl_name_conf_t *conf = &name->settling.conf;

    if (name->warned && name->settling.answered) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0307: balancer %s: %s can be looked up again", conf->balancer,
                conf->text);
    }
}

static void note_ttl(name_t *name, const abl_found_t *found)
{
    name->ttl = found->ttl < name->ttl ? found->ttl : name->ttl;
}

/* ---- addresses -------------------------------------------------------------------------------------- */

/* What would be written for exactly this one. */
static uint64_t id_of(const abl_name_conf_t *conf, const char *host_port)
{
    char text[ABL_ADDRESS_MAX + ABL_TARGET_MAX + 16];

    (void)snprintf(text, sizeof(text), "%s://%s%s", conf->scheme, host_port, conf->path);
    return abl_hash_text(text);
}

static void found_hosts(name_t *name, const abl_found_t *found)
{
    const abl_name_conf_t *conf = &name->settling.conf;
    static abl_ip_t ips[ABL_FOUND_MAX]; /* one thread */
    static abl_occupant_t slots[ABL_FOUND_MAX];
    char text[ABL_IP_TEXT];
    int i;

    for (i = 0; i < found->n; i++) {
        ips[i] = found->ips[i];
        ips[i].port = conf->port;
        slots[i] = (abl_occupant_t){.n = 1};
        slots[i].ips[0] = ips[i];
        slots[i].id = id_of(conf, abl_ip_text(&ips[i], text));
    }
    found_again(name);
    if (conf->slots == 0) {
        abl_settling_hosts(&name->settling, ips, found->n, name->warned);
    } else {
        abl_settling_slots(&name->settling, slots, found->n, name->warned);
    }
    succeed(name);
}

/* ---- SRV records ------------------------------------------------------------------------------------ */

/* Where it was before; n = 0: it was not. */
static void use_last(target_t *target)
{
    const abl_settling_t *s = &target->name->settling;
    int i = 0;

    while (i < s->n && s->found[i].id != target->id) {
        i++;
    }
    target->n = i < s->n ? s->found[i].n : 0;
    if (target->n > 0) {
        memcpy(target->ips, s->found[i].ips, sizeof(target->ips));
    }
}

/* Those whose address is known, those with a lower priority first. */
static int collect(name_t *name, abl_weighed_t *weighed, const target_t **from)
{
    int i, j, n = 0;

    for (i = 0; i < name->ntargets; i++) {
        const target_t *t = &name->targets[i];
        if (t->n == 0) {
            continue;
        }
        for (j = n++; j > 0 && weighed[j - 1].priority > t->record.priority; j--) {
            weighed[j] = weighed[j - 1];
            from[j] = from[j - 1];
        }
        weighed[j] = (abl_weighed_t){.priority = t->record.priority, .weight = t->record.weight};
        from[j] = t;
    }
    abl_slots_weigh(weighed, n, name->settling.conf.set, ABL_SETS_MAX);
    return n;
}

static void found_targets(name_t *name)
{
    static abl_weighed_t weighed[ABL_FOUND_MAX];
    static const target_t *from[ABL_FOUND_MAX];
    static abl_occupant_t slots[ABL_FOUND_MAX];
    int i, n = collect(name, weighed, from);

    if (n == 0) {
        fail(name, "the targets of its SRV records have no address");
        return;
    }
    for (i = 0; i < n; i++) {
        slots[i] = (abl_occupant_t){
            .id = from[i]->id, .n = from[i]->n, .weight = weighed[i].share, .set = weighed[i].set};
        memcpy(slots[i].ips, from[i]->ips, sizeof(slots[i].ips));
    }
    found_again(name);
    abl_settling_slots(&name->settling, slots, n, name->warned);
    succeed(name);
}

static void on_target(void *ctx, const abl_found_t *found)
{
    target_t *target = ctx;

    use_last(target);
    if (found->as == ABL_FOUND) {
        abl_ip_t ips[ABL_FOUND_MAX];
        int i;
        for (i = 0; i < found->n; i++) {
            ips[i] = found->ips[i];
            ips[i].port = target->record.port;
        }
        target->n = abl_slots_merge(target->ips, target->n, ips, found->n);
        note_ttl(target->name, found);
    } else {
        target->name->ttl = 0; /* soon again */
    }
    if (--target->name->unanswered == 0) {
        found_targets(target->name);
    }
}

static bool has_target(const name_t *name, const abl_srv_t *record)
{
    int i = 0;

    while (i < name->ntargets && (name->targets[i].record.port != record->port ||
                                  strcmp(name->targets[i].record.target, record->target) != 0)) {
        i++;
    }
    return i < name->ntargets;
}

static void add_target(name_t *name, const abl_srv_t *record)
{
    char host_port[ABL_TARGET_MAX + 8];
    target_t *target = &name->targets[name->ntargets++];

    target->name = name;
    target->record = *record;
    (void)snprintf(host_port, sizeof(host_port), "%s:%u", record->target, record->port);
    target->id = id_of(&name->settling.conf, host_port);
}

/* Families that are known of a host or target, so that no half of an answer is taken for all of it. */
static unsigned families_of(const abl_ip_t *ips, int n)
{
    unsigned families = 0;

    for (; n > 0; n--) {
        families |= ips[n - 1].family == 4 ? ABL_FAMILY_4 : ABL_FAMILY_6;
    }
    return families;
}

static void ask_for_targets(name_t *name)
{
    int i;

    name->unanswered = name->ntargets;
    for (i = 0; i < name->ntargets; i++) {
        target_t *target = &name->targets[i];
        use_last(target);
        abl_resolver_ask(name->names->resolver, target->record.target, false,
                         families_of(target->ips, target->n), on_target, target);
    }
    name->names->asked = true;
}

static void found_records(name_t *name, const abl_found_t *found)
{
    int i;

    name->ntargets = 0;
    name->targets = calloc((size_t)found->n, sizeof(*name->targets));
    if (name->targets == NULL) {
        fail(name, "there is no memory left");
        return;
    }
    for (i = 0; i < found->n; i++) {
        if (!has_target(name, &found->records[i])) {
            add_target(name, &found->records[i]);
        }
    }
    ask_for_targets(name);
}

/* ---- the beginning of a round ----------------------------------------------------------------------- */

static void on_answer(void *ctx, const abl_found_t *found)
{
    name_t *name = ctx;

    if (found->as != ABL_FOUND) {
        fail(name, found->why);
        return;
    }
    note_ttl(name, found);
    if (name->settling.conf.records) {
        found_records(name, found);
    } else {
        found_hosts(name, found);
    }
}

static void ask(name_t *name)
{
    const abl_settling_t *s = &name->settling;
    unsigned had = 0;
    int i;

    for (i = 0; i < s->n && !s->conf.records; i++) {
        had |= families_of(s->found[i].ips, s->found[i].n);
    }
    name->under_way = true;
    name->ttl = UINT32_MAX;
    name->names->asked = true;
    abl_resolver_ask(name->names->resolver, s->conf.host, s->conf.records, had, on_answer, name);
}

/* ---- the configuration ------------------------------------------------------------------------------ */

static uint64_t key_of(const abl_name_conf_t *conf)
{
    return abl_hash_text(conf->balancer) ^ (abl_hash_text(conf->text) << 1);
}

static void add(abl_names_t *names, const abl_name_conf_t *conf)
{
    name_t *name = calloc(1, sizeof(*name));
    bool pending;

    if (name == NULL) {
        return;
    }
    name->names = names;
    name->key = key_of(conf);
    name->configured = true;
    name->settling = (abl_settling_t){.segment = names->segment, .child = names->child, .conf = *conf};
    if (!abl_settling_begin(&name->settling, &pending)) {
        free(name);
        return;
    }
    if (conf->resolve == ABL_RESOLVE_ONCE && name->settling.answered && !pending) {
        name->due = INT64_MAX;
    }
    name->next = names->first;
    names->first = name;
}

/* Its rows have what they had, unless the configuration has brought them anew. */
static void keep(name_t *name, const abl_name_conf_t *conf)
{
    bool again = conf->set != name->settling.conf.set || conf->resolve != name->settling.conf.resolve;

    name->configured = true;
    name->settling.conf = *conf;
    abl_settling_again(&name->settling);
    if (again && !name->under_way) {
        name->due = 0;
    }
}

static void drop(name_t *name)
{
    int i;

    abl_resolver_forget(name->names->resolver, name);
    for (i = 0; i < name->ntargets && name->targets != NULL; i++) {
        abl_resolver_forget(name->names->resolver, &name->targets[i]);
    }
    abl_settling_end(&name->settling);
    free(name->targets);
    free(name);
}

static void drop_others(abl_names_t *names)
{
    name_t **link = &names->first;

    while (*link != NULL) {
        name_t *name = *link;
        if (name->configured) {
            link = &name->next;
        } else {
            *link = name->next;
            drop(name);
        }
    }
}

/* The names that are there, by their keys; none is configured until it is found again. */
static void index_names(const abl_names_t *names, abl_index_t *index)
{
    name_t *name;
    int n = 0;

    for (name = names->first; name != NULL; name = name->next) {
        n++;
    }
    (void)abl_index_begin(index, n);
    for (name = names->first; name != NULL; name = name->next) {
        name->configured = false;
        abl_index_add(index, name->key, name);
    }
}

void abl_names_configure(abl_names_t *names, const abl_board_conf_t *conf)
{
    int i;

    abl_resolver_configure(names->resolver, &conf->resolver);
    index_names(names, &names->index);
    for (i = 0; i < conf->nnames; i++) {
        name_t *name = abl_index_find(&names->index, key_of(&conf->names[i]));
        if (name != NULL && name->settling.conf.slots == conf->names[i].slots) {
            keep(name, &conf->names[i]);
        } else {
            add(names,
                &conf->names[i]); /* of the same name with other slots the older one is not configured */
        }
    }
    drop_others(names);
}

/* ---- its life --------------------------------------------------------------------------------------- */

void abl_names_ready(abl_names_t *names, int fd, bool for_read, bool for_write)
{
    abl_resolver_ready(names->resolver, fd, for_read, for_write);
}

static int64_t ask_due(abl_names_t *names, int64_t now)
{
    int64_t next = INT64_MAX;
    name_t *name;

    for (name = names->first; name != NULL; name = name->next) {
        if (!name->under_way && name->due <= now) {
            ask(name);
        }
        if (!name->under_way && name->due < next) {
            next = name->due;
        }
    }
    return next;
}

int64_t abl_names_work(abl_names_t *names, int64_t now)
{
    int64_t next, resolver = INT64_MAX;

    do { /* answers that are there at once may lead to further questions */
        (void)ask_due(names, now);
        names->asked = false;
        resolver = abl_resolver_work(names->resolver, now);
    } while (names->asked);
    next = ask_due(names, INT64_MIN);
    return resolver < next ? resolver : next;
}
