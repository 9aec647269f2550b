/* SPDX-License-Identifier: Apache-2.0
 *
 * %{port}, %{socket} and %%: where they are, and what becomes of them.
 */
#include <apr_general.h>
#include <stdio.h>

#include "control/placeholder.h"
#include "unit.h"

/* All of a text, as "KIND:what stands there" each. */
static const char *list(const char *text)
{
    static const char letters[] = {[ABL_PLACEHOLDER_PORT] = 'p',
                                   [ABL_PLACEHOLDER_SOCKET] = 's',
                                   [ABL_PLACEHOLDER_SIGN] = '%',
                                   [ABL_PLACEHOLDER_UNKNOWN] = '?'};
    static char said[256];
    abl_placeholder_t it;
    size_t len = 0;

    said[0] = '\0';
    for (it = abl_placeholder_find(text); it.at != NULL; it = abl_placeholder_find(it.at + it.len)) {
        ck_assert_uint_gt(it.len, 0);
        len += (size_t)snprintf(said + len, sizeof(said) - len, "%s%c:%.*s", len > 0 ? " " : "",
                                letters[it.kind], (int)it.len, it.at);
        ck_assert_uint_lt(len, sizeof(said));
    }
    ck_assert_int_eq(it.kind, ABL_PLACEHOLDER_NONE);
    return said;
}

START_TEST(where_they_are)
{
    ck_assert_str_eq(list(""), "");
    ck_assert_str_eq(list("100% of %d, 5%"), "");
    ck_assert_str_eq(list("--port=%{port} -s%{socket}"), "p:%{port} s:%{socket}");
    ck_assert_str_eq(list("%%{port}"), "%:%%");
    ck_assert_str_eq(list("%%%{port}"), "%:%% p:%{port}");
    ck_assert_str_eq(list("%%%%{socket}"), "%:%% %:%%");
    ck_assert_str_eq(list("%{prot}%{PORT}"), "?:%{prot} ?:%{PORT}");
    ck_assert_str_eq(list("%{port"), "?:%{port");
    ck_assert_str_eq(list("%{a b} %{"), "?:%{a ?:%{");
    ck_assert_str_eq(list("%{x%{port}"), "?:%{x p:%{port}");
}
END_TEST

static const char *fill(const abl_app_conf_t *app, int slot, const char *text)
{
    static char filled[256];
    apr_pool_t *pool;

    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    (void)snprintf(filled, sizeof(filled), "%s", abl_placeholder_fill(pool, app, slot, text));
    apr_pool_destroy(pool);
    return filled;
}

START_TEST(what_becomes_of_them)
{
    static const int ports[] = {4000, 4001};
    static const char *const sockets[] = {"/a", "/b%{port}%%"};
    const abl_app_conf_t with_ports = {.ports = ports, .nslots = 2};
    const abl_app_conf_t with_sockets = {.sockets = sockets, .ports = (int[]){0, 0}, .nslots = 2};

    apr_initialize();
    ck_assert_str_eq(fill(&with_ports, 0, "x"), "x");
    ck_assert_str_eq(fill(&with_ports, 0, ""), "");
    ck_assert_str_eq(fill(&with_ports, 1, "%{port}:%{port}"), "4001:4001");
    ck_assert_str_eq(fill(&with_ports, 0, "%%{port}%%%{port}%"), "%{port}%4000%");
    ck_assert_str_eq(fill(&with_ports, 0, "%{socket}%{x%{port}"), "%{socket}%{x4000");
    ck_assert_str_eq(fill(&with_sockets, 0, "%{socket}%{port}"), "/a%{port}");
    ck_assert_str_eq(fill(&with_sockets, 1, "<%{socket}>"), "</b%{port}%%>"); /* not once more */
    apr_terminate();
}
END_TEST

UNIT_MAIN("placeholder", where_they_are, what_becomes_of_them)
