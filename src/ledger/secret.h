/* SPDX-License-Identifier: Apache-2.0
 *
 * A key that all processes of one httpd share, and nobody else. Made by the parent with the segment.
 */
#ifndef ABL_LEDGER_SECRET_H
#define ABL_LEDGER_SECRET_H

#include "ledger/ledger.h"

#define ABL_SECRET_BYTES 32

/* Parent, once, before the first fork. */
void abl_secret_set(abl_segment_t *segment, const unsigned char secret[ABL_SECRET_BYTES]);

/* False: there were no random bytes to make it of. */
bool abl_secret_is_known(const abl_segment_t *segment);

const unsigned char *abl_secret_of(const abl_segment_t *segment);

#endif
