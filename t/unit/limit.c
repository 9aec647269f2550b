/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of limits.
 */
#include <sys/resource.h>

#include "control/limit.h"
#include "unit.h"

START_TEST(each_is_found_by_its_name_and_by_its_number)
{
    size_t n = 0;

    for (; abl_limit_at(n) != NULL; n++) {
        ck_assert_ptr_eq(abl_limit_named(abl_limit_at(n)->name), abl_limit_at(n));
        ck_assert_str_eq(abl_limit_name(abl_limit_at(n)->resource), abl_limit_at(n)->name);
    }
    ck_assert_uint_ge(n, 9);
    ck_assert_int_eq(abl_limit_named("nofile")->resource, RLIMIT_NOFILE);
    ck_assert(!abl_limit_named("nofile")->is_size && abl_limit_named("as")->is_size);
}
END_TEST

START_TEST(others_are_not)
{
    ck_assert_ptr_null(abl_limit_named(""));
    ck_assert_ptr_null(abl_limit_named("nofil"));
    ck_assert_ptr_null(abl_limit_named("nofiles"));
    ck_assert_ptr_null(abl_limit_named("NOFILE"));
    ck_assert_str_eq(abl_limit_name(RLIMIT_RTTIME), "?");
}
END_TEST

UNIT_MAIN("limit", each_is_found_by_its_name_and_by_its_number, others_are_not)
