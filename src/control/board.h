/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that httpd's parent, the control process and the children share: which applications there should be,
 * and what has become of them. The parent makes it before it forks anybody, and it stays at the same place in
 * all of them, so that there may be pointers in it.
 *
 * Two writers, each of parts of its own. The parent writes what the configuration says, in one of three
 * copies, of which the control process never looks at more than one and is told of at most another. All the
 * rest is the control process's: it is its working memory, so that its successor, if it is killed, goes on
 * where it was. Whoever else reads it gets what was true a moment ago, and has to expect nonsense.
 */
#ifndef ABL_CONTROL_BOARD_H
#define ABL_CONTROL_BOARD_H

#include "control/app.h"
#include "control/name.h"
#include "control/output.h"
#include "control/target.h"
#include "ledger/ledger.h"

#include <stdatomic.h>

/* Changes whenever anything in this file does, or in the structures that lie on the board (fleet, instance,
 * recycle, what a BalancerApp line says): the control process may be of the build before. */
#define ABL_BOARD_LAYOUT "11"

#define ABL_MARK_MAX 64
#define ABL_ENDED_KEPT 8 /* instances that have ended, of each application */
#define ABL_SLOT_LINES 8 /* of each instance's output, that are shown */

/* What has become of one slot. */
typedef struct abl_board_slot_t {
    char address[ABL_ADDRESS_MAX + 1];
    pid_t pid; /* 0 with an instance that is not ABL_INSTANCE_NONE: its maker was killed at that moment */
    uint64_t began;     /* abl_proc_began() of it */
    int64_t spawned_at; /* abl_clock_now() */
    uint64_t served;    /* requests, since it became ready */
    bool too_small;     /* memory= is, for this one: it has been counted as a failure */
    unsigned blocked;   /* how often in a row its address was not free */
    int blocked_by;     /* why nothing could be started there, an errno; see abl_slot_t.blocked_until */
    abl_recycle_t recycle;
    uint64_t starts; /* instances that there were here, this one included */
    uint64_t nlines; /* that this one and those before have written; the ring has the last of them */
    char lines[ABL_SLOT_LINES][ABL_LAST_LINE_MAX + 1];
} abl_board_slot_t;

/* The last failure: an instance that ended unasked or could not be made, or memory= that is too small. */
typedef struct abl_board_failure_t {
    int64_t at; /* abl_clock_now(); 0: there was none */
    pid_t pid;
    int slot;
    char why[256]; /* "not ready within …", "exit status 3", … */
    char lines[ABL_LAST_LINES]
              [ABL_LAST_LINE_MAX + 1]; /* what it said last, the oldest first; empty: no more */
} abl_board_failure_t;

/* An instance that has ended, for whatever reason. */
typedef struct abl_board_end_t {
    int64_t at; /* abl_clock_now() */
    int slot;
    pid_t pid;
    char why[256]; /* "memory=; exit status 0", "signal 9 (Killed)", … */
} abl_board_end_t;

typedef struct abl_board_app_t {
    char balancer[ABL_NAME_MAX + 1];
    char name[ABL_NAME_MAX + 1]; /* empty: the row is free */
    int64_t gone_at;             /* since then it is not in the configuration any more; 0: it is */
    uint64_t fingerprint;        /* of what its instances are made by */
    abl_fleet_conf_t conf;       /* the configuration's, and still there when that is gone */
    uint64_t memory;             /* likewise: memory=, bytes; 0: no limit */
    abl_fleet_t fleet;
    abl_board_slot_t slots[ABL_SLOTS_OF_APP_MAX];
    int64_t start_took; /* how long the last one took to become ready, µs */
    uint64_t starts, failures;
    uint64_t restart_path_hash;
    int64_t restart_mtime; /* ns, as of the last look; 0: not looked yet; 1: there is no such file */
    abl_board_failure_t last_failure;
    uint64_t nended; /* instances that have ended; the ring has the last of them */
    abl_board_end_t ended[ABL_ENDED_KEPT];
    /* Any process's, and taken by the control process: */
    _Atomic bool wants_roll;
    _Atomic uint64_t wants_restart; /* bits: of these slots */
} abl_board_app_t;

/* What the configuration says. */
typedef struct abl_board_conf_t {
    const abl_app_conf_t *apps;
    int n;
    const abl_target_t *targets;
    int ntargets;
    const abl_name_conf_t *names;
    int nnames;
    abl_resolver_conf_t resolver;
    const char *persist; /* BalancerPersist; NULL: nowhere */
} abl_board_conf_t;

typedef struct abl_board_t abl_board_t;

/* Parent, once. NULL: errno. */
abl_board_t *abl_board_create(void);

/* Parent: from now on this is what the configuration says. Copies all of it. False: it is too long. */
bool abl_board_publish(abl_board_t *board, const abl_board_conf_t *conf);

/* The control process: what the configuration says now. Stays readable until the next call. */
abl_board_conf_t abl_board_take(abl_board_t *board);

/* Row i of what has become of them, i < ABL_APPS_MAX. */
abl_board_app_t *abl_board_app(abl_board_t *board, int i);

/* The control process's pid; 0: none has begun. */
_Atomic pid_t *abl_board_control(abl_board_t *board);

/* What the parent's LogLevel is, which may change while the control process lives. */
_Atomic int *abl_board_log_level(abl_board_t *board);

/* Parent: wakes the control process, and gives it a copy of the descriptor that messages go to. */
void abl_board_ring(const abl_board_t *board, int log);

/* The control process: becomes readable when the parent has rung. */
int abl_board_bell(const abl_board_t *board);

/* The control process: takes one ring away. *log: the descriptor that came with it, now the caller's; below
 * 0: none. False: there was no ring. */
bool abl_board_hear(const abl_board_t *board, int *log);

/* What names all instances of this httpd, and of no other one that there is or was: the beginning of their
 * marks (spawn.h). It is PID.BEGAN/, the parent's, as abl_proc_began() says. */
const char *abl_board_mark(const abl_board_t *board);

/* Parent: the same, where there is no board. Returns `mark`. */
const char *abl_board_own_mark(char mark[ABL_MARK_MAX]);

#endif
