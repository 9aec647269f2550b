/* SPDX-License-Identifier: Apache-2.0
 *
 * The cookies of a request.
 */
#include "httpd/cookie.h"

#include "apr_lib.h"
#include "apr_strings.h"

/* A comma, too: httpd makes one field of several with it. */
#define ENDS ";,"

/* Is this pair, up to its end, NAME=value? Then where the value begins. */
static const char *value_of(const char *pair, const char *end, const char *name)
{
    apr_size_t len = strlen(name);

    if ((apr_size_t)(end - pair) <= len || strncmp(pair, name, len) != 0) {
        return NULL;
    }
    pair += len;
    while (pair < end && apr_isspace(*pair)) {
        pair++;
    }
    return pair < end && *pair == '=' ? pair + 1 : NULL;
}

/* A copy without white space and one pair of quotes around it. */
static const char *trim(apr_pool_t *p, const char *value, const char *end)
{
    apr_size_t len;

    while (value < end && apr_isspace(*value)) {
        value++;
    }
    while (end > value && apr_isspace(end[-1])) {
        end--;
    }
    len = (apr_size_t)(end - value);
    return len > 1 && value[0] == '"' && value[len - 1] == '"' ? apr_pstrmemdup(p, value + 1, len - 2)
                                                               : apr_pstrmemdup(p, value, len);
}

const char *abl_cookie_next(request_rec *r, const char *name, const char **at)
{
    const char *pair = *at != NULL ? *at : apr_table_get(r->headers_in, "Cookie");

    while (pair != NULL && *pair != '\0') {
        const char *begin = pair + strspn(pair, " \t" ENDS);
        const char *end = begin + strcspn(begin, ENDS);
        const char *value = value_of(begin, end, name);
        pair = end;
        if (value != NULL) {
            *at = end;
            return trim(r->pool, value, end);
        }
    }
    *at = "";
    return NULL;
}

bool abl_cookie_is_set_by(const char *value, const char *name)
{
    value += strspn(value, " \t");
    return value_of(value, value + strcspn(value, ";"), name) != NULL;
}

bool abl_cookie_is_token(const char *name)
{
    const char *c = name;

    while (apr_isalnum(*c) || (*c != '\0' && strchr("!#$%&'*+-.^_`|~", *c) != NULL)) {
        c++;
    }
    return *c == '\0' && c > name;
}
