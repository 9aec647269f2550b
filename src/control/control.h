/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process: the parent of the applications' instances. It has no part in any request: while it is
 * away for a moment, requests go on (with memory=, as far as the rations reach that it has given), and its
 * successor goes on where it was (board.h). It ends when httpd does, and the
 * instances with it.
 */
#ifndef ABL_CONTROL_CONTROL_H
#define ABL_CONTROL_CONTROL_H

#include "control/board.h"
#include "control/say.h"

#define ABL_CONTROL_PATIENCE_MS 2500 /* for instances, when httpd ends: its own is 3 s */

typedef struct abl_control_t {
    abl_board_t *board;
    abl_segment_t *segment;
    pid_t parent;       /* httpd's */
    const char *folder; /* for record.h */
    abl_say_fn_t *say;
    void (*use_log)(int log); /* messages go to this descriptor from now on; closes it */
} abl_control_t;

/* Kills all instances, with what they have begun. The control process, as the last thing it does; the parent,
 * when that has not ended as it should. */
void abl_control_end_instances(abl_board_t *board);

/* All of its life. Returns when httpd ends, or no application is left; then the process ends. False: it could
 * not begin. */
bool abl_control_run(const abl_control_t *control);

#endif
