/* SPDX-License-Identifier: Apache-2.0
 *
 * Which instances run, on disk. A file is text: the boot that it belongs to, then a line for each instance
 * with pid and time of beginning. Its name is MARK.run, and a mark (board.c) begins with the parent's.
 */
#include "control/record.h"

#include "control/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".run"
#define LINE_ROOM 64 /* bytes of any line, that of the boot included */
#define GONE_MS 1000 /* for one that was killed */
#define ROUNDS 100   /* each may uncover who was forked meanwhile */

/* The file of the httpd with this mark. False: its path is too long. */
static bool name_file(char path[ABL_RECORD_PATH_MAX], const char *folder, const char *mark)
{
    int len = snprintf(path, ABL_RECORD_PATH_MAX, "%s/%.*s" SUFFIX, folder, (int)strcspn(mark, "/"), mark);

    errno = ENAMETOOLONG;
    return len < ABL_RECORD_PATH_MAX;
}

/* Times of beginning count from it. Ends with a line feed. */
static bool read_boot(char boot[LINE_ROOM])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool is_read = file != NULL && fgets(boot, LINE_ROOM, file) != NULL;

    if (file != NULL) {
        fclose(file);
    }
    return is_read;
}

/* Takes a line apart. False: it is none, or there is no such process any more. */
static bool read_line(const char *line, pid_t *pid, uint64_t *began)
{
    char *end;

    *pid = (pid_t)strtol(line, &end, 10);
    *began = *end == ' ' ? strtoull(end + 1, NULL, 10) : 0;
    return *pid > 1 && *began != 0 && abl_proc_began(*pid) == *began;
}

/* ---- this httpd's ----------------------------------------------------------------------------------- */

/* What `file` tells of and what still runs, behind the line of the boot. Returns how many bytes that is. */
static size_t keep_living(FILE *file, char *kept)
{
    size_t len = strlen(kept);
    char line[LINE_ROOM];
    int n = 1;

    while (n < ABL_RECORD_MAX && fgets(line, sizeof(line), file) != NULL) {
        uint64_t began;
        pid_t pid;
        if (read_line(line, &pid, &began)) {
            len += (size_t)snprintf(kept + len, LINE_ROOM, "%ld %" PRIu64 "\n", (long)pid, began);
            n++;
        }
    }
    return len;
}

/* Begins the file anew with what runs now. */
static void tidy(abl_record_t *record)
{
    FILE *file = fopen(record->path, "re");
    char *kept = malloc((size_t)ABL_RECORD_MAX * LINE_ROOM);

    record->lines = 0;
    if (file != NULL && kept != NULL && read_boot(kept)) {
        size_t len = keep_living(file, kept);
        if (ftruncate(record->fd_plus_one - 1, 0) == 0) {
            (void)!write(record->fd_plus_one - 1, kept, len);
        }
    }
    free(kept);
    if (file != NULL) {
        fclose(file);
    }
}

bool abl_record_open(abl_record_t *record, const char *folder, const char *mark)
{
    int fd;

    record->fd_plus_one = 0;
    if (!name_file(record->path, folder, mark)) {
        return false;
    }
    fd = open(record->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return false;
    }
    record->fd_plus_one = fd + 1;
    tidy(record);
    return true;
}

void abl_record_add(abl_record_t *record, pid_t pid, uint64_t began)
{
    char line[LINE_ROOM];
    int len = snprintf(line, sizeof(line), "%ld %" PRIu64 "\n", (long)pid, began);

    if (record == NULL || record->fd_plus_one == 0) {
        return;
    }
    if (++record->lines > ABL_RECORD_MAX / 2) { /* not more run at once (control/app.h) */
        tidy(record);
    }
    (void)!write(record->fd_plus_one - 1, line, (size_t)len);
}

void abl_record_end(abl_record_t *record)
{
    if (record->fd_plus_one != 0) {
        (void)unlink(record->path);
        close(record->fd_plus_one - 1);
        record->fd_plus_one = 0;
    }
}

/* ---- those of others -------------------------------------------------------------------------------- */

/* Is this the name of a file whose parent is not there any more? */
static bool is_abandoned(const char *name)
{
    char *end;
    long pid = strtol(name, &end, 10);
    uint64_t began = *end == '.' ? strtoull(end + 1, &end, 10) : 0;

    return pid > 1 && began != 0 && strcmp(end, SUFFIX) == 0 && abl_proc_began((pid_t)pid) != began;
}

/* Until its address is free. */
static void wait_until_gone(pid_t pid, uint64_t began)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int ms = GONE_MS;

    while (abl_proc_began(pid) == began && ms-- > 0) {
        (void)nanosleep(&pause, NULL);
    }
}

static bool end_instance(const char *line)
{
    uint64_t began;
    pid_t pid;

    if (!read_line(line, &pid, &began)) {
        return false;
    }
    (void)abl_proc_signal_group(pid, SIGKILL);
    wait_until_gone(pid, began);
    return true;
}

/* By their groups, then by the mark: see abl_proc_signal_marked(). */
static bool end_instances(FILE *file, const char *name)
{
    char boot[LINE_ROOM], line[LINE_ROOM], mark[LINE_ROOM];
    int rounds = ROUNDS, most = ABL_RECORD_MAX;
    bool any = false;

    if (!read_boot(boot) || fgets(line, sizeof(line), file) == NULL || strcmp(boot, line) != 0) {
        return false; /* all of that was before the machine began anew */
    }
    while (most-- > 0 && fgets(line, sizeof(line), file) != NULL) {
        any = end_instance(line) || any;
    }
    name = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    (void)snprintf(mark, sizeof(mark), "%.*s/", (int)(strlen(name) - strlen(SUFFIX)), name);
    while (abl_proc_signal_marked(mark, true, SIGKILL) > 0 && rounds-- > 0) {
        any = true;
    }
    return any;
}

static bool sweep_file(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    FILE *file = NULL;
    struct stat st;
    bool any;

    /* Only what this user has written is believed; who has it locked goes on. */
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        flock(fd, LOCK_EX | LOCK_NB) == 0) {
        file = fdopen(fd, "r");
    }
    if (file == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    any = end_instances(file, name);
    fclose(file);
    (void)unlinkat(folder, name, 0);
    return any;
}

bool abl_record_sweep(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool any = false;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_abandoned(entry->d_name)) {
            any = sweep_file(dirfd(dir), entry->d_name) || any;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return any;
}

bool abl_record_end_instances(const char *folder, const char *mark)
{
    char path[ABL_RECORD_PATH_MAX];

    return name_file(path, folder, mark) && sweep_file(AT_FDCWD, path);
}
