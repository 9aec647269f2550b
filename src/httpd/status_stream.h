/* SPDX-License-Identifier: Apache-2.0
 *
 * ?as=stream: the JSON form again and again, as server-sent events, for as long as somebody reads. No thread
 * waits for the next one.
 */
#ifndef ABL_HTTPD_STATUS_STREAM_H
#define ABL_HTTPD_STATUS_STREAM_H

#include "httpd/status_json.h"

/* The handler's return value: SUSPENDED, or 503 where this connection cannot wait without a thread, or too
 * many do. Worker. */
int abl_status_stream(request_rec *r, const abl_steering_t *steering);

#endif
