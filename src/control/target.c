/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a target is now.
 */
#include "control/target.h"

#include "ledger/site.h"

const abl_target_t *abl_target_where(const abl_segment_t *segment, uint32_t row, const abl_target_t *target,
                                     abl_target_at_t *at)
{
    abl_site_t site;
    int i;

    if (target == NULL || !target->named) {
        return target;
    }
    abl_site_of_row(segment, row, &site);
    for (i = 0; i < site.n; i++) {
        at->addresses[i].len = abl_ip_to(&site.ips[i], &at->addresses[i].sa);
    }
    at->target = *target;
    at->target.addresses = at->addresses;
    at->target.naddresses = site.n;
    return site.n > 0 ? &at->target : NULL;
}
