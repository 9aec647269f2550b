/* SPDX-License-Identifier: Apache-2.0
 *
 * One member as JSON, and its state in words.
 */
#ifndef ABL_HTTPD_STATUS_MEMBER_H
#define ABL_HTTPD_STATUS_MEMBER_H

#include "base/json.h"
#include "ledger/view.h"

/* "on", "spare", … */
const char *abl_status_name(abl_status_t status);

/* One word: the first that fits, see docs/steering.md. */
const char *abl_status_state(const abl_member_view_t *member);

/* May it get requests? */
bool abl_status_is_up(const abl_member_view_t *member);

/* Why it is so, in a sentence; NULL: there is nothing to say. `buffer` may be used for it. */
const char *abl_status_why(const abl_member_view_t *member, char *buffer, size_t room);

/* `now`: abl_clock_now(). `brief`: without the fields that have their usual value, see docs/steering.md,
 * Stream: of ten thousand members that is a fifth of the bytes. */
void abl_status_member(abl_json_t *json, const abl_member_view_t *member, int64_t now, bool brief);

/* {"p50":…,"p90":…,"p99":…} of µs; those that equal `nothing` are null. */
void abl_status_percentiles(abl_json_t *json, const char *name, const apr_uint32_t values[3],
                            apr_uint32_t nothing);

#endif
