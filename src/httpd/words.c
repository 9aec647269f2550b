/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading words.
 */
#include "httpd/words.h"

#include "apr_strings.h"

const char *abl_words_set(apr_pool_t *p, const abl_words_t *words, char *word, void *conf, unsigned *seen)
{
    char *value = strchr(word, '=');
    const abl_word_t *w = words->words;
    const char *error;
    unsigned bit;

    if (value != NULL) {
        *value++ = '\0';
    }
    while (w->key != NULL && ap_cstr_casecmp(word, w->key) != 0) {
        w++;
    }
    if (value == NULL || w->key == NULL) {
        return apr_psprintf(p, "%s: %s: '%s' is not one of %s", words->unknown_id, words->directive, word,
                            words->keys);
    }
    bit = 1u << (w - words->words);
    if (*seen & bit) {
        return apr_psprintf(p, "%s: %s: %s= is given twice", words->twice_id, words->directive, word);
    }
    *seen |= bit;
    error = w->set(conf, p, value);
    return error == NULL
               ? NULL
               : apr_psprintf(p, "%s: %s %s=%s: %s", words->bad_id, words->directive, word, value, error);
}

const char *abl_words_parse(apr_pool_t *p, const abl_words_t *words, const char *args, void *conf,
                            unsigned *seen)
{
    const char *error = NULL;

    if (*args == '\0') {
        return apr_psprintf(p, "%s: %s takes at least one of %s", words->none_id, words->directive,
                            words->keys);
    }
    while (error == NULL && *args != '\0') {
        error = abl_words_set(p, words, ap_getword_conf(p, &args), conf, seen);
    }
    return error;
}
