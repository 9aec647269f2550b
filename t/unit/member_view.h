/* SPDX-License-Identifier: Apache-2.0
 *
 * One member as there is to see of it.
 */
#ifndef ABL_UNIT_MEMBER_VIEW_H
#define ABL_UNIT_MEMBER_VIEW_H

#include "ledger/view.h"
#include "unit.h"

/* The n-th of the first balancer. */
static inline abl_member_view_t member_view(abl_segment_t *segment, int n)
{
    static abl_member_view_t views[8];
    abl_view_place_t from = {.balancer = 1};

    ck_assert_int_gt(abl_view_members(segment, &from, views, 8), n);
    return views[n];
}

#endif
