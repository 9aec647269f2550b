/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with units, as directives write them: times (ms, s, min, h) and sizes (K, M, G), whole numbers
 * and weights. Strict: no sign, no white space, nothing left over, no overflow.
 */
#ifndef ABL_BASE_UNITS_H
#define ABL_BASE_UNITS_H

#include <stdint.h>

/* Each returns NULL and sets *out, or returns static text that says what would be right, to put behind
 * `directive key=value: `. Any thread. */

/* A time: digits and ms, s, min or h ("500ms", "30s"); a bare number is refused, except "0". Result in
 * microseconds, at most 7 days. */
const char *abl_units_time(const char *text, int64_t *out);

/* A size: digits and nothing (bytes), K, M or G (powers of 1024, either case). At most 2^53. */
const char *abl_units_size(const char *text, int64_t *out);

/* A whole number from min to max. The message does not name the range; the caller's should. */
const char *abl_units_number(const char *text, int64_t min, int64_t max, int64_t *out);

/* A whole number from min to 100 with % behind it ("50%"). */
const char *abl_units_percent(const char *text, int64_t min, uint32_t *out);

/* A weight: 1 to 1000 with up to two decimals ("2", "1.5"). Result in hundredths (100..100000). */
const char *abl_units_weight(const char *text, uint32_t *out);

#endif
