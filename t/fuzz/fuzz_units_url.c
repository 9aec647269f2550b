/* SPDX-License-Identifier: Apache-2.0
 *
 * What directives hold: results stay in their ranges, the canonical text of an address means itself, and
 * messages never echo a control character.
 *
 * Input: text.
 */
#include <apr_general.h>

#include "base/member_url.h"
#include "base/units.h"
#include "fuzz.h"

static void check_units(const char *text)
{
    int64_t number = -1;
    uint32_t weight = 0;

    CHECK(abl_units_time(text, &number) || (number >= 0 && number <= INT64_C(604800000000)));
    number = -1;
    CHECK(abl_units_size(text, &number) || (number >= 0 && number <= INT64_C(1) << 53));
    number = -1;
    CHECK(abl_units_number(text, 7, 70000, &number) || (number >= 7 && number <= 70000));
    CHECK(abl_units_number(text, 0, INT64_MAX, &number) || number >= 0);
    CHECK(abl_units_weight(text, &weight) || (weight >= 100 && weight <= 100000));
}

static bool is_clean(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static void check_same(const abl_member_url_t *a, const abl_member_url_t *b)
{
    CHECK(strcmp(a->text, b->text) == 0 && strcmp(a->scheme, b->scheme) == 0);
    CHECK(strcmp(a->host, b->host) == 0 && strcmp(a->authority, b->authority) == 0);
    CHECK(strcmp(a->path, b->path) == 0 && a->port == b->port);
    CHECK(!a->socket_path == !b->socket_path);
    CHECK(!a->socket_path || strcmp(a->socket_path, b->socket_path) == 0);
}

static void check_url(apr_pool_t *pool, const char *text)
{
    abl_member_url_t url, again;
    const char *why = abl_member_url_parse(pool, text, &url);
    size_t path_len;

    if (why) {
        CHECK(*why && is_clean(why));
        return;
    }
    CHECK(is_clean(url.text) && !strchr(url.text, ' '));
    CHECK(url.port > 0 && url.host[0] && url.authority[0]);
    path_len = strlen(url.path);
    CHECK(path_len == 0 || (url.path[0] == '/' && url.path[path_len - 1] != '/'));
    CHECK(!strpbrk(url.path, "?#"));
    CHECK(!url.socket_path || url.socket_path[0] == '/');
    CHECK(!abl_member_url_parse(pool, url.text, &again));
    check_same(&url, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static apr_pool_t *root;
    apr_pool_t *pool;
    char *text = malloc(len + 1);

    if (!root) {
        CHECK(apr_initialize() == APR_SUCCESS && apr_pool_create(&root, NULL) == APR_SUCCESS);
    }
    CHECK(text && apr_pool_create(&pool, root) == APR_SUCCESS);
    memcpy(text, in, len);
    text[len] = '\0';
    check_units(text);
    check_url(pool, text);
    apr_pool_destroy(pool);
    free(text);
    return 0;
}
