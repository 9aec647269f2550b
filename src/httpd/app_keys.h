/* SPDX-License-Identifier: Apache-2.0
 *
 * The key=value words of BalancerApp, each by itself. What they mean together is app_line.c's.
 */
#ifndef ABL_HTTPD_APP_KEYS_H
#define ABL_HTTPD_APP_KEYS_H

#include "httpd/config.h"

#include "apr_tables.h"

/* What has been read of a line. app_line.c makes it, with the defaults in `app`, and goes on with it. */
typedef struct abl_app_reader_t {
    apr_pool_t *p;
    abl_app_conf_t *app;
    int first_port, last_port; /* 0: no ports= */
    bool listens;              /* listen=fd */
    bool has_group;            /* group=: user= does not set it */
    apr_array_header_t *env;   /* of const char *: "NAME=value" */
    const char *rest;          /* keys that are its members', as BalancerMember reads them; at first empty */
    const char *restart_file;  /* as written; NULL: not */
    const char *seen;          /* keys, each between spaces; at first empty */
} abl_app_reader_t;

/* Takes one word, key=value, env:NAME=value or limit:NAME=value, into the reader; writes into the word.
 * Returns NULL or a message. Parent. */
const char *abl_app_keys_read(abl_app_reader_t *reader, char *word);

/* Has this key been read? Parent. */
bool abl_app_keys_has(const abl_app_reader_t *reader, const char *key);

#endif
