/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory of the supervision.
 */
#include "control/board.h"

#include "control/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define COPIES 3                    /* the one in use, the one that was published, and one to write in */
#define ROOM ((size_t)32 * 1048576) /* bytes of a copy; touched as far as it is used */
#define NOBODY COPIES

typedef struct copy_t {
    abl_board_conf_t conf;
    size_t used;
    _Alignas(max_align_t) char room[ROOM];
} copy_t;

struct abl_board_t {
    _Atomic int published; /* the parent's */
    _Atomic int in_use;    /* the control process's */
    _Atomic pid_t control;
    _Atomic int log_level;
    int bells[2]; /* the parent's end, the control process's end */
    char mark[ABL_MARK_MAX];
    abl_board_app_t apps[ABL_APPS_MAX];
    copy_t copies[COPIES];
};

const char *abl_board_own_mark(char mark[ABL_MARK_MAX])
{
    (void)snprintf(mark, ABL_MARK_MAX, "%ld.%" PRIu64 "/", (long)getpid(), abl_proc_began(getpid()));
    return mark;
}

abl_board_t *abl_board_create(void)
{
    abl_board_t *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (board == MAP_FAILED) {
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, board->bells) != 0) {
        (void)munmap(board, sizeof(*board));
        return NULL;
    }
    atomic_store(&board->published, NOBODY);
    atomic_store(&board->in_use, NOBODY);
    (void)abl_board_own_mark(board->mark);
    return board;
}

/* ---- copying ---------------------------------------------------------------------------------------- */

/* NULL: there is no more room; from then on it stays so. */
static void *take(copy_t *copy, size_t size)
{
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    void *at = copy->room + copy->used;

    if (rounded > ROOM - copy->used || rounded < size) {
        copy->used = ROOM;
        return NULL;
    }
    copy->used += rounded;
    return at;
}

static void *copy_bytes(copy_t *copy, const void *bytes, size_t size)
{
    void *to = bytes != NULL ? take(copy, size) : NULL;

    return to != NULL ? memcpy(to, bytes, size) : NULL;
}

static const char *copy_text(copy_t *copy, const char *text)
{
    return text != NULL ? copy_bytes(copy, text, strlen(text) + 1) : NULL;
}

/* A list of texts. `n` below 0: as far as the NULL at its end, which is copied too. */
static const char *const *copy_texts(copy_t *copy, const char *const *texts, int n)
{
    const char **to;
    int i, count = n;

    if (texts == NULL) {
        return NULL;
    }
    if (n < 0) {
        for (count = 0; texts[count] != NULL; count++) {
        }
        count++;
    }
    to = take(copy, (size_t)count * sizeof(*to));
    for (i = 0; to != NULL && i < count; i++) {
        to[i] = copy_text(copy, texts[i]);
    }
    return to;
}

static void copy_app(copy_t *copy, const abl_app_conf_t *app, abl_app_conf_t *to)
{
    *to = *app;
    to->name = copy_text(copy, app->name);
    to->balancer = copy_text(copy, app->balancer);
    to->argv = copy_texts(copy, app->argv, -1);
    to->addresses = copy_texts(copy, app->addresses, app->nslots);
    to->sockets = copy_texts(copy, app->sockets, app->nslots);
    to->ports = copy_bytes(copy, app->ports, (size_t)app->nslots * sizeof(*app->ports));
    to->dir = copy_text(copy, app->dir);
    to->env = copy_texts(copy, app->env, -1);
    to->user = copy_text(copy, app->user);
    to->ready_uri = copy_text(copy, app->ready_uri);
    to->restart_file = copy_text(copy, app->restart_file);
    to->log = copy_text(copy, app->log);
}

static void copy_url(copy_t *copy, abl_member_url_t *url)
{
    url->text = copy_text(copy, url->text);
    url->scheme = copy_text(copy, url->scheme);
    url->host = copy_text(copy, url->host);
    url->authority = copy_text(copy, url->authority);
    url->path = copy_text(copy, url->path);
    url->socket_path = copy_text(copy, url->socket_path);
}

static void copy_tls(copy_t *copy, abl_tls_conf_t *tls)
{
    tls->ca = copy_text(copy, tls->ca);
    tls->name = copy_text(copy, tls->name);
    tls->cert = copy_text(copy, tls->cert);
    tls->key = copy_text(copy, tls->key);
}

static const abl_check_conf_t *copy_check(copy_t *copy, const abl_check_conf_t *check)
{
    abl_check_conf_t *to = copy_bytes(copy, check, sizeof(*to));

    if (to != NULL) {
        to->uri = copy_text(copy, check->uri);
        to->host = copy_text(copy, check->host);
        to->body = copy_text(copy, check->body);
    }
    return to;
}

/* The members of a balancer have one in common, and come one after the other: `before` and `before_to` are of
 * the one before this one. */
static void copy_target(copy_t *copy, const abl_target_t *target, abl_target_t *to,
                        const abl_target_t *before, const abl_target_t *before_to)
{
    *to = *target;
    to->balancer = copy_text(copy, target->balancer);
    to->address = copy_text(copy, target->address);
    to->addresses = copy_bytes(copy, target->addresses, (size_t)target->naddresses * sizeof(*to->addresses));
    copy_url(copy, &to->url);
    copy_tls(copy, &to->tls_conf);
    to->check =
        before != NULL && before->check == target->check ? before_to->check : copy_check(copy, target->check);
}

static void copy_name(copy_t *copy, const abl_name_conf_t *name, abl_name_conf_t *to)
{
    *to = *name;
    to->balancer = copy_text(copy, name->balancer);
    to->text = copy_text(copy, name->text);
    to->host = copy_text(copy, name->host);
    to->scheme = copy_text(copy, name->scheme);
    to->path = copy_text(copy, name->path);
}

/* A list of `n`, to be filled in; never of no bytes. */
static void *take_list(copy_t *copy, int n, size_t size)
{
    return take(copy, (size_t)(n > 0 ? n : 1) * size);
}

/* Neither in use nor about to be: the control process goes from the one in use to the one published, and
 * nowhere else. */
static int free_copy(const abl_board_t *board)
{
    int published = atomic_load(&board->published);
    int in_use = atomic_load(&board->in_use);
    int i = 0;

    while (i == published || i == in_use) {
        i++;
    }
    return i;
}

bool abl_board_publish(abl_board_t *board, const abl_board_conf_t *conf)
{
    int index = free_copy(board);
    copy_t *copy = &board->copies[index];
    abl_app_conf_t *apps;
    abl_target_t *targets;
    abl_name_conf_t *names;
    abl_resolver_conf_t resolver = conf->resolver;
    const char *persist;
    int i;

    copy->used = 0;
    apps = take_list(copy, conf->n, sizeof(*apps));
    targets = take_list(copy, conf->ntargets, sizeof(*targets));
    names = take_list(copy, conf->nnames, sizeof(*names));
    resolver.servers = copy_text(copy, conf->resolver.servers);
    for (i = 0; apps != NULL && i < conf->n; i++) {
        copy_app(copy, &conf->apps[i], &apps[i]);
    }
    for (i = 0; targets != NULL && i < conf->ntargets; i++) {
        copy_target(copy, &conf->targets[i], &targets[i], i > 0 ? &conf->targets[i - 1] : NULL,
                    i > 0 ? &targets[i - 1] : NULL);
    }
    for (i = 0; names != NULL && i < conf->nnames; i++) {
        copy_name(copy, &conf->names[i], &names[i]);
    }
    persist = copy_text(copy, conf->persist);
    if (apps == NULL || targets == NULL || names == NULL || copy->used == ROOM) {
        return false;
    }
    copy->conf =
        (abl_board_conf_t){apps, conf->n, targets, conf->ntargets, names, conf->nnames, resolver, persist};
    atomic_store(&board->published, index);
    return true;
}

abl_board_conf_t abl_board_take(abl_board_t *board)
{
    int index;

    do { /* between the two the parent may have published again, and chosen this one to write in */
        index = atomic_load(&board->published);
        if (index == NOBODY) {
            return (abl_board_conf_t){.n = 0};
        }
        atomic_store(&board->in_use, index);
    } while (atomic_load(&board->published) != index);
    return board->copies[index].conf;
}

/* ---- the rest --------------------------------------------------------------------------------------- */

abl_board_app_t *abl_board_app(abl_board_t *board, int i)
{
    return &board->apps[i];
}

_Atomic int *abl_board_log_level(abl_board_t *board)
{
    return &board->log_level;
}

_Atomic pid_t *abl_board_control(abl_board_t *board)
{
    return &board->control;
}

/* One byte, and perhaps a descriptor. */
typedef struct ring_t {
    char byte;
    struct iovec iov;
    struct msghdr msg;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
} ring_t;

static void prepare(ring_t *ring)
{
    memset(ring, 0, sizeof(*ring));
    ring->iov = (struct iovec){&ring->byte, 1};
    ring->msg.msg_iov = &ring->iov;
    ring->msg.msg_iovlen = 1;
    ring->msg.msg_control = ring->control;
    ring->msg.msg_controllen = sizeof(ring->control);
}

/* With nobody there to hear it is not needed: who comes then is a copy of the parent of then. */
void abl_board_ring(const abl_board_t *board, int log)
{
    ring_t ring;

    prepare(&ring);
    if (log >= 0) {
        struct cmsghdr *header = CMSG_FIRSTHDR(&ring.msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &log, sizeof(int));
    } else {
        ring.msg.msg_control = NULL;
        ring.msg.msg_controllen = 0;
    }
    (void)sendmsg(board->bells[0], &ring.msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int abl_board_bell(const abl_board_t *board)
{
    return board->bells[1];
}

bool abl_board_hear(const abl_board_t *board, int *log)
{
    ring_t ring;
    struct cmsghdr *header;

    prepare(&ring);
    *log = -1;
    if (recvmsg(board->bells[1], &ring.msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) {
        return false;
    }
    header = CMSG_FIRSTHDR(&ring.msg);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(log, CMSG_DATA(header), sizeof(int));
    }
    return true;
}

const char *abl_board_mark(const abl_board_t *board)
{
    return board->mark;
}
