/* SPDX-License-Identifier: Apache-2.0
 *
 * All applications: which rows of the board are whose, as the configuration says and as it said before.
 */
#ifndef ABL_CONTROL_APPS_H
#define ABL_CONTROL_APPS_H

#include "control/supervised.h"

/* The first five are the caller's to set. */
typedef struct abl_apps_t {
    abl_board_t *board;
    abl_segment_t *segment;
    abl_child_t *child; /* the control process's seat in the ledger */
    const abl_watch_fns_t *watch;
    abl_record_t *record;
    abl_board_conf_t conf;                /* that holds now */
    abl_supervised_t *apps[ABL_APPS_MAX]; /* by row; NULL: the row is free */
    bool left_out_said;                   /* since the configuration was read */
    bool left_out;                        /* there was no row for one of its lines */
} abl_apps_t;

/* What a predecessor has left on the board. Returns how many instances run. */
int abl_apps_take_over(abl_apps_t *apps);

/* Looks at what the configuration says now, and makes it so: new applications get a row, those whose line has
 * changed are rolled, those that have none any more begin to go. */
void abl_apps_configure(abl_apps_t *apps);

/* Nobody of this one is left: its row is free again, for a line that has none. */
void abl_apps_drop(abl_apps_t *apps, int i);

#endif
