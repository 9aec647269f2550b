/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an instance listens: its address, is the place free, and a socket there that listens already.
 */
#include "control/place.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511 /* as httpd's own */

/* errno is kept: -1 with the reason for which this was given up. */
static int give_up(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

socklen_t abl_place_address(const abl_app_conf_t *app, int slot, struct sockaddr_storage *sa)
{
    const char *path = abl_app_socket(app, slot);
    struct sockaddr_un *sun = (struct sockaddr_un *)sa;
    struct sockaddr_in *sin = (struct sockaddr_in *)sa;

    memset(sa, 0, sizeof(*sa));
    if (path == NULL) {
        sin->sin_family = AF_INET;
        sin->sin_port = htons((uint16_t)app->ports[slot]);
        sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(*sin);
    }
    if (strlen(path) >= sizeof(sun->sun_path)) {
        errno = ENAMETOOLONG;
        return 0;
    }
    sun->sun_family = AF_UNIX;
    memcpy(sun->sun_path, path, strlen(path));
    return sizeof(*sun);
}

/* SO_REUSEADDR: connections of a former instance, in TIME_WAIT, do not count; somebody who listens does. */
static int bind_port(const abl_app_conf_t *app, int slot)
{
    struct sockaddr_storage sa;
    socklen_t len = abl_place_address(app, slot, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
                    bind(fd, (struct sockaddr *)&sa, len) < 0)) {
        return give_up(fd);
    }
    return fd;
}

/* Does somebody accept at this socket? Not blocking: EAGAIN is a full queue, thus somebody's. */
static bool is_stale(const struct sockaddr_storage *sa, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0) {
        return false;
    }
    error = connect(fd, (const struct sockaddr *)sa, len) == 0 ? 0 : errno;
    close(fd);
    if (error == ECONNREFUSED || error == ENOENT) {
        return true;
    }
    errno = error == EACCES || error == EPERM ? error : EADDRINUSE;
    return false;
}

/* Nothing is removed but a socket at which nobody is. */
static bool clear_path(const abl_app_conf_t *app, int slot)
{
    const char *path = abl_app_socket(app, slot);
    struct sockaddr_storage sa;
    socklen_t len = abl_place_address(app, slot, &sa);
    struct stat st;

    if (len == 0) {
        return false;
    }
    if (lstat(path, &st) < 0) {
        return errno == ENOENT;
    }
    if (!S_ISSOCK(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
        return false;
    }
    return is_stale(&sa, len) && (unlink(path) == 0 || errno == ENOENT);
}

static bool is_only_socket(int fd, uid_t owner)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return false;
    }
    errno = EEXIST;
    return S_ISSOCK(st.st_mode) && st.st_nlink == 1 && st.st_uid == owner;
}

/* The path may lead elsewhere by now, where others may write to the folder: so the owner is changed of what
 * has been looked at, and that is a socket that has no other name. */
static bool give_socket(const char *path, uid_t owner, uid_t uid, gid_t gid)
{
    char name[64];
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool given;

    if (fd < 0) {
        return false;
    }
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    given =
        is_only_socket(fd, owner) && chmod(name, 0600) == 0 && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0;
    (void)give_up(fd);
    return given;
}

/* The file gets the mode that the socket has before: the umask is that of all threads, and is left alone. */
static int bind_socket(const abl_app_conf_t *app, int slot)
{
    const char *path = abl_app_socket(app, slot);
    struct sockaddr_storage sa;
    socklen_t len = abl_place_address(app, slot, &sa);
    int fd;

    if (!clear_path(app, slot)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 ||
                    (geteuid() == 0 && !give_socket(path, geteuid(), app->client, app->gid)))) {
        return give_up(fd);
    }
    return fd;
}

bool abl_place_hand_over(const abl_app_conf_t *app, int slot)
{
    const char *path = abl_app_socket(app, slot);

    return path == NULL || geteuid() != 0 || app->place == ABL_PLACE_FD ||
           give_socket(path, app->uid, app->client, app->gid);
}

int abl_place_listen(const abl_app_conf_t *app, int slot)
{
    int fd = abl_app_socket(app, slot) != NULL ? bind_socket(app, slot) : bind_port(app, slot);

    return fd < 0 || listen(fd, BACKLOG) == 0 ? fd : give_up(fd);
}

bool abl_place_is_free(const abl_app_conf_t *app, int slot)
{
    int fd;

    if (abl_app_socket(app, slot) != NULL) {
        return clear_path(app, slot);
    }
    fd = bind_port(app, slot);
    return fd >= 0 && close(fd) == 0;
}
