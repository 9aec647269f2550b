/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an instance listens: is the place free, and a socket there that listens already.
 */
#include "control/spawn.h"

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

/* SO_REUSEADDR: connections of a former instance, in TIME_WAIT, do not count; somebody who listens does. */
static int bind_port(int port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
                    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)) {
        return give_up(fd);
    }
    return fd;
}

static bool address_of(const char *path, struct sockaddr_un *sun)
{
    size_t len = strlen(path);

    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    if (len >= sizeof(sun->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(sun->sun_path, path, len);
    return true;
}

/* Does somebody accept at this socket? Not blocking: EAGAIN is a full queue, thus somebody's. */
static bool is_stale(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0) {
        return false;
    }
    error = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ? 0 : errno;
    close(fd);
    if (error == ECONNREFUSED || error == ENOENT) {
        return true;
    }
    errno = error == EACCES || error == EPERM ? error : EADDRINUSE;
    return false;
}

/* Nothing is removed but a socket at which nobody is. */
static bool clear_path(const struct sockaddr_un *sun)
{
    struct stat st;

    if (lstat(sun->sun_path, &st) < 0) {
        return errno == ENOENT;
    }
    if (!S_ISSOCK(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
        return false;
    }
    return is_stale(sun) && (unlink(sun->sun_path) == 0 || errno == ENOENT);
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
static int bind_socket(const abl_app_conf_t *app, const char *path)
{
    struct sockaddr_un sun;
    int fd;

    if (!address_of(path, &sun) || !clear_path(&sun)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
                    (geteuid() == 0 && !give_socket(path, geteuid(), app->client, app->gid)))) {
        return give_up(fd);
    }
    return fd;
}

bool abl_spawn_hand_over(const abl_app_conf_t *app, int slot)
{
    const char *path = abl_spawn_socket(app, slot);

    return path == NULL || geteuid() != 0 || app->place == ABL_PLACE_FD ||
           give_socket(path, app->uid, app->client, app->gid);
}

int abl_spawn_listen(const abl_app_conf_t *app, int slot)
{
    const char *path = abl_spawn_socket(app, slot);
    int fd = path != NULL ? bind_socket(app, path) : bind_port(app->ports[slot]);

    return fd < 0 || listen(fd, BACKLOG) == 0 ? fd : give_up(fd);
}

bool abl_spawn_is_free(const abl_app_conf_t *app, int slot)
{
    const char *path = abl_spawn_socket(app, slot);
    struct sockaddr_un sun;
    int fd;

    if (path != NULL) {
        return address_of(path, &sun) && clear_path(&sun);
    }
    fd = bind_port(app->ports[slot]);
    return fd >= 0 && close(fd) == 0;
}
