/* SPDX-License-Identifier: Apache-2.0
 *
 * Who comes is let in before who goes is let out, so that nobody who waits finds the house empty.
 */
#include "control/settling.h"

#include "base/hash.h"
#include "control/say.h"
#include "control/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTED_MAX 8 /* addresses in one line of the log */
#define IPS_MAX (ABL_NAME_SLOTS_MAX * ABL_ADDRESSES_MAX)

/* Addresses of all rows of a name. */
typedef struct crowd_t {
    int n;
    abl_ip_t ips[IPS_MAX];
} crowd_t;

static int slots_of(const abl_settling_t *s)
{
    return s->conf.slots > 0 ? s->conf.slots : 1;
}

/* `address` holds the text that the gate points at. */
static abl_gate_t gate_of(const abl_settling_t *s, int slot, char address[ABL_ADDRESS_MAX + 1])
{
    if (s->conf.slots > 0) {
        (void)snprintf(address, ABL_ADDRESS_MAX + 1, "%s#%d", s->conf.text, slot + 1);
    } else {
        (void)snprintf(address, ABL_ADDRESS_MAX + 1, "%s", s->conf.text);
    }
    return (abl_gate_t){s->segment, s->child, s->conf.balancer, address};
}

static bool look(const abl_settling_t *s, int slot, abl_site_view_t *view)
{
    char address[ABL_ADDRESS_MAX + 1];
    abl_gate_t gate = gate_of(s, slot, address);

    return abl_site_look(&gate, view);
}

static void settle(const abl_settling_t *s, int slot, const abl_occupant_t *who)
{
    char address[ABL_ADDRESS_MAX + 1];
    abl_gate_t gate = gate_of(s, slot, address);

    (void)abl_site_settle(&gate, who);
}

/* ---- beginning and end ------------------------------------------------------------------------------ */

static void note_found(abl_settling_t *s, const abl_site_view_t *view)
{
    abl_occupant_t *who = &s->found[s->n++];

    *who = (abl_occupant_t){.id = view->id, .n = view->site.n, .weight = view->weight, .set = view->set};
    memcpy(who->ips, view->site.ips, sizeof(who->ips));
}

bool abl_settling_begin(abl_settling_t *s, bool *pending)
{
    abl_site_view_t view;
    int i;

    *pending = false;
    s->answered = s->crowded = false;
    s->signature = 0;
    s->n = 0;
    s->found = calloc((size_t)slots_of(s), sizeof(*s->found));
    for (i = 0; s->found != NULL && i < slots_of(s); i++) {
        if (look(s, i, &view) && !view.vacant && !view.pending) {
            note_found(s, &view);
            s->answered = true;
        } else {
            *pending = *pending || view.pending;
        }
    }
    return s->found != NULL;
}

void abl_settling_end(abl_settling_t *s)
{
    free(s->found);
    s->found = NULL;
}

/* ---- what is said ----------------------------------------------------------------------------------- */

static void add_to(crowd_t *crowd, const abl_ip_t *ips, int n)
{
    for (; n > 0 && crowd->n < IPS_MAX; n--) {
        crowd->ips[crowd->n++] = *ips++;
    }
}

static bool is_among(const crowd_t *crowd, const abl_ip_t *ip)
{
    int i = 0;

    while (i < crowd->n && !abl_ip_same(&crowd->ips[i], ip)) {
        i++;
    }
    return i < crowd->n;
}

/* Those of one that are not among the others. Returns how many. */
static int list(const crowd_t *all, const crowd_t *but, char *text, size_t room)
{
    char one[ABL_IP_TEXT];
    size_t used = 0;
    int i, n = 0;

    text[0] = '\0';
    for (i = 0; i < all->n; i++) {
        if (is_among(but, &all->ips[i])) {
            continue;
        }
        if (n++ < LISTED_MAX) {
            used += (size_t)snprintf(text + used, room - used, "%s%s", n > 1 ? ", " : "",
                                     abl_ip_text(&all->ips[i], one));
        }
    }
    if (n > LISTED_MAX) {
        (void)snprintf(text + used, room - used, " and %d more", n - LISTED_MAX);
    }
    return n;
}

static void report(const abl_settling_t *s, const crowd_t *before, const crowd_t *now, bool loud)
{
    char came[LISTED_MAX * (ABL_IP_TEXT + 2) + 32], gone[sizeof(came)];
    int ncame = list(now, before, came, sizeof(came));
    int ngone = list(before, now, gone, sizeof(gone));

    if (ncame + ngone == 0) {
        return;
    }
    if (!s->answered) {
        abl_say(loud ? ABL_SAY_NOTICE : ABL_SAY_INFO, 0, "ABL0301: balancer %s: %s is at %s",
                s->conf.balancer, s->conf.text, came);
        return;
    }
    abl_say(ABL_SAY_NOTICE, 0, "ABL0303: balancer %s: %s: %s%s%s%s%s; %d in all", s->conf.balancer,
            s->conf.text, ncame > 0 ? "new " : "", came, ncame > 0 && ngone > 0 ? "; " : "",
            ngone > 0 ? "gone " : "", gone, now->n);
}

static void say_crowded(abl_settling_t *s, int left_out, int n)
{
    if (left_out > 0 && !s->crowded && s->conf.slots > 0) {
        abl_say(ABL_SAY_WARNING, 0,
                "ABL0304: balancer %s: %s stands for %d members, and expand= allows for %d: %d are left out",
                s->conf.balancer, s->conf.text, n, s->conf.slots, left_out);
    } else if (left_out > 0 && !s->crowded) {
        abl_say(ABL_SAY_WARNING, 0,
                "ABL0305: balancer %s: %s has %d addresses; one member has %d at most, and %d are left out "
                "(with expand= each address is a member of its own)",
                s->conf.balancer, s->conf.text, n, ABL_ADDRESSES_MAX, left_out);
    }
    s->crowded = left_out > 0;
}

/* ---- an answer -------------------------------------------------------------------------------------- */

/* The same for the same addresses in any order. */
static uint64_t sign_hosts(const abl_ip_t *ips, int n)
{
    uint64_t signature = 1;

    for (; n > 0; n--) {
        signature += abl_hash(&ips[n - 1], sizeof(*ips));
    }
    return signature;
}

static uint64_t sign(const abl_occupant_t *found, int n)
{
    uint64_t signature = 1;

    for (; n > 0; n--) {
        const abl_occupant_t *who = &found[n - 1];
        uint64_t words[4] = {who->id, who->weight, (uint64_t)who->set, sign_hosts(who->ips, who->n)};
        signature += abl_hash(words, sizeof(words));
    }
    return signature;
}

void abl_settling_hosts(abl_settling_t *s, const abl_ip_t *ips, int n, bool loud)
{
    static crowd_t before, now; /* one thread, and too large for its stack */
    abl_occupant_t *who = &s->found[0];
    uint64_t signature = sign_hosts(ips, n);

    if (signature == s->signature) {
        return;
    }
    before.n = now.n = 0;
    add_to(&before, who->ips, s->n > 0 ? who->n : 0);
    who->n = abl_slots_merge(who->ips, before.n, ips, n);
    who->late = false; /* it is one member, and was there before */
    add_to(&now, who->ips, who->n);
    s->n = 1;
    s->signature = signature;
    settle(s, 0, who);
    say_crowded(s, n - who->n, n);
    report(s, &before, &now, loud);
    s->answered = true;
}

/* Those who have a slot, and the slot of each. Returns how many. */
static int choose(abl_settling_t *s, const abl_occupant_t *found, int n, crowd_t *before, int *slot_of)
{
    abl_slot_seen_t seen[ABL_NAME_SLOTS_MAX];
    abl_site_view_t view;
    uint64_t ids[256];
    int to[256];
    int i, kept = 0;

    n = n < 256 ? n : 256;
    for (i = 0; i < s->conf.slots; i++) {
        bool known = look(s, i, &view);
        bool there = known && !view.vacant && !view.pending;
        seen[i] = (abl_slot_seen_t){there ? view.id : 0, known && view.busy > 0};
        add_to(before, view.site.ips, there ? view.site.n : 0);
    }
    for (i = 0; i < n; i++) {
        ids[i] = found[i].id;
    }
    say_crowded(s, abl_slots_assign(seen, s->conf.slots, ids, n, to), n);
    for (i = 0; i < n; i++) {
        if (to[i] >= 0) {
            s->found[kept] = found[i];
            slot_of[kept++] = to[i];
        }
    }
    return kept;
}

static void fill_slots(abl_settling_t *s, const int *slot_of)
{
    bool taken[ABL_NAME_SLOTS_MAX] = {false};
    int i;

    for (i = 0; i < s->n; i++) {
        taken[slot_of[i]] = true;
        s->found[i].late = s->answered;
        settle(s, slot_of[i], &s->found[i]);
    }
    for (i = 0; i < s->conf.slots; i++) {
        if (!taken[i]) {
            settle(s, i, NULL);
        }
    }
}

void abl_settling_slots(abl_settling_t *s, const abl_occupant_t *found, int n, bool loud)
{
    static crowd_t before, now;
    int slot_of[ABL_NAME_SLOTS_MAX];
    uint64_t signature = sign(found, n);
    int i;

    if (signature == s->signature) {
        return;
    }
    s->signature = signature;
    before.n = now.n = 0;
    s->n = choose(s, found, n, &before, slot_of);
    fill_slots(s, slot_of);
    for (i = 0; i < s->n; i++) {
        add_to(&now, s->found[i].ips, s->found[i].n);
    }
    report(s, &before, &now, loud);
    s->answered = true;
}

void abl_settling_again(abl_settling_t *s)
{
    static abl_occupant_t found[ABL_NAME_SLOTS_MAX];
    int n = s->n;

    if (n == 0) {
        return;
    }
    if (s->conf.slots == 0) {
        settle(s, 0, &s->found[0]);
        return;
    }
    memcpy(found, s->found, (size_t)n * sizeof(*found));
    s->signature = 0;
    abl_settling_slots(s, found, n, false);
}

void abl_settling_vacate(abl_settling_t *s)
{
    int i;

    for (i = 0; i < slots_of(s); i++) {
        settle(s, i, NULL);
    }
}
