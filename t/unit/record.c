/* SPDX-License-Identifier: Apache-2.0
 *
 * What an httpd that was killed has left running is ended by the next one: that, and nothing else.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "await.h"
#include "control/proc.h"
#include "control/record.h"
#include "unit.h"

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/abl-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* A process that leads a group, and has a child in it. */
static pid_t instance(void)
{
    int fds[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        alarm(60);
        if (fork() != 0) {
            (void)!write(fds[1], "x", 1);
        }
        for (;;) {
            pause();
        }
    }
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

/* The mark of a process that is there no more. */
static const char *dead_mark(char mark[64])
{
    pid_t pid = fork();
    uint64_t began;

    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    began = abl_proc_began(pid);
    ck_assert_uint_ne(began, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    (void)snprintf(mark, 64, "%ld.%" PRIu64 "/", (long)pid, began);
    return mark;
}

static int files(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int n = 0;

    while ((entry = readdir(dir)) != NULL) {
        n += *entry->d_name != '.';
    }
    closedir(dir);
    return n;
}

/* With what is in it. */
static void remove_folder(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0);
}

static bool is_alive(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Neither it nor its child. */
static bool has_nobody(void *group)
{
    return abl_proc_signal_group(*(pid_t *)group, 0) == 0;
}

static bool is_gone(pid_t pid)
{
    return waitpid(pid, NULL, 0) == pid && await_that(has_nobody, &pid, 5000);
}

static void end(pid_t pid)
{
    (void)abl_proc_signal_group(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* What a control process has written that is not there any more: its lock is gone with it. */
static void leave(abl_record_t *record)
{
    close(record->fd_plus_one - 1);
    record->fd_plus_one = 0;
}

START_TEST(what_a_killed_httpd_has_left)
{
    abl_record_t record;
    char mark[64];
    pid_t pid = instance();

    make_folder();
    ck_assert(abl_record_open(&record, folder, dead_mark(mark)));
    abl_record_add(&record, pid, abl_proc_began(pid));
    ck_assert(!abl_record_sweep(folder)); /* its control process lives, and ends them itself */
    ck_assert(is_alive(pid));
    leave(&record);
    ck_assert(abl_record_sweep(folder));
    ck_assert(is_gone(pid));
    ck_assert_int_eq(files(), 0);
    ck_assert(!abl_record_sweep(folder));
    remove_folder();
}
END_TEST

START_TEST(who_goes_on_is_left_alone)
{
    abl_record_t record;
    char mark[64];
    pid_t pid = instance();

    make_folder();
    (void)snprintf(mark, sizeof(mark), "%ld.%" PRIu64 "/", (long)getpid(), abl_proc_began(getpid()));
    ck_assert(abl_record_open(&record, folder, mark));
    abl_record_add(&record, pid, abl_proc_began(pid));
    leave(&record); /* the control process is killed, and httpd makes another one */
    ck_assert(!abl_record_sweep(folder));
    ck_assert(is_alive(pid));
    ck_assert(abl_record_open(&record, folder, mark));
    ck_assert(!abl_record_sweep(folder));
    leave(&record);
    ck_assert(abl_record_end_instances(folder, mark)); /* by httpd itself */
    ck_assert(is_gone(pid));
    ck_assert_int_eq(files(), 0);
    remove_folder();
}
END_TEST

START_TEST(what_has_ended_is_forgotten)
{
    abl_record_t record;
    char mark[64];
    struct stat st;
    pid_t pid = instance();

    make_folder();
    ck_assert(abl_record_open(&record, folder, dead_mark(mark)));
    abl_record_add(&record, pid, abl_proc_began(pid));
    for (int i = 0; i < 10 * ABL_RECORD_MAX; i++) {
        abl_record_add(&record, getpid(), 1); /* not this one */
    }
    ck_assert_int_eq(stat(record.path, &st), 0);
    ck_assert_int_lt(st.st_size, 10 * ABL_RECORD_MAX); /* all of them were six bytes each, and more */
    leave(&record);
    ck_assert(abl_record_sweep(folder));
    ck_assert(is_gone(pid));
    remove_folder();
}
END_TEST

START_TEST(an_end_in_order)
{
    abl_record_t record;
    char mark[64];

    make_folder();
    ck_assert(abl_record_open(&record, folder, dead_mark(mark)));
    ck_assert_int_eq(files(), 1);
    abl_record_end(&record);
    ck_assert_int_eq(files(), 0);
    abl_record_end(&record);
    abl_record_add(&record, 1, 1);
    ck_assert(!abl_record_open(&record, "/nowhere/at/all", mark));
    abl_record_add(&record, 1, 1);
    remove_folder();
}
END_TEST

/* A file of the httpd with this mark, and in it these lines. */
static void write_file(const char *mark, const char *lines)
{
    char path[128], boot[64];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

    ck_assert_ptr_nonnull(fgets(boot, sizeof(boot), file));
    fclose(file);
    (void)snprintf(path, sizeof(path), "%s/%.*s.run", folder, (int)strcspn(mark, "/"), mark);
    file = fopen(path, "w");
    fprintf(file, "%s%s", *lines == '!' ? "another boot\n" : boot, *lines == '!' ? lines + 1 : lines);
    fclose(file);
}

START_TEST(nobody_else)
{
    pid_t pid = instance();
    unsigned long long began = abl_proc_began(pid);
    char mark[64], lines[5][64];

    make_folder();
    (void)snprintf(lines[0], 64, "%ld %llu\n", (long)pid, began - 1); /* its number is another's by now */
    (void)snprintf(lines[1], 64, "!%ld %llu\n", (long)pid, began);    /* before the machine began anew */
    (void)snprintf(lines[2], 64, "%ld\n", (long)pid);
    (void)snprintf(lines[3], 64, "-1 1\n0 0\n1 %llu\n", (unsigned long long)abl_proc_began(1));
    (void)snprintf(lines[4], 64, "x\n\n\n999999999999999999999 1\n");
    for (size_t i = 0; i < COUNT(lines); i++) {
        write_file(dead_mark(mark), lines[i]);
        ck_assert_msg(!abl_record_sweep(folder), "%s", lines[i]);
        ck_assert_int_eq(files(), 0);
    }
    ck_assert(is_alive(pid));
    end(pid);
    remove_folder();
}
END_TEST

/* What lies in the folder and is no such file. */
START_TEST(other_files)
{
    static const char *const names[] = {"x.run", "1.2", "1.2.run.old", "2.run", "web.sock", "2.x.run"};
    char path[128], mark[64];
    int fd;

    make_folder();
    for (size_t i = 0; i < COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    (void)dead_mark(mark);
    (void)snprintf(path, sizeof(path), "%s/%.*s.run", folder, (int)strcspn(mark, "/"), mark);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody waits there */
    ck_assert(!abl_record_sweep(folder));
    ck_assert_int_eq(files(), (int)COUNT(names) + 1);
    ck_assert(!abl_record_sweep("/nowhere/at/all"));
    remove_folder();
}
END_TEST

UNIT_MAIN("record", what_a_killed_httpd_has_left, who_goes_on_is_left_alone, what_has_ended_is_forgotten,
          an_end_in_order, nobody_else, other_files)
