/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an instance listens: its address, and is that free?
 */
#ifndef ABL_CONTROL_PLACE_H
#define ABL_CONTROL_PLACE_H

#include "control/app.h"

#include <stdbool.h>
#include <sys/socket.h>

/* The address of this slot, at which an instance listens and httpd's children connect: 127.0.0.1 and its
 * port, or its Unix socket. Returns its length; 0: errno is ENAMETOOLONG, the socket's path is. */
socklen_t abl_place_address(const abl_app_conf_t *app, int slot, struct sockaddr_storage *sa);

/* A listening socket for this slot, at 127.0.0.1 or, for httpd's children only, on the file system; what is
 * left there of an earlier one is removed first, when nobody answers there. -1: errno tells. */
int abl_place_listen(const abl_app_conf_t *app, int slot);

/* Lets httpd's children connect to the socket that an instance has made at its slot's path, and nobody else.
 * False: errno; it is not there, or no socket of the instance's user. Does nothing where there is a port. */
bool abl_place_hand_over(const abl_app_conf_t *app, int slot);

/* Could an instance listen at this slot's port or socket? A socket that is left there is removed when nobody
 * answers. False: somebody else does, `errno` is EADDRINUSE; or something else is there, EEXIST or EISDIR; or
 * it is not allowed. */
bool abl_place_is_free(const abl_app_conf_t *app, int slot);

#endif
