/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tells about processes (/proc). A pid alone names nobody for sure: pids are used again; a
 * pid and the time at which it began do.
 */
#ifndef ABL_CONTROL_PROC_H
#define ABL_CONTROL_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- one process ------------------------------------------------------------------------------------ */

/* When it began, in the kernel's ticks since boot. 0: there is no such process, or it is a zombie. */
uint64_t abl_proc_began(pid_t pid);

/* Opens a file below /proc/PID, "fd/1" for instance; close-on-exec. In most containers root may not look at
 * the processes of others: then it is done as their own user. -1: errno. */
int abl_proc_open(pid_t pid, const char *name, int flags);

/* Tells each() where every descriptor of a process leads: "socket:[INODE]", "pipe:[INODE]", a path's first 63
 * bytes; `link` is readable until it returns. Tells nothing of a process that has gone or may not be looked
 * at. each() may run with the rights of that process's user, so it should just take note. Any thread. */
void abl_proc_descriptors(pid_t pid, void (*each)(void *ctx, const char *link), void *ctx);

/* ---- all of them ------------------------------------------------------------------------------------ */

/* Whose it is, seen from one process group. */
typedef enum abl_kin_t {
    ABL_KIN_UNKNOWN, /* only while it is looked for */
    ABL_KIN_OURS,    /* it is of the group, or a descendant of one that is */
    ABL_KIN_NOT
} abl_kin_t;

typedef struct abl_process_t {
    pid_t pid, parent, group;
    char state; /* as proc(5) has it: 'R', 'S', 'Z', … */
    uint64_t began;
    abl_kin_t kin;
} abl_process_t;

typedef struct abl_processes_t {
    abl_process_t *all; /* by pid; the caller's, to be freed with free() */
    int n, room;
} abl_processes_t;

/* All processes, zombies included, and which of them are of the process group `pgid` or descend from it; 0:
 * none is. Empty when /proc cannot be read. It is not of one moment: who comes or goes meanwhile may be
 * missing. */
abl_processes_t abl_proc_all(pid_t pgid);

/* Memory of the process group `pgid` and of all descendants of its processes: the sum of their proportional
 * set sizes, bytes (resident sizes where the kernel does not tell these). 0: nobody is there, or it cannot be
 * read. Reads /proc as a whole. */
uint64_t abl_proc_memory(pid_t pgid);

/* ---- signals ---------------------------------------------------------------------------------------- */

/* The environment variable by which descendants are found. */
#define ABL_INSTANCE_MARK "APPBALANCE_INSTANCE"

/* Sends a signal to every process whose environment has ABL_INSTANCE_MARK with this value, or one that begins
 * with it (`prefix`), to their groups' members and to the descendants of all of these; never to this process
 * or its group. Returns how many it found: who forks meanwhile may have a child that was not there yet, so
 * ask again until it is 0. Reads all of /proc: for the end of an instance or of httpd only.
 *
 * A program that writes over its own environment cannot be found by it; Perl does when $0 is set, Starman
 * therefore: abl_proc_signal_group() is for what is still together. */
int abl_proc_signal_marked(const char *mark, bool prefix, int signal);

/* The same for the process group `pgid`, and whatever descends from it. */
int abl_proc_signal_group(pid_t pgid, int signal);

#endif
