/* SPDX-License-Identifier: Apache-2.0
 *
 * Directives that are lists of key=value, each key at most once.
 */
#ifndef ABL_HTTPD_WORDS_H
#define ABL_HTTPD_WORDS_H

#include "httpd/config.h"

typedef struct abl_word_t {
    const char *key;
    const char *(*set)(void *conf, apr_pool_t *p, const char *value); /* NULL, or what was expected */
} abl_word_t;

/* A directive. The ids are those of its messages. */
typedef struct abl_words_t {
    const char *directive;
    const char *keys; /* as a message names them */
    const char *none_id, *unknown_id, *twice_id, *bad_id;
    const abl_word_t *words; /* the last one's key is NULL */
} abl_words_t;

/* Reads one word, which is changed. Otherwise as the next one. */
const char *abl_words_set(apr_pool_t *p, const abl_words_t *words, char *word, void *conf, unsigned *seen);

/* Reads the words into `conf`, which holds the defaults; *seen keeps what was read before, 0 at first.
 * Returns NULL or a message. Parent. */
const char *abl_words_parse(apr_pool_t *p, const abl_words_t *words, const char *args, void *conf,
                            unsigned *seen);

#endif
