/* SPDX-License-Identifier: Apache-2.0
 *
 * One application in the control process's hands: what it is to be (the configuration), what has become of it
 * (its row of the board, which outlives the control process), and what only this process holds of it. Shared
 * by the files that look after it: supervise.c decides, process.c makes and ends processes, look.c looks at
 * what runs, relay.c passes on what they say, failure.c counts what went wrong.
 */
#ifndef ABL_CONTROL_SUPERVISED_H
#define ABL_CONTROL_SUPERVISED_H

#include "control/board.h"
#include "control/log.h"
#include "control/probe.h"
#include "control/record.h"
#include "ledger/gate.h"

/* What the control process holds of one instance. All zero: nothing. */
typedef struct abl_held_t {
    bool ours;           /* it is this process's child */
    int pidfd_plus_one;  /* of one that is not; 0: there is none */
    int output_plus_one; /* what it writes is read there; 0: nowhere */
    abl_output_t *output;
    int lines;         /* that may go to the error log just now */
    int64_t lines_at;  /* when that was true */
    uint64_t left_out; /* lines that did not */
    abl_probe_t probe;
    int64_t suspected_at; /* since when nobody has been found at its address; 0: somebody was */
    int64_t look_at;      /* when it has to be looked at again; 0: at once */
    bool blocked_said;    /* that its address is not free, since an instance was last ready there */
} abl_held_t;

/* How the control process is told which descriptors to wait for. It forgets them when they are closed. */
typedef struct abl_watch_fns_t {
    void (*output)(void *ctx, int fd, int app, int slot); /* then abl_relay_read() */
    void (*pidfd)(void *ctx, int fd, int app, int slot);  /* then abl_supervise_pidfd() */
    void *ctx;
} abl_watch_fns_t;

typedef struct abl_supervised_t {
    int index; /* of its row */
    abl_board_t *board;
    abl_segment_t *segment;
    const abl_child_t *child; /* this process's seat in the ledger */
    const abl_watch_fns_t *watch;
    abl_record_t *record;
    abl_board_app_t *row;
    const abl_app_conf_t *conf; /* NULL: it is gone from the configuration; row->conf stays */
    abl_log_t log;              /* log= */
    int64_t file_at;            /* the restart file is looked at again then */
    bool file_said;             /* that the restart file is no file */
    int64_t measure_at;         /* how many are needed is measured again then */
    abl_held_t held[ABL_SLOTS_OF_APP_MAX];
} abl_supervised_t;

/* The state machine of this slot, and what else the board has of it. */
static inline abl_instance_t *abl_instance_of(const abl_supervised_t *app, int slot)
{
    return &app->row->fleet.slots[slot].instance;
}

static inline abl_board_slot_t *abl_board_slot_of(const abl_supervised_t *app, int slot)
{
    return &app->row->slots[slot];
}

/* Its member in the ledger; valid as long as the row is. */
static inline abl_gate_t abl_gate_of(const abl_supervised_t *app, int slot)
{
    return (abl_gate_t){app->segment, app->child, app->row->balancer, app->row->slots[slot].address};
}

#endif
