/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds a head to its parser in pieces, from a buffer that moves before every call.
 */
#ifndef ABL_UNIT_FEED_HEAD_H
#define ABL_UNIT_FEED_HEAD_H

#include "unit.h"
#include "wire/h1_head.h"

static inline abl_wire_rc_t feed_head(abl_h1_head_t *head, bool trailers, const char *bytes, size_t len,
                                      size_t way)
{
    abl_wire_rc_t rc = ABL_WIRE_MORE;

    (trailers ? abl_h1_head_init_trailers : abl_h1_head_init)(head);
    for (size_t at = 0; at < len && rc == ABL_WIRE_MORE;) {
        at = unit_piece_end(way, len, at);
        char *copy = unit_copy(bytes, at);
        rc = abl_h1_head_parse(head, copy, at);
        free(copy);
    }
    return rc;
}

#endif
