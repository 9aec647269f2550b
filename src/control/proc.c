/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc. Processes come and go while it is read: what cannot be read any more is left out.
 */
#include "control/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROCESSES_MAX (1 << 22)   /* the kernel's own limit of pids */
#define ENVIRONMENT_MAX (8 << 20) /* bytes that are looked at */
#define MARK_MAX 512              /* of ABL_INSTANCE_MARK with its value */
#define LINK_MAX_SHOWN 64         /* bytes of where a descriptor leads, with the end */

/* ---- looking at one --------------------------------------------------------------------------------- */

/* For this thread, until as_myself(): root without CAP_SYS_PTRACE may not look at somebody else's process,
 * but that one's user may. */
static bool as_its_user(pid_t pid)
{
    char name[32];
    struct stat st;

    (void)snprintf(name, sizeof(name), "/proc/%d", (int)pid);
    if (geteuid() != 0 || stat(name, &st) < 0) {
        return false;
    }
    (void)setfsgid(st.st_gid);
    (void)setfsuid(st.st_uid);
    return true;
}

static void as_myself(void)
{
    int error = errno;

    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    errno = error;
}

int abl_proc_open(pid_t pid, const char *name, int flags)
{
    char path[64];
    int fd;

    if (snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM) && as_its_user(pid)) {
        fd = open(path, flags | O_CLOEXEC);
        as_myself();
    }
    return fd;
}

void abl_proc_descriptors(pid_t pid, void (*each)(void *ctx, const char *link), void *ctx)
{
    int fd = abl_proc_open(pid, "fd", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    bool disguised = false;
    char link[LINK_MAX_SHOWN];

    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
        if (len < 0 && errno == EACCES && !disguised) {
            disguised = as_its_user(pid);
            len = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
        }
        if (len > 0) {
            link[len] = '\0';
            each(ctx, link);
        }
    }
    if (disguised) {
        as_myself();
    }
    closedir(dir);
}

static ssize_t read_some(int fd, char *bytes, size_t len)
{
    ssize_t n;

    do {
        n = read(fd, bytes, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* A short file as a string. False: it cannot be read, or is empty. */
static bool read_text(pid_t pid, const char *name, char *text, size_t size)
{
    int fd = abl_proc_open(pid, name, O_RDONLY);
    size_t len = 0;
    ssize_t n;

    if (fd < 0) {
        return false;
    }
    while (len < size - 1 && (n = read_some(fd, text + len, size - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    text[len] = '\0';
    return len > 0;
}

/* The number `skip` numbers further on. */
static uint64_t number_after(const char **text, int skip)
{
    char *end;
    uint64_t value = strtoull(*text, &end, 10);

    while (skip-- > 0) {
        value = strtoull(end, &end, 10);
    }
    *text = end;
    return value;
}

/* "PID (NAME) STATE PARENT GROUP … BEGAN …": anything may be in the name, but no ')' comes after it. */
static bool look_at(pid_t pid, abl_process_t *process)
{
    char text[1024];
    const char *at;

    if (!read_text(pid, "stat", text, sizeof(text))) {
        return false;
    }
    at = strrchr(text, ')');
    if (at == NULL || at[1] == '\0' || at[2] == '\0') {
        return false;
    }
    process->pid = pid;
    process->state = at[2];
    at += 3;
    process->parent = (pid_t)number_after(&at, 0);
    process->group = (pid_t)number_after(&at, 0);
    process->began = number_after(&at, 16); /* the 22nd field */
    process->kin = ABL_KIN_NOT;
    return true;
}

static bool is_dead(const abl_process_t *process)
{
    return process->state == 'Z' || process->state == 'X';
}

uint64_t abl_proc_began(pid_t pid)
{
    abl_process_t process;

    return pid > 0 && look_at(pid, &process) && !is_dead(&process) ? process.began : 0;
}

/* ---- looking at all --------------------------------------------------------------------------------- */

/* The number that this name is; 0: it is none. */
static pid_t pid_of(const char *name)
{
    char *end;
    long pid = strtol(name, &end, 10);

    return *end == '\0' && pid > 0 && pid < PROCESSES_MAX * 2L ? (pid_t)pid : 0;
}

static abl_process_t *next_place(abl_processes_t *table)
{
    if (table->n == table->room) {
        int room = table->room > 0 ? 2 * table->room : 1024;
        abl_process_t *all = room <= PROCESSES_MAX ? realloc(table->all, (size_t)room * sizeof(*all)) : NULL;
        if (all == NULL) {
            return NULL;
        }
        table->all = all;
        table->room = room;
    }
    return &table->all[table->n];
}

static int by_pid(const void *a, const void *b)
{
    pid_t one = ((const abl_process_t *)a)->pid, other = ((const abl_process_t *)b)->pid;

    return (one > other) - (one < other);
}

static void read_table(abl_processes_t *table)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    abl_process_t *place;

    memset(table, 0, sizeof(*table));
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        pid_t pid = pid_of(entry->d_name);
        if (pid == 0) {
            continue;
        }
        place = next_place(table);
        if (place == NULL) {
            break;
        }
        table->n += look_at(pid, place);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (table->n > 0) {
        qsort(table->all, (size_t)table->n, sizeof(*table->all), by_pid);
    }
}

static abl_process_t *find(const abl_processes_t *table, pid_t pid)
{
    abl_process_t key = {.pid = pid};

    return table->n > 0 ? bsearch(&key, table->all, (size_t)table->n, sizeof(key), by_pid) : NULL;
}

/* It is what its nearest forefather is of whom that is known. The forefathers between are the same, and are
 * not asked again. The table is not of one moment, so there might be a circle in it. */
static void find_kin(const abl_processes_t *table, abl_process_t *process)
{
    abl_process_t *at = process, *next;
    abl_kin_t kin = ABL_KIN_NOT;
    int steps = 0;

    while (at != NULL && at->kin == ABL_KIN_UNKNOWN && steps++ <= table->n) {
        at = find(table, at->parent);
    }
    if (at != NULL && at->kin != ABL_KIN_UNKNOWN) {
        kin = at->kin;
    }
    for (at = process; at != NULL && at->kin == ABL_KIN_UNKNOWN; at = next) {
        next = find(table, at->parent);
        at->kin = kin;
    }
}

abl_processes_t abl_proc_all(pid_t pgid)
{
    abl_processes_t table;
    int i;

    read_table(&table);
    for (i = 0; i < table.n; i++) {
        table.all[i].kin = pgid > 0 && table.all[i].group == pgid ? ABL_KIN_OURS : ABL_KIN_UNKNOWN;
    }
    for (i = 0; i < table.n; i++) {
        find_kin(&table, &table.all[i]);
    }
    return table;
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static uint64_t resident(pid_t pid)
{
    char text[256];
    const char *at = text;

    return read_text(pid, "statm", text, sizeof(text))
               ? number_after(&at, 1) * (uint64_t)sysconf(_SC_PAGESIZE)
               : 0;
}

static uint64_t memory_of(pid_t pid)
{
    char text[4096];
    const char *at;

    if (!read_text(pid, "smaps_rollup", text, sizeof(text))) {
        return resident(pid);
    }
    at = strstr(text, "\nPss:");
    if (at == NULL) {
        return resident(pid);
    }
    at += sizeof("\nPss:") - 1;
    return number_after(&at, 0) * 1024;
}

uint64_t abl_proc_memory(pid_t pgid)
{
    abl_processes_t table = abl_proc_all(pgid);
    uint64_t memory = 0;
    int i;

    for (i = 0; i < table.n; i++) {
        if (table.all[i].kin == ABL_KIN_OURS && !is_dead(&table.all[i])) {
            memory += memory_of(table.all[i].pid);
        }
    }
    free(table.all);
    return memory;
}

/* ---- signals ---------------------------------------------------------------------------------------- */

/* Is `wanted` one of its settings, or, with `prefix`, what one begins with? */
static bool has_setting(pid_t pid, const char *wanted, size_t len, bool prefix)
{
    char bytes[4096];
    size_t at = 0, total = 0; /* `at`: bytes of this setting that are as wanted; past `len`: it is another */
    bool found = false;
    ssize_t n = 0, i;
    int fd = abl_proc_open(pid, "environ", O_RDONLY);

    if (fd < 0) {
        return false;
    }
    while (!found && total < ENVIRONMENT_MAX && (n = read_some(fd, bytes, sizeof(bytes))) > 0) {
        for (i = 0; i < n && !found; i++) {
            if (bytes[i] == '\0') {
                found = at == len;
                at = 0;
            } else {
                at = at < len && bytes[i] == wanted[at] ? at + 1 : len + 1;
                found = prefix && at == len;
            }
        }
        total += (size_t)n;
    }
    close(fd);
    return found || (n == 0 && at == len);
}

/* Groups' members, and descendants: those of all[todo[0]] to all[todo[n - 1]], and theirs. Returns how many
 * it are then. */
static int spread(const abl_processes_t *table, int *todo, int n)
{
    pid_t own_group = getpgrp();
    int done;

    for (done = 0; done < n; done++) {
        const abl_process_t *from = &table->all[todo[done]];
        int i;
        for (i = 0; i < table->n; i++) {
            abl_process_t *process = &table->all[i];
            if (process->kin != ABL_KIN_OURS &&
                (process->group == from->group || process->parent == from->pid) &&
                process->group != own_group && process->pid > 1 && !is_dead(process)) {
                process->kin = ABL_KIN_OURS;
                todo[n++] = i;
            }
        }
    }
    return n;
}

typedef struct wanted_t {
    const char *setting; /* NULL: the group */
    size_t len;
    bool prefix;
    pid_t group;
} wanted_t;

/* Never this process or its group, pid 1, or what belongs to the kernel (group 0). */
static bool is_wanted(const abl_process_t *process, const wanted_t *wanted)
{
    if (process->pid <= 1 || process->group <= 0 || process->group == getpgrp() || process->pid == getpid() ||
        is_dead(process)) {
        return false;
    }
    if (wanted->setting == NULL) {
        return process->group == wanted->group;
    }
    return has_setting(process->pid, wanted->setting, wanted->len, wanted->prefix);
}

static int signal_wanted(const wanted_t *wanted, int signal)
{
    abl_processes_t table;
    int *todo;
    int i, n = 0, found = 0;

    read_table(&table);
    todo = table.n > 0 ? calloc((size_t)table.n, sizeof(int)) : NULL;
    for (i = 0; todo != NULL && i < table.n; i++) {
        if (is_wanted(&table.all[i], wanted)) {
            table.all[i].kin = ABL_KIN_OURS;
            todo[n++] = i;
        }
    }
    n = todo != NULL ? spread(&table, todo, n) : 0;
    for (i = 0; i < n; i++) {
        const abl_process_t *process = &table.all[todo[i]];
        if (abl_proc_began(process->pid) == process->began) { /* nobody else has its number by now */
            found += kill(process->pid, signal) == 0 || errno == EPERM;
        }
    }
    free(todo);
    free(table.all);
    return found;
}

int abl_proc_signal_marked(const char *mark, bool prefix, int signal)
{
    char setting[MARK_MAX];
    int len = snprintf(setting, sizeof(setting), "%s=%s", ABL_INSTANCE_MARK, mark);
    wanted_t wanted = {setting, (size_t)len, prefix, 0};

    return len < (int)sizeof(setting) ? signal_wanted(&wanted, signal) : 0;
}

int abl_proc_signal_group(pid_t pgid, int signal)
{
    wanted_t wanted = {NULL, 0, false, pgid};

    return pgid > 1 ? signal_wanted(&wanted, signal) : 0;
}
