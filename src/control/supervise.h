/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking after the instances of one application: what the state machines want is done here, and what happens
 * to the processes is told to them. All of it in the control process's one thread; nothing in here waits.
 */
#ifndef ABL_CONTROL_SUPERVISE_H
#define ABL_CONTROL_SUPERVISE_H

#include "control/board.h"
#include "control/log.h"
#include "control/probe.h"

/* What the control process has in its hands of one instance. All zero: nothing. */
typedef struct abl_hand_t {
    bool ours;           /* it is this process's child */
    int pidfd_plus_one;  /* of one that is not; 0: there is none */
    int output_plus_one; /* what it writes is read there; 0: nowhere */
    abl_output_t *output;
    int lines;         /* that may go to the error log just now */
    int64_t lines_at;  /* when that was true */
    uint64_t left_out; /* lines that did not */
    abl_probe_t probe;
    int64_t look_at; /* when it has to be looked at again; 0: at once */
    bool told;       /* of a stranger at its address */
} abl_hand_t;

typedef struct abl_watch_fns_t {
    /* From now on tell abl_team_on_output() or abl_team_on_pidfd() when the descriptor can be read; it is
     * closed when nothing more is wanted. */
    void (*output)(void *ctx, int fd, int team, int slot);
    void (*pidfd)(void *ctx, int fd, int team, int slot);
    void *ctx;
} abl_watch_fns_t;

/* One application. */
typedef struct abl_team_t {
    int index;
    abl_board_t *board;
    abl_segment_t *segment;
    const abl_child_t *child; /* this process's seat in the ledger */
    const abl_watch_fns_t *watch;
    abl_board_app_t *row;
    const abl_app_conf_t *conf; /* NULL: it is gone from the configuration */
    abl_log_t log;              /* log= */
    int64_t file_at;            /* the restart file is looked at again then */
    int64_t crowd_at;           /* the crowd is measured again then */
    abl_hand_t hands[ABL_SLOTS_OF_APP_MAX];
} abl_team_t;

/* Takes over what a killed predecessor has left running. */
void abl_team_take_over(abl_team_t *team);

/* Does what is due. Returns when it wants to be called again at the latest. */
int64_t abl_team_work(abl_team_t *team, int64_t now);

/* The process with this pid has ended, `status` as waitpid() says. True: it was one of this team's. */
bool abl_team_on_exit(abl_team_t *team, pid_t pid, int status);

void abl_team_on_output(abl_team_t *team, int slot);
void abl_team_on_pidfd(abl_team_t *team, int slot);

/* Everything new is made like the configuration of now; what runs is replaced, one by one. */
void abl_team_roll(abl_team_t *team, const char *why);

/* From now on only the first `n` slots are used: who is in another one leaves it. */
void abl_team_use(abl_team_t *team, int n);

/* httpd ends: all its instances do, within `patience` µs. */
void abl_team_stop(abl_team_t *team, int64_t patience);

/* What it is looked at for has changed: all its instances are due. */
void abl_team_look(abl_team_t *team);

/* Is any process left? */
bool abl_team_is_alive(const abl_team_t *team);

#endif
