/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose is a port or a Unix socket? A process that answers where an instance should be need not be the
 * instance. Everything here reads /proc as a whole, which takes milliseconds: for the start of an instance.
 */
#ifndef ABL_CONTROL_LISTENER_H
#define ABL_CONTROL_LISTENER_H

#include <sys/types.h>

typedef enum abl_listener_t {
    ABL_LISTENER_NOBODY,
    ABL_LISTENER_OURS, /* a process of the group that was asked for, or a descendant of one */
    ABL_LISTENER_STRANGER,
    ABL_LISTENER_UNKNOWN /* somebody whom we may not look at, or who is going away just now */
} abl_listener_t;

/* Who listens at this port of 127.0.0.1 (or of all addresses)? If several do: who gets the connections. Ours
 * are those of the process group `pgid` and their descendants. Any thread. */
abl_listener_t abl_listener_at_port(int port, pid_t pgid);

/* The same for a Unix socket's path, as whoever listens has written it. Several may listen under the same
 * one, if it was removed in between: then it is enough that one of them is ours. */
abl_listener_t abl_listener_at_path(const char *path, pid_t pgid);

#endif
