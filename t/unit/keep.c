/* SPDX-License-Identifier: Apache-2.0
 *
 * What was changed by hand, in a file: written whole or not at all, read back, and what is no such file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "control/keep.h"
#include "ledger_world.h"
#include "member_view.h"

static ledger_world_t w;
static char folder[] = "/tmp/abl-keep-XXXXXX";
static char path[64];
static int lost, missing;
static unsigned lost_bits;

#define GATE(name) (&(abl_gate_t){w.segment, w.child, "test", name})

static void on_lost(void *ctx, const abl_steered_t *steered, unsigned stale, bool found)
{
    (void)ctx;
    (void)steered;
    lost += found;
    missing += !found;
    lost_bits |= stale;
}

static const abl_keep_news_t news = {on_lost, NULL};

static void world_of(const char *addresses)
{
    make_world(&w, addresses, 0);
    sit_down(&w);
    lost = missing = 0;
    lost_bits = 0;
    if (path[0] == '\0') {
        ck_assert_ptr_nonnull(mkdtemp(folder));
        (void)snprintf(path, sizeof(path), "%s/keep.json", folder);
    }
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(there_and_back)
{
    world_of("ab");
    ck_assert_int_eq(abl_steer_member(GATE("a"), ABL_STEER_DRAIN, 0, "by m\xc3\xbc"), APR_SUCCESS);
    ck_assert_int_eq(abl_steer_member(GATE("b"), ABL_STEER_WEIGHT, 350, "no \xff text"), APR_SUCCESS);
    ck_assert_int_eq(abl_keep_write(w.segment, path), 0);
    world_of("ab");
    ck_assert_ptr_null(abl_keep_read(w.segment, path, w.pool, &news));
    ck_assert_int_eq(lost + missing, 0);
    ck_assert(member_view(w.segment, 0).draining);
    ck_assert_str_eq(member_view(w.segment, 0).notes[ABL_NOTE_OF_STATUS], "by m\xc3\xbc");
    ck_assert_uint_eq(member_view(w.segment, 1).weight, 350);
    world_of("b");
    w.members[0].weight = 200;
    configure(&w);
    ck_assert_ptr_null(abl_keep_read(w.segment, path, w.pool, &news));
    ck_assert_int_eq(missing, 1);
    ck_assert_int_eq(lost, 1);
    ck_assert_uint_eq(lost_bits & ABL_STEERED_WEIGHT, ABL_STEERED_WEIGHT);
}
END_TEST

START_TEST(no_such_file)
{
    world_of("a");
    ck_assert_ptr_null(abl_keep_read(w.segment, "/nowhere/at/all", w.pool, &news));
    ck_assert_ptr_nonnull(abl_keep_read(w.segment, "/tmp", w.pool, &news));
}
END_TEST

START_TEST(strange_files)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"version\": 2, \"members\": []}",
        "{\"version\": 1}",
        "{\"version\": 1, \"members\": {}}",
        "{\"version\": 1, \"members\": [1]}",
        "{\"version\": 1, \"members\": [{\"balancer\": \"test\", \"address\": \"a\"}]}",
        "{\"version\": 1, \"members\": [{\"balancer\": \"test\", \"address\": \"a\", \"status\": 9, "
        "\"configured_status\": 0, \"weight\": 1, "
        "\"configured_weight\": 1, \"concurrency\": 0, \"configured_concurrency\": 0, \"changed\": 1}]}",
        "{\"version\": 1, \"members\": [{\"balancer\": \"test\", \"address\": \"a\", \"status\": 1, "
        "\"configured_status\": 0, \"weight\": 0, "
        "\"configured_weight\": 100, \"concurrency\": 0, \"configured_concurrency\": 0, \"changed\": 1}]}",
        "{\"version\": 1, \"members\": [{\"balancer\": \"test\", \"address\": \"a\", \"status\": 1, "
        "\"configured_status\": 0, \"weight\": 100, "
        "\"configured_weight\": 100, \"concurrency\": -1, \"configured_concurrency\": 0, \"changed\": 1}]}"};

    world_of("a");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(texts[i]);
        ck_assert_msg(abl_keep_read(w.segment, path, w.pool, &news) != NULL, "%s", texts[i]);
    }
    ck_assert_uint_eq(member_view(w.segment, 0).steered, 0);
    ck_assert_int_eq(truncate(path, ABL_KEEP_FILE_MAX + 1), 0);
    ck_assert_ptr_nonnull(abl_keep_read(w.segment, path, w.pool, &news));
}
END_TEST

/* Only when something has changed; and when it cannot be done it is tried again. */
START_TEST(when_it_is_written)
{
    abl_keep_t keep;
    struct stat st;
    char other[80];

    world_of("a");
    (void)unlink(path);
    keep = (abl_keep_t){.segment = w.segment};
    ck_assert_int_eq(abl_keep_work(&keep, NULL, 0), INT64_MAX);
    ck_assert_int_eq(abl_keep_work(&keep, path, 0), INT64_MAX);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    (void)unlink(path);
    ck_assert_int_eq(abl_keep_work(&keep, path, 0), INT64_MAX);
    ck_assert_int_ne(stat(path, &st), 0);
    ck_assert_int_eq(abl_steer_member(GATE("a"), ABL_STEER_DRAIN, 0, ""), APR_SUCCESS);
    ck_assert_int_eq(abl_keep_work(&keep, path, 0), INT64_MAX);
    ck_assert_int_eq(stat(path, &st), 0);
    (void)snprintf(other, sizeof(other), "%s/none/keep.json", folder);
    ck_assert_int_eq(abl_keep_work(&keep, other, 0), 5 * ABL_SECOND);
    ck_assert_int_eq(abl_keep_work(&keep, other, 1), 5 * ABL_SECOND); /* not at once again */
    ck_assert_int_eq(keep.error, ENOENT);
    ck_assert_int_eq(abl_keep_work(&keep, path, 6 * ABL_SECOND), INT64_MAX);
    ck_assert_int_eq(keep.error, 0);
}
END_TEST

/* A link that somebody has put where the new file would be is not followed; and there is always a whole file.
 */
START_TEST(links_and_full_disks)
{
    char other[80], elsewhere[80];
    struct stat st;

    world_of("a");
    ck_assert_int_eq(abl_keep_write(w.segment, path), 0);
    (void)snprintf(other, sizeof(other), "%s.new", path);
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", folder);
    ck_assert_int_eq(symlink(elsewhere, other), 0);
    ck_assert_int_eq(abl_keep_write(w.segment, path), 0);
    ck_assert_int_ne(stat(elsewhere, &st), 0);
    ck_assert_int_ne(lstat(other, &st), 0);
    ck_assert_ptr_null(abl_keep_read(w.segment, path, w.pool, &news));
    ck_assert_int_ne(abl_keep_write(w.segment, "/dev/full/x"), 0);
}
END_TEST

UNIT_MAIN("keep", there_and_back, no_such_file, strange_files, when_it_is_written, links_and_full_disks)
