/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that could not be reached are tried here, several times a second, so that no request has to do it:
 * who accepts connections again gets requests again (or, with BalancerHealthCheck uri=, who passes a check:
 * checkup.h). And what becomes of members is told to the administrator. One process does this for the whole
 * server.
 *
 * Only the control process calls these functions. None of them waits.
 */
#ifndef ABL_CONTROL_PATROL_H
#define ABL_CONTROL_PATROL_H

#include "base/index.h"
#include "control/board.h"
#include "control/checkup.h"

typedef struct abl_round_t abl_round_t; /* what is known of one row of the ledger */

/* The first two are the caller's to set. */
typedef struct abl_patrol_t {
    abl_segment_t *segment;
    const abl_child_t *child;
    abl_checkup_t *checkup; /* the caller's; NULL: nobody is checked */
    abl_board_conf_t conf;  /* that holds now */
    abl_index_t targets;    /* conf's, by balancer and address */
    abl_round_t *rounds;    /* by row; NULL: not begun */
    uint32_t used;          /* no round above was ever used */
    int out;                /* members that are away or ejected, as of the last look */
} abl_patrol_t;

/* False: no memory. */
bool abl_patrol_begin(abl_patrol_t *patrol);

/* What abl_board_take() has said last: again after each call of that. */
void abl_patrol_configure(abl_patrol_t *patrol, const abl_board_conf_t *conf);

/* abl_health_bell() has rung: looks at all members. */
void abl_patrol_look(abl_patrol_t *patrol);

/* Goes on with what is due. Returns when to call again, abl_clock_now()'s scale; INT64_MAX: not before the
 * bell. */
int64_t abl_patrol_work(abl_patrol_t *patrol, int64_t now);

#endif
