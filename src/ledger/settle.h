/* SPDX-License-Identifier: Apache-2.0
 *
 * What is written about where members are (site.h), by who looks names up. One process does that for the
 * whole server; it names members as the segment does, because it outlives configurations: see abl_gate_t.
 */
#ifndef ABL_LEDGER_SETTLE_H
#define ABL_LEDGER_SETTLE_H

#include "ledger/gate.h"
#include "ledger/site.h"

/* Who is to be there. */
typedef struct abl_occupant_t {
    apr_uint64_t id; /* see abl_site_id(); slots only */
    int n;           /* at least 1 */
    abl_ip_t ips[ABL_ADDRESSES_MAX];
    apr_uint32_t weight; /* hundredths; SRV records only, as is */
    int set;             /* the set */
    bool late;           /* it has come later than the name's first answer: it may start slowly */
} abl_occupant_t;

/* From now on this is where the member is; NULL: it is vacant. Whoever was there before gets no request any
 * more, those under way finish, and who waits for nobody else waits for all. Nothing happens where that is so
 * already. False: there is no such member, or it is not one with a name. */
bool abl_site_settle(const abl_gate_t *gate, const abl_occupant_t *who);

/* For the ledger's own files, inside its lock: somebody is there from now on, or nobody. The list of members
 * is to be made anew then, and those who wait are to be looked at. */
void abl_site_occupy(abl_segment_t *segment, uint32_t row, const abl_occupant_t *who);
void abl_site_vacate(abl_segment_t *segment, uint32_t row);

typedef struct abl_site_view_t {
    bool pending, vacant;
    apr_uint64_t id;   /* of who is there */
    apr_uint32_t busy; /* requests there now, the former occupant's included */
    apr_uint32_t weight;
    int set;
    abl_site_t site;
} abl_site_view_t;

/* False: as above. */
bool abl_site_look(const abl_gate_t *gate, abl_site_view_t *view);

#endif
