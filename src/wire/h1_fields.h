/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about HTTP field names and values that both directions ask (RFC 9110 sections 5.6.1, 7.6.1).
 */
#ifndef ABL_WIRE_H1_FIELDS_H
#define ABL_WIRE_H1_FIELDS_H

#include "wire/wire.h"

/* Is this a field that belongs to one connection and is never passed on? Connection, Keep-Alive,
 * Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE, Transfer-Encoding, Upgrade, and Proxy
 * (which CGI-like servers turn into HTTP_PROXY). Trailer is passed on. Letters' case does not matter. */
bool abl_h1_field_is_hop(const char *name, size_t len);

/* May a client's Connection field not make us remove this one? Host, Content-*, Transfer-Encoding,
 * Forwarded, X-Real-IP, X-Forwarded-*; an underscore counts as a hyphen, because application servers make
 * the same HTTP_X_FORWARDED_FOR of both. */
bool abl_h1_field_is_protected(const char *name, size_t len);

/* Does this field tell the application who the client is and which address it used: Forwarded, X-Real-IP,
 * X-Forwarded-*, with underscore and hyphen equal? Untrusted clients may not send these. */
bool abl_h1_field_is_forwarded(const char *name, size_t len);

/* Does the comma-separated list `value` hold `token` as a whole element (parameters after ';' do not
 * count; case does not matter)? */
bool abl_h1_list_has(const char *value, size_t len, const char *token);

/* Is `value` a valid field value to write: no NUL, CR, LF or other control character but TAB? */
bool abl_h1_value_ok(const char *value, size_t len);

#endif
