/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that are written by a name: when the name is asked for, and what follows from the answer. What was
 * answered last holds as long as nobody answers; who has never been found is left out until he is.
 *
 * Only the control process calls these functions. None of them waits.
 */
#ifndef ABL_CONTROL_NAMES_H
#define ABL_CONTROL_NAMES_H

#include "control/board.h"
#include "control/resolver.h"

typedef struct abl_names_t abl_names_t;

/* NULL: no memory. */
abl_names_t *abl_names_begin(abl_segment_t *segment, const abl_child_t *child,
                             const abl_resolver_watch_t *watch);

/* The configuration has changed. */
void abl_names_configure(abl_names_t *names, const abl_board_conf_t *conf);

/* A descriptor that is watched is ready. */
void abl_names_ready(abl_names_t *names, int fd, bool for_read, bool for_write);

/* Goes on with what is due. Returns when to call again, abl_clock_now()'s scale; INT64_MAX: not before a
 * descriptor is ready or the configuration changes. */
int64_t abl_names_work(abl_names_t *names, int64_t now);

#endif
