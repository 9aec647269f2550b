/* SPDX-License-Identifier: Apache-2.0
 *
 * Static or dynamic, and to which balancer? The hooks that decide it, before the handler phase.
 */
#ifndef ABL_HTTPD_ROUTE_H
#define ABL_HTTPD_ROUTE_H

#include "httpd/config.h"

/* What is known of a request between the hooks; the module's slot in request_config. */
typedef struct abl_note_t {
    const abl_section_t *to; /* set: dynamic, and httpd is kept from looking for a file */
    bool candidate; /* dynamic unless a file or directory overrules; not set when another module, such
                     * as mod_rewrite, has mapped the URI to something else */
    bool ambiguous; /* httpd has repaired its framing */
    struct abl_account_t *account; /* a balancer answers it; NULL: none does (account.h) */
    bool stripped;                 /* what an untrusted client said about itself has been removed */
} abl_note_t;

/* The note of a request, made if there is none. */
abl_note_t *abl_route_note(request_rec *r);

/* Did the administrator name one of our handlers for this scope, or is a route likely to? */
bool abl_route_likely(const request_rec *r);

/* post_read_request: remembers a request whose framing httpd has repaired, so that it is not forwarded. Makes
 * a CONNECT, which is refused, the last request of its connection. */
int abl_route_note_framing(request_rec *r);

/* Was it? (RFC 9112 section 6.3: Content-Length together with Transfer-Encoding.) */
bool abl_route_ambiguous(const request_rec *r);

/* pre_translate_name: lets an encoded slash through to a member, where httpd would answer 404. Not where the
 * path, decoded as the application may do it, would be subject to another <Location> or route: nobody gets
 * around access control by writing a slash as %2F. With AllowEncodedSlashes On or NoDecode httpd does it. */
int abl_route_keep_slashes(request_rec *r);

/* translate_name: decides, where the URI alone can decide. */
int abl_route_translate(request_rec *r);

/* map_to_storage: keeps httpd from looking for a file where no file can be meant. */
int abl_route_map(request_rec *r);

/* type_checker: a dynamic request's type is the member's to say. */
int abl_route_type(request_rec *r);

/* fixups: names the handler. */
int abl_route_fixup(request_rec *r);

#endif
