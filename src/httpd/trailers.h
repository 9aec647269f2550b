/* SPDX-License-Identifier: Apache-2.0
 *
 * Trailers to the client: httpd 2.4 writes the last chunk of an HTTP/1.1 answer without any.
 */
#ifndef ABL_HTTPD_TRAILERS_H
#define ABL_HTTPD_TRAILERS_H

#include "httpd/config.h"

/* Registers the output filter. Parent, register_hooks. */
void abl_trailers_register(void);

/* Sends r->trailers_out behind the body, which is not finished yet. HTTP/2 does that by itself. */
void abl_trailers_send(request_rec *r);

#endif
