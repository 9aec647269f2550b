/* SPDX-License-Identifier: Apache-2.0
 *
 * Who listens: the kernel's lists of sockets name inodes, and these are looked for among the descriptors of
 * all processes.
 */
#include "control/listener.h"

#include "control/proc.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS_MAX 256 /* that listen at one port */

/* ---- which sockets ---------------------------------------------------------------------------------- */

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

/* A process whose descriptors are looked at. */
typedef struct looked_at_t {
    sockets_t *sockets;
    bool ours;
} looked_at_t;

static void note_owner(void *ctx, const char *link)
{
    const looked_at_t *it = ctx;
    uint64_t inode;
    int i;

    if (strncmp(link, "socket:[", 8) != 0) {
        return;
    }
    inode = strtoull(link + 8, NULL, 10);
    for (i = 0; i < it->sockets->n; i++) {
        if (it->sockets->inodes[i] == inode) {
            *(it->ours ? &it->sockets->ours[i] : &it->sockets->others[i]) = true;
        }
    }
}

/* Which of the sockets do ours have, or all others? */
static void look_for_sockets(const abl_processes_t *table, bool ours, sockets_t *sockets)
{
    looked_at_t it = {sockets, ours};
    int i;

    for (i = 0; i < table->n; i++) {
        if ((table->all[i].kin == ABL_KIN_OURS) == ours) {
            abl_proc_descriptors(table->all[i].pid, note_owner, &it);
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
    abl_processes_t table;

    if (sockets->n == 0) {
        return ABL_LISTENER_NOBODY;
    }
    table = abl_proc_all(pgid);
    look_for_sockets(&table, true, sockets);
    if (count_ours(sockets) < enough) {
        look_for_sockets(&table, false, sockets);
        answer = has_stranger(sockets) ? ABL_LISTENER_STRANGER : ABL_LISTENER_UNKNOWN;
    }
    free(table.all);
    return answer;
}

abl_listener_t abl_listener_at_port(int port, pid_t pgid)
{
    sockets_t sockets = {.n = 0};

    find_port("/proc/self/net/tcp", port, &sockets);
    find_port("/proc/self/net/tcp6", port, &sockets);
    return judge(&sockets, pgid, sockets.n);
}

abl_listener_t abl_listener_at_path(const char *path, pid_t pgid)
{
    sockets_t sockets = {.n = 0};

    find_path(path, &sockets);
    return judge(&sockets, pgid, 1);
}
