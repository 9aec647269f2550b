/* SPDX-License-Identifier: Apache-2.0
 *
 * What every codec in this folder has in common.
 *
 * Codecs are pure: bytes in, facts out. They own no socket, allocate nothing, keep nothing but the small
 * struct the caller gives them, and may be called from any thread that owns that struct. They are strict:
 * what RFC 9112 lets a recipient repair, they refuse, because two programs that repair differently are how
 * one client gets another client's answer.
 */
#ifndef ABL_WIRE_H
#define ABL_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* What a parser says after each call. */
typedef enum abl_wire_rc_t {
    ABL_WIRE_DONE, /* complete; what was asked for is in the caller's struct */
    ABL_WIRE_MORE, /* nothing wrong so far, more bytes are needed */
    ABL_WIRE_BAD   /* never acceptable, whatever follows; the struct's `why` says what in a few words */
} abl_wire_rc_t;

#endif
