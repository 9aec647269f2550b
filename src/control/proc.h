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

/* When it began, in the kernel's ticks since boot. 0: there is no such process, or it is a zombie. */
uint64_t abl_proc_began(pid_t pid);

/* Opens a file below /proc/PID, "fd/1" for instance; close-on-exec. In most containers root may not look at
 * the processes of others: then it is done as their own user. -1: errno. */
int abl_proc_open(pid_t pid, const char *name, int flags);

/* Memory of the process group `pgid` and of all descendants of its processes: the sum of their proportional
 * set sizes, bytes (resident sizes where the kernel does not tell these). 0: nobody is there, or it cannot be
 * read. Reads /proc as a whole, once for all of `n` groups: memory[i] becomes that of pgids[i]; 0 in pgids:
 * none. */
void abl_proc_memory(const pid_t *pgids, int n, uint64_t *memory);

/* Who listens at this port of 127.0.0.1 (or of all addresses)? If several do: who gets the connections. */
typedef enum abl_listener_t {
    ABL_LISTENER_NOBODY,
    ABL_LISTENER_OURS, /* a process of this group, or a descendant of one */
    ABL_LISTENER_STRANGER,
    ABL_LISTENER_UNKNOWN /* somebody whom we may not look at, or who is going away just now */
} abl_listener_t;

abl_listener_t abl_proc_listener(int port, pid_t pgid);

/* The same for a Unix socket's path, as whoever listens has written it. Several may listen under the same
 * one, if it was removed in between: then it is enough that one of them is ours. */
abl_listener_t abl_proc_socket_listener(const char *path, pid_t pgid);

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
