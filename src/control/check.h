/* SPDX-License-Identifier: Apache-2.0
 *
 * One check of one member: it is connected to, over TLS and with the PROXY protocol's header where requests
 * are, and asked, and its answer is looked at. Nothing here waits: whoever has begun a check goes on with it
 * whenever its descriptor may have something new, and ends it when it has taken too long.
 *
 * Only the control process calls these functions.
 */
#ifndef ABL_CONTROL_CHECK_H
#define ABL_CONTROL_CHECK_H

#include "control/target.h"
#include "engine/conn.h"

/* Bytes of an answer's body that are read; the rest is not looked at. What the C library needs for a regular
 * expression may grow with the square of that, and nothing else happens meanwhile. */
#define ABL_CHECK_BODY_MAX 8192
#define ABL_CHECK_INTERIM_MAX 32 /* 1xx answers before the answer */

typedef enum abl_check_verdict_t {
    ABL_CHECK_PENDING, /* go on when the descriptor is ready */
    ABL_CHECK_PASSED,
    ABL_CHECK_FAILED,
    ABL_CHECK_NOBODY, /* failed: nobody accepts connections at any of its addresses */
    ABL_CHECK_UNTRIED /* it could not be made, which says nothing about the member */
} abl_check_verdict_t;

typedef struct abl_check_t abl_check_t;

/* For checks of this target, which must stay as long as the check does. NULL: no memory. */
abl_check_t *abl_check_make(const abl_target_t *target);

/* Begins a new one; the one before has ended. `where`: the target, with the addresses that it has now. */
abl_check_verdict_t abl_check_begin(abl_check_t *check, const abl_target_t *where, int64_t now);

/* Goes on as far as that is possible. `now` as abl_clock_now(). */
abl_check_verdict_t abl_check_go(abl_check_t *check, int64_t now);

/* The descriptor of the one that is under way; below 0: there is none. It changes with each address tried. */
int abl_check_fd(const abl_check_t *check);

/* What is wrong, or what is being waited for, in words; and the errno that belongs to it, or 0. */
const char *abl_check_why(const abl_check_t *check, int *error);

/* Gives up the one that is under way, if there is one. */
void abl_check_end(abl_check_t *check);

/* The same, but where the member may be at work for it returns the connection, the caller's now; else NULL.
 */
abl_conn_t *abl_check_leave(abl_check_t *check);

void abl_check_free(abl_check_t *check);

/* Is the other end of this connection the connection itself? A port of this machine that the kernel also
 * gives to clients may be met like that. */
bool abl_check_is_itself(int fd);

#endif
