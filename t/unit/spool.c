/* SPDX-License-Identifier: Apache-2.0
 *
 * The spool: what goes in comes out, from memory and from the file, within its limits.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/spool.h"
#include "unit.h"

/* The byte at a place: no two neighbouring blocks look alike. */
static char byte_at(uint64_t at)
{
    return (char)(at * 31 + at / 251 + at / 65521);
}

static apr_status_t put(abl_spool_t *spool, uint64_t at, size_t len)
{
    static char bytes[1 << 20];

    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(at + i);
    }
    return abl_spool_write(spool, bytes, len);
}

/* Reads `len` bytes, or all there are, at most `most` at once. Returns where it ended. */
static uint64_t get(abl_spool_t *spool, uint64_t at, uint64_t len, size_t most)
{
    while (len > 0 && abl_spool_length(spool) > 0) {
        const char *bytes;
        size_t n;

        ck_assert_int_eq(abl_spool_peek(spool, &bytes, &n), APR_SUCCESS);
        ck_assert_uint_gt(n, 0);
        n = n < most ? n : most;
        n = n < len ? n : (size_t)len;
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_eq(bytes[i], byte_at(at + i));
        }
        abl_spool_drop(spool, n);
        at += n;
        len -= n;
    }
    return at;
}

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

START_TEST(an_empty_one)
{
    abl_spool_t spool = {.memory_max = 100};
    const char *bytes;
    size_t len = 1;

    ck_assert_uint_eq(abl_spool_length(&spool), 0);
    ck_assert_int_eq(abl_spool_peek(&spool, &bytes, &len), APR_SUCCESS);
    ck_assert_uint_eq(len, 0);
    abl_spool_drop(&spool, 0);
    ck_assert_int_eq(abl_spool_write(&spool, "", 0), APR_SUCCESS);
    ck_assert_uint_eq(abl_spool_length(&spool), 0);
    abl_spool_clear(&spool);
}
END_TEST

START_TEST(memory_alone)
{
    abl_spool_t spool = {.memory_max = 100000};
    uint64_t in = 0, out = 0;

    for (size_t len = 1; abl_spool_has_room(&spool); len = len * 3 % 40009) {
        ck_assert_int_eq(put(&spool, in, len), APR_SUCCESS);
        in += len;
    }
    ck_assert_uint_ge(in, 100000);
    out = get(&spool, out, 30000, 777);
    ck_assert(abl_spool_has_room(&spool));
    ck_assert_int_eq(put(&spool, in, 5), APR_SUCCESS);
    out = get(&spool, out, UINT64_MAX, SIZE_MAX);
    ck_assert_uint_eq(out, in + 5);
    abl_spool_clear(&spool);
}
END_TEST

START_TEST(memory_then_a_file_that_nobody_sees)
{
    char folder[] = "/tmp/abl-spool-XXXXXX";
    int before = descriptors();
    uint64_t in = 0, out = 0;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    abl_spool_t spool = {.memory_max = 50000, .file_max = 1000000, .folder = folder};
    ck_assert_int_eq(put(&spool, in, 50000), APR_SUCCESS);
    in += 50000;
    ck_assert_int_eq(descriptors(), before);
    while (abl_spool_has_room(&spool)) {
        ck_assert_int_eq(put(&spool, in, 33333), APR_SUCCESS);
        in += 33333;
    }
    ck_assert_uint_ge(in, 1050000);
    ck_assert_uint_lt(in, 1050000 + 33333);
    ck_assert_int_eq(descriptors(), before + 1);
    ck_assert_int_eq(rmdir(folder), 0); /* it is empty */
    out = get(&spool, out, 20000, 4096);
    ck_assert(!abl_spool_has_room(&spool)); /* room in memory is of no use as long as there is a file */
    out = get(&spool, out, UINT64_MAX, 5000);
    ck_assert_uint_eq(out, in);
    ck_assert(abl_spool_has_room(&spool));
    for (int round = 0; round < 5; round++) { /* the same file, emptied */
        ck_assert_int_eq(put(&spool, in, 300000), APR_SUCCESS);
        in += 300000;
        out = get(&spool, out, 100000, SIZE_MAX);
        ck_assert_int_eq(put(&spool, in, 1000), APR_SUCCESS);
        in += 1000;
        out = get(&spool, out, UINT64_MAX, SIZE_MAX);
        ck_assert_uint_eq(out, in);
    }
    abl_spool_clear(&spool);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(what_is_left_is_freed)
{
    abl_spool_t spool = {.memory_max = 20000, .file_max = 1000000, .folder = "/tmp"};
    int before = descriptors();
    const char *bytes;
    size_t len;

    ck_assert_int_eq(put(&spool, 0, 100000), APR_SUCCESS);
    get(&spool, 0, 25000, SIZE_MAX);
    ck_assert_int_eq(abl_spool_peek(&spool, &bytes, &len), APR_SUCCESS);
    abl_spool_clear(&spool); /* the sanitizer looks for what is lost */
    ck_assert_int_eq(descriptors(), before);
    ck_assert_uint_eq(abl_spool_length(&spool), 0);
    ck_assert_int_eq(put(&spool, 0, 100000), APR_SUCCESS);
    ck_assert_uint_eq(get(&spool, 0, UINT64_MAX, SIZE_MAX), 100000);
    abl_spool_clear(&spool);
}
END_TEST

START_TEST(a_folder_that_is_not_there)
{
    abl_spool_t spool = {.memory_max = 10, .file_max = 100, .folder = "/tmp/there is no such folder"};

    ck_assert_int_eq(put(&spool, 0, 10), APR_SUCCESS);
    ck_assert(abl_spool_has_room(&spool));
    ck_assert_int_eq(put(&spool, 10, 40000), APR_SUCCESS);
    ck_assert_int_eq(spool.failed, ENOENT);
    ck_assert(!abl_spool_has_room(&spool));
    ck_assert_int_eq(put(&spool, 40010, 5000), APR_SUCCESS); /* a piece more than there is room */
    ck_assert_uint_eq(get(&spool, 0, UINT64_MAX, 999), 45010);
    ck_assert(abl_spool_has_room(&spool));
    abl_spool_clear(&spool);
}
END_TEST

START_TEST(a_disk_that_is_full)
{
    abl_spool_t spool = {.memory_max = 10, .file_max = 1000000, .folder = "/tmp"};
    struct rlimit limit;
    uint64_t in = 0, out = 0;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 65536;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int round = 0; round < 3; round++) {
        while (abl_spool_has_room(&spool)) {
            ck_assert_int_eq(put(&spool, in, 30000), APR_SUCCESS);
            in += 30000;
        }
        ck_assert_int_eq(spool.failed, EFBIG);
        ck_assert_uint_eq(abl_spool_length(&spool), in - out);
        ck_assert_uint_lt(in - out, 65536 + 10 + 30000);
        out = get(&spool, out, 10000, SIZE_MAX);
        ck_assert(!abl_spool_has_room(&spool));
        out = get(&spool, out, UINT64_MAX, SIZE_MAX);
        ck_assert_uint_eq(out, in);
        ck_assert(abl_spool_has_room(&spool));
    }
    ck_assert_int_eq(put(&spool, in, 90000), APR_SUCCESS);
    abl_spool_clear(&spool); /* with all three parts in use */
}
END_TEST

/* As often as wanted, from wherever it was. */
START_TEST(what_is_kept_can_be_had_again)
{
    static const uint64_t lengths[] = {1, 16384, 100000, 100001, 400000};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        abl_spool_t spool = {.memory_max = 100000, .file_max = 1000000, .folder = "/tmp"};
        ck_assert_int_eq(put(&spool, 0, (size_t)lengths[i]), APR_SUCCESS);
        ck_assert(abl_spool_keep(&spool));
        abl_spool_rewind(&spool); /* from its beginning */
        for (uint64_t part = 0; part <= lengths[i]; part += lengths[i] / 5 + 1) {
            ck_assert_uint_eq(abl_spool_length(&spool), lengths[i]);
            ck_assert_uint_eq(get(&spool, 0, part, 10007), part);
            ck_assert_uint_eq(abl_spool_length(&spool), lengths[i] - part);
            abl_spool_rewind(&spool);
        }
        ck_assert_uint_eq(get(&spool, 0, UINT64_MAX, SIZE_MAX), lengths[i]);
        abl_spool_rewind(&spool);
        ck_assert_uint_eq(get(&spool, 0, UINT64_MAX, 777), lengths[i]);
        ck_assert_uint_eq(abl_spool_length(&spool), 0);
        abl_spool_clear(&spool);
    }
}
END_TEST

UNIT_MAIN("spool", what_is_kept_can_be_had_again, an_empty_one, memory_alone,
          memory_then_a_file_that_nobody_sees, what_is_left_is_freed, a_folder_that_is_not_there,
          a_disk_that_is_full)
