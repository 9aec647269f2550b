/* SPDX-License-Identifier: Apache-2.0
 *
 * What every unit test shares: main(), printing TAP, and the ways to cut a sample into pieces.
 */
#ifndef ABL_UNIT_H
#define ABL_UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A literal and its length, NULs inside included. */
#define BYTES(literal) (literal), sizeof(literal) - 1

/* main() of a file whose START_TESTs are listed. One that is left out is an unused variable, an error. */
#define UNIT_MAIN(name, ...)                                                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *tests[] = {__VA_ARGS__};                                                                \
        return unit_run((name), tests, COUNT(tests));                                                        \
    }

/* prove shows what is written here, and nothing of TAP. */
static inline void unit_say_failures(SRunner *runner)
{
    int n = srunner_ntests_failed(runner);
    TestResult **results = srunner_failures(runner);

    for (int i = 0; i < n; i++) {
        fprintf(stderr, "# %s:%d: %s: %s\n", tr_lfile(results[i]), tr_lno(results[i]), tr_tcname(results[i]),
                tr_msg(results[i]));
    }
    free(results);
}

static inline int unit_run(const char *name, const TTest *const *tests, size_t ntests)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);

    for (size_t i = 0; i < ntests; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    tcase_set_timeout(tcase, 180); /* most take milliseconds; ledger_churn half a minute */
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    unit_say_failures(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A sample of `len` bytes is fed in the ways 0 to `len`: 0 whole, `len` byte by byte, any other cut there in
 * two. Returns where the piece that begins at `at` ends. */
static inline size_t unit_piece_end(size_t way, size_t len, size_t at)
{
    if (way == 0) {
        return len;
    }
    if (way == len) {
        return at + 1;
    }
    return at < way ? way : len;
}

/* A copy with not one byte to spare, so that the address sanitizer sees a read past its end. */
static inline char *unit_copy(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    return copy;
}

#endif
