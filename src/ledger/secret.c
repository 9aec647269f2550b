/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared key.
 */
#include "ledger/secret.h"

#include "ledger/layout.h"

#include <string.h>

void abl_secret_set(abl_segment_t *segment, const unsigned char secret[ABL_SECRET_BYTES])
{
    memcpy(segment->shared->secret, secret, ABL_SECRET_BYTES);
    segment->shared->has_secret = true;
}

bool abl_secret_is_known(const abl_segment_t *segment)
{
    return segment->shared->has_secret;
}

const unsigned char *abl_secret_of(const abl_segment_t *segment)
{
    return segment->shared->secret;
}
