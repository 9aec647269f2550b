/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerTrace: the W3C's traceparent field, for requests that come without one.
 */
#ifndef ABL_HTTPD_TRACE_H
#define ABL_HTTPD_TRACE_H

#include "httpd/config.h"

/* With BalancerTrace on: a request whose traceparent is missing or malformed begins a trace of its own (W3C
 * Trace Context, section 3.2): the field is set in headers_in, for the member and for log lines. Handler. */
void abl_trace_begin(request_rec *r);

#endif
