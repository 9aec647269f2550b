/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc. Processes come and go while it is read: what cannot be read any more is left out.
 */
#include "control/proc.h"

#include "control/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROCESSES_MAX (1 << 22)   /* the kernel's own limit of pids */
#define ENVIRONMENT_MAX (8 << 20) /* bytes that are looked at */
#define SOCKETS_MAX 256           /* that listen at one port */
#define MARK_MAX 512              /* of ABL_INSTANCE_MARK with its value */
#define SOMEBODY (-2)             /* owner: not found out yet */
#define NONE (-1)

typedef struct process_t {
    pid_t pid, parent, group;
    char state;
    uint64_t began;
    int owner; /* which of the groups that were asked for; NONE */
} process_t;

typedef struct table_t {
    process_t *all; /* by pid */
    int n, room;
} table_t;

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
static bool look_at(pid_t pid, process_t *process)
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
    process->owner = NONE;
    return true;
}

static bool is_dead(const process_t *process)
{
    return process->state == 'Z' || process->state == 'X';
}

uint64_t abl_proc_began(pid_t pid)
{
    process_t process;

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

static process_t *next_place(table_t *table)
{
    if (table->n == table->room) {
        int room = table->room > 0 ? 2 * table->room : 1024;
        process_t *all = room <= PROCESSES_MAX ? realloc(table->all, (size_t)room * sizeof(*all)) : NULL;
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
    pid_t one = ((const process_t *)a)->pid, other = ((const process_t *)b)->pid;

    return (one > other) - (one < other);
}

/* Empty when it cannot be read. */
static void read_table(table_t *table)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    process_t *place;

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

static process_t *find(const table_t *table, pid_t pid)
{
    process_t key = {.pid = pid};

    return table->n > 0 ? bsearch(&key, table->all, (size_t)table->n, sizeof(key), by_pid) : NULL;
}

/* Whose it is: that of its nearest forefather which is in one of the groups. The forefathers between have the
 * same one, and are not asked again. The table is not of one moment, so there might be a circle in it. */
static void find_owner(const table_t *table, process_t *process)
{
    process_t *at = process, *next;
    int owner = NONE, steps = 0;

    while (at != NULL && at->owner == SOMEBODY && steps++ <= table->n) {
        at = find(table, at->parent);
    }
    if (at != NULL && at->owner != SOMEBODY) {
        owner = at->owner;
    }
    for (at = process; at != NULL && at->owner == SOMEBODY; at = next) {
        next = find(table, at->parent);
        at->owner = owner;
    }
}

static void find_owners(const table_t *table, const pid_t *pgids, int n)
{
    int i, group;

    for (i = 0; i < table->n; i++) {
        table->all[i].owner = SOMEBODY;
        for (group = 0; group < n; group++) {
            if (pgids[group] > 0 && table->all[i].group == pgids[group]) {
                table->all[i].owner = group;
                break;
            }
        }
    }
    for (i = 0; i < table->n; i++) {
        find_owner(table, &table->all[i]);
    }
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

void abl_proc_memory(const pid_t *pgids, int n, uint64_t *memory)
{
    table_t table;
    int i;

    memset(memory, 0, (size_t)n * sizeof(*memory));
    read_table(&table);
    find_owners(&table, pgids, n);
    for (i = 0; i < table.n; i++) {
        if (table.all[i].owner >= 0 && !is_dead(&table.all[i])) {
            memory[table.all[i].owner] += memory_of(table.all[i].pid);
        }
    }
    free(table.all);
}

/* ---- who listens ------------------------------------------------------------------------------------ */

/* Sockets by inode, and who was found to have them. */
typedef struct sockets_t {
    int n;
    int rank; /* of their address */
    uint64_t inodes[SOCKETS_MAX];
    bool ours[SOCKETS_MAX], others[SOCKETS_MAX];
} sockets_t;

static void note_socket(sockets_t *sockets, uint64_t inode)
{
    if (sockets->n < SOCKETS_MAX) {
        sockets->inodes[sockets->n++] = inode;
    }
}

/* How near an address is to 127.0.0.1: the nearest one gets the connections. 0: none go there. As the kernel
 * writes it: words of four bytes in the machine's own order. */
static int rank_of(const char *hex, size_t len)
{
    uint32_t words[4] = {0, 0, 0, 0};
    char word[9] = "";
    size_t i, n = len / 8;

    if (len != 8 && len != 32) {
        return 0;
    }
    for (i = 0; i < n; i++) {
        memcpy(word, hex + 8 * i, 8);
        words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    if (n == 4 && words[0] == 0 && words[1] == 0 && words[2] == 0 && words[3] == 0) {
        return 1;
    }
    if (n == 4 && (words[0] != 0 || words[1] != 0 || words[2] != htonl(0xFFFF))) {
        return 0;
    }
    if (words[n - 1] == htonl(INADDR_ANY)) {
        return 2;
    }
    return words[n - 1] == htonl(INADDR_LOOPBACK) ? 3 : 0;
}

/* "0: ADDRESS:PORT REMOTE STATE QUEUES TIMER RETRIES UID TIMEOUT INODE …". False: listeners come first, and
 * all have been seen; there may be very many others. */
static bool take_line(char *line, int port, sockets_t *sockets)
{
    char *fields[10], *save = NULL, *colon;
    int n = 0, rank;

    while (n < 10 && (fields[n] = strtok_r(n == 0 ? line : NULL, " \n", &save)) != NULL) {
        n++;
    }
    if (n < 10 || (colon = strchr(fields[1], ':')) == NULL) {
        return true; /* the heading */
    }
    if (strcmp(fields[3], "0A") != 0) {
        return strcmp(fields[3], "03") == 0; /* on its way to one, among them in old kernels */
    }
    if (strtol(colon + 1, NULL, 16) != port) {
        return true;
    }
    rank = rank_of(fields[1], (size_t)(colon - fields[1]));
    if (rank > sockets->rank) {
        sockets->rank = rank;
        sockets->n = 0;
    }
    if (rank > 0 && rank == sockets->rank) {
        note_socket(sockets, strtoull(fields[9], NULL, 10));
    }
    return true;
}

static void find_port(const char *file, int port, sockets_t *sockets)
{
    char line[512];
    FILE *stream = fopen(file, "re");

    if (stream == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), stream) != NULL && take_line(line, port, sockets)) {
    }
    (void)fclose(stream);
}

/* "ADDRESS: REFERENCES PROTOCOL FLAGS TYPE STATE INODE PATH" */
static void find_path(const char *path, sockets_t *sockets)
{
    char line[512];
    FILE *stream = fopen("/proc/self/net/unix", "re");

    if (stream == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), stream) != NULL) {
        int flags = 0, inode = 0, name = 0;
        (void)sscanf(line, "%*s %*s %*s %n%*s %*s %*s %n%*s %n", &flags, &inode, &name);
        line[strcspn(line, "\n")] = '\0';
        if (name > 0 && strtoul(line + flags, NULL, 16) & 0x10000 /* it listens */ &&
            strcmp(line + name, path) == 0) {
            note_socket(sockets, strtoull(line + inode, NULL, 10));
        }
    }
    (void)fclose(stream);
}

static void note_owner(sockets_t *sockets, const char *link, bool ours)
{
    uint64_t inode;
    int i;

    if (strncmp(link, "socket:[", 8) != 0) {
        return;
    }
    inode = strtoull(link + 8, NULL, 10);
    for (i = 0; i < sockets->n; i++) {
        if (sockets->inodes[i] == inode) {
            *(ours ? &sockets->ours[i] : &sockets->others[i]) = true;
        }
    }
}

/* Which of the sockets does this process have? */
static void look_for_sockets(pid_t pid, bool ours, sockets_t *sockets)
{
    int fd = abl_proc_open(pid, "fd", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    bool disguised = false;
    char link[64];

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
        link[len > 0 ? len : 0] = '\0';
        note_owner(sockets, link, ours);
    }
    if (disguised) {
        as_myself();
    }
    closedir(dir);
}

static void look_for_sockets_of(const table_t *table, bool ours, sockets_t *sockets)
{
    int i;

    for (i = 0; i < table->n; i++) {
        if ((table->all[i].owner >= 0) == ours) {
            look_for_sockets(table->all[i].pid, ours, sockets);
        }
    }
}

static int count_ours(const sockets_t *sockets)
{
    int i, n = 0;

    for (i = 0; i < sockets->n; i++) {
        n += sockets->ours[i];
    }
    return n;
}

static bool has_stranger(const sockets_t *sockets)
{
    int i = 0;

    while (i < sockets->n && (sockets->ours[i] || !sockets->others[i])) {
        i++;
    }
    return i < sockets->n;
}

/* `enough`: so many of them have to be ours. */
static abl_listener_t judge(sockets_t *sockets, pid_t pgid, int enough)
{
    abl_listener_t answer = ABL_LISTENER_OURS;
    table_t table;

    if (sockets->n == 0) {
        return ABL_LISTENER_NOBODY;
    }
    read_table(&table);
    find_owners(&table, &pgid, 1);
    look_for_sockets_of(&table, true, sockets);
    if (count_ours(sockets) < enough) {
        look_for_sockets_of(&table, false, sockets);
        answer = has_stranger(sockets) ? ABL_LISTENER_STRANGER : ABL_LISTENER_UNKNOWN;
    }
    free(table.all);
    return answer;
}

abl_listener_t abl_proc_listener(int port, pid_t pgid)
{
    sockets_t sockets = {.n = 0};

    find_port("/proc/self/net/tcp", port, &sockets);
    find_port("/proc/self/net/tcp6", port, &sockets);
    return judge(&sockets, pgid, sockets.n);
}

abl_listener_t abl_proc_socket_listener(const char *path, pid_t pgid)
{
    sockets_t sockets = {.n = 0};

    find_path(path, &sockets);
    return judge(&sockets, pgid, 1);
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
static int spread(const table_t *table, int *todo, int n)
{
    pid_t own_group = getpgrp();
    int done;

    for (done = 0; done < n; done++) {
        const process_t *from = &table->all[todo[done]];
        int i;
        for (i = 0; i < table->n; i++) {
            process_t *process = &table->all[i];
            if (process->owner == NONE && (process->group == from->group || process->parent == from->pid) &&
                process->group != own_group && process->pid > 1 && !is_dead(process)) {
                process->owner = 0;
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
static bool is_wanted(const process_t *process, const wanted_t *wanted)
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
    table_t table;
    int *todo;
    int i, n = 0, found = 0;

    read_table(&table);
    todo = table.n > 0 ? calloc((size_t)table.n, sizeof(int)) : NULL;
    for (i = 0; todo != NULL && i < table.n; i++) {
        if (is_wanted(&table.all[i], wanted)) {
            table.all[i].owner = 0;
            todo[n++] = i;
        }
    }
    n = todo != NULL ? spread(&table, todo, n) : 0;
    for (i = 0; i < n; i++) {
        const process_t *process = &table.all[todo[i]];
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
