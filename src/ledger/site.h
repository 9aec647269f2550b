/* SPDX-License-Identifier: Apache-2.0
 *
 * Where members are that are written by a name: the addresses that the name stands for now.
 *
 * Such a member is **pending** at first: nobody knows yet where it is, and requests that have nobody else
 * wait until somebody does. It is **vacant** when it turns out that nobody is there: then it is as if it were
 * not in the configuration. A name with expand=, or of SRV records, has several members, its slots; who sits
 * in a slot (its **occupant**) may change, and what was known of the one before is forgotten then.
 *
 * Only the control process writes (settle.h). httpd's children read, without the lock.
 */
#ifndef ABL_LEDGER_SITE_H
#define ABL_LEDGER_SITE_H

#include "base/ip.h"
#include "ledger/ledger.h"

typedef struct abl_site_t {
    uint32_t epoch; /* changes whenever the addresses do */
    int n;          /* 0: nobody is there, or nobody knows */
    abl_ip_t ips[ABL_ADDRESSES_MAX];
} abl_site_t;

/* ---- from httpd's children, about a member of their configuration; without the lock; any thread ------ */

/* One relaxed load. */
uint32_t abl_site_epoch(const abl_ledger_t *ledger, int member);

/* A consistent copy. */
void abl_site_read(const abl_ledger_t *ledger, int member, abl_site_t *site);

/* Who sits in the slot: the hash of what would be written for exactly this one; 0: nobody. It is the same on
 * every front server and after every restart, whatever the slot's number. */
apr_uint64_t abl_site_id(const abl_ledger_t *ledger, int member);

/* The member that requests with this hashed key go to, as abl_ledger_home(), where there are slots. */
int abl_site_home(const abl_ledger_t *ledger, apr_uint64_t key);

/* The addresses of a row of the ledger (abl_health_next()). */
void abl_site_of_row(const abl_segment_t *segment, uint32_t row, abl_site_t *site);

#endif
