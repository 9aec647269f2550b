/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses in the segment. Each row has two sets of them: the one that its epoch points at, and one to write
 * the next in. So a change is a single store, a writer that is killed leaves the old set, and a reader that
 * finds the epoch changed while it copied begins again.
 */
#include "ledger/site_row.h"

#include "balance/rendezvous.h"

#include <stdio.h>
#include <string.h>

/* ---- the sets --------------------------------------------------------------------------------------- */

void abl_site_publish(abl_segment_t *segment, uint32_t row, const abl_ip_t *ips, int n)
{
    abl_site_row_t *s = &segment->sites[row];
    uint32_t epoch = atomic_load_explicit(&s->epoch, memory_order_relaxed) + 1;
    abl_site_set_t set = {.n = (uint32_t)n};
    uint32_t words[sizeof(set) / sizeof(uint32_t)];
    _Atomic uint32_t *to = s->sets[epoch & 1];
    size_t i;

    if (n > 0) {
        memcpy(set.ips, ips, (size_t)n * sizeof(*ips));
    }
    memcpy(words, &set, sizeof(set));
    for (i = 0; i < ABL_SITE_WORDS; i++) {
        atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
    }
    abl_probe(ABL_PROBE_SITE);
    atomic_store_explicit(&s->epoch, epoch, memory_order_release);
}

static void copy_out(const abl_site_row_t *s, uint32_t epoch, abl_site_set_t *set)
{
    uint32_t words[ABL_SITE_WORDS] = {0};
    const _Atomic uint32_t *from = s->sets[epoch & 1];
    size_t i;

    for (i = 0; i < ABL_SITE_WORDS; i++) {
        words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
    }
    memcpy(set, words, sizeof(*set));
}

void abl_site_of_row(const abl_segment_t *segment, uint32_t row, abl_site_t *site)
{
    const abl_site_row_t *s = &segment->sites[row];
    abl_site_set_t set;

    do {
        site->epoch = atomic_load_explicit(&s->epoch, memory_order_acquire);
        copy_out(s, site->epoch, &set);
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&s->epoch, memory_order_relaxed) != site->epoch);
    site->n = (int)set.n;
    memcpy(site->ips, set.ips, sizeof(site->ips));
}

/* ---- from httpd's children -------------------------------------------------------------------------- */

uint32_t abl_site_epoch(const abl_ledger_t *ledger, int member)
{
    return atomic_load_explicit(&ledger->segment->sites[ledger->row_of[member]].epoch, memory_order_relaxed);
}

void abl_site_read(const abl_ledger_t *ledger, int member, abl_site_t *site)
{
    abl_site_of_row(ledger->segment, ledger->row_of[member], site);
}

static bool is_there(const abl_row_t *row)
{
    return row->balancer != 0 && !__atomic_load_n(&row->vacant, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&row->shut, __ATOMIC_RELAXED);
}

apr_uint64_t abl_site_id(const abl_ledger_t *ledger, int member)
{
    const abl_row_t *row = &ledger->segment->rows[ledger->row_of[member]];

    return is_there(row) ? __atomic_load_n(&row->c.id, __ATOMIC_RELAXED) : 0;
}

int abl_site_home(const abl_ledger_t *ledger, apr_uint64_t key)
{
    abl_draw_t best = ABL_DRAW_NONE;
    int i, set = ABL_SETS_MAX + 1;

    for (i = 0; i < ledger->n; i++) {
        const abl_row_t *row = &ledger->segment->rows[ledger->row_of[i]];
        if (row->status != ABL_STATUS_ON || (row->naming != ABL_NAMING_NONE && !is_there(row)) ||
            row->balancer != ledger->balancer || row->set > set) {
            continue;
        }
        best = row->set < set ? ABL_DRAW_NONE : best;
        set = row->set;
        abl_rendezvous_draw(&best, i, row->c.id, row->weight, key);
    }
    return best.who;
}

/* ---- for the ledger ---------------------------------------------------------------------------------- */

bool abl_site_is_slot(const abl_row_t *row)
{
    return row->naming >= ABL_NAMING_SLOT;
}

/* Of an open place it is known that nobody is there. */
void abl_site_begin(abl_segment_t *segment, uint32_t row, abl_naming_t naming)
{
    segment->rows[row].shut = naming != ABL_NAMING_OPEN;
    abl_in_order();
    segment->rows[row].vacant = naming == ABL_NAMING_OPEN;
    abl_site_publish(segment, row, NULL, 0);
}

bool abl_site_address(const abl_segment_t *segment, uint32_t row, char *address, size_t room)
{
    abl_site_t site;

    abl_site_of_row(segment, row, &site);
    if (site.n > 0) {
        char text[ABL_IP_TEXT];
        (void)snprintf(address, room, "http://%s", abl_ip_text(&site.ips[0], text));
    }
    return site.n > 0;
}

void abl_site_name(const abl_segment_t *segment, uint32_t row, char *name, size_t room)
{
    const char *address = segment->names[row].address;
    const char *number = abl_site_is_slot(&segment->rows[row]) ? strrchr(address, '#') : NULL;
    int len = number != NULL ? (int)(number - address) : (int)strlen(address);
    char text[ABL_IP_TEXT];
    abl_site_t site;

    if (segment->rows[row].naming == ABL_NAMING_NONE) {
        (void)snprintf(name, room, "%s", address);
        return;
    }
    if (segment->rows[row].naming == ABL_NAMING_OPEN && abl_site_address(segment, row, name, room)) {
        return;
    }
    abl_site_of_row(segment, row, &site);
    if (site.n == 0) {
        (void)snprintf(name, room, "%.*s", len, address);
    } else if (site.n == 1) {
        (void)snprintf(name, room, "%.*s (%s)", len, address, abl_ip_text(&site.ips[0], text));
    } else {
        (void)snprintf(name, room, "%.*s (%s and %d more)", len, address, abl_ip_text(&site.ips[0], text),
                       site.n - 1);
    }
}
