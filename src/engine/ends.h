/* SPDX-License-Identifier: Apache-2.0
 *
 * How requests end: a word for each way, for logs and figures, and whose fault it is.
 */
#ifndef ABL_ENGINE_ENDS_H
#define ABL_ENGINE_ENDS_H

#include "engine/exchange_types.h"

#define ABL_ENDS (ABL_END_CLIENT_GONE + 1)

/* "ok", "queue-timeout", …; "none" for ABL_END_NONE and whatever is no end. */
const char *abl_end_word(unsigned end);

/* "none", "1xx" … "5xx", for 0 to 5. */
const char *abl_end_class(int status_class);

/* Is a request that ended so, with a status of this class (5: 500 to 599), one that the server's side has
 * failed? A client that leaves, or sends what cannot be forwarded, is no error. */
bool abl_end_is_error(unsigned end, int status_class);

#endif
