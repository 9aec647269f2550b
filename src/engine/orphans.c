/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread in each child drives its orphans, from the first one on. Nothing here is in a pool: the request
 * is gone, and the thread runs until the process ends.
 */
#include "engine/orphans.h"

#include "base/thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A copy of all that the rest of an exchange needs. */
typedef struct orphan_t {
    abl_end_t left;          /* how it ended for the client */
    abl_balancer_t balancer; /* its ledger and pools are malloc's and stay; its members are not looked at */
    abl_timeouts_t timeouts;
    abl_request_t request;
    abl_exchange_t x; /* last: it is large, and its end is not copied whole */
} orphan_t;

#define EVENTS 16

/* Seconds of silence before the kernel asks whether the other side still exists, and between its questions.
 */
#define KEEPALIVE_AFTER 30
#define KEEPALIVE_EVERY 10
#define KEEPALIVE_TIMES 3

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int epoll = -1;                                   /* written once, before the first orphan */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects count */
static pthread_cond_t changed;
static int count;

/* ---- an answer that nobody wants -------------------------------------------------------------------- */

static apr_status_t ignore_answer(void *ctx, const abl_answer_t *answer)
{
    (void)ctx;
    (void)answer;
    return APR_SUCCESS;
}

static apr_status_t ignore_data(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return APR_SUCCESS;
}

static apr_status_t ignore(void *ctx)
{
    (void)ctx;
    return APR_SUCCESS;
}

static const abl_exchange_events_t events = {
    .on_interim = ignore_answer,
    .on_head = ignore_answer,
    .on_upgrade = ignore_answer,
    .on_data = ignore_data,
    .on_pass = ignore,
    .on_trailers = ignore_answer,
    .on_finish = ignore,
};

/* ---- the thread ------------------------------------------------------------------------------------- */

static void counted(int by)
{
    pthread_mutex_lock(&lock);
    count += by;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void bury(orphan_t *orphan)
{
    bool keep = orphan->x.end == ABL_END_OK && orphan->x.keep;

    orphan->x.end = orphan->left; /* that, and not what came after, says whether the member is to blame */
    abl_transfer_release(&orphan->x, keep);
    free(orphan);
    counted(-1);
}

/* Reads what there is. A member that closes has finished, whatever it said. */
static void go_on(orphan_t *orphan)
{
    if (abl_transfer_run(&orphan->x, ABL_READY_MEMBER_READ) != ABL_TRANSFER_WAIT) {
        bury(orphan);
    }
}

static void *run(void *unused)
{
    struct epoll_event found[EVENTS];

    (void)unused;
    for (;;) {
        int n = epoll_wait(epoll, found, EVENTS, -1);
        int i;
        for (i = 0; i < n; i++) {
            go_on(found[i].data.ptr);
        }
    }
    return NULL;
}

static void start(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    abl_thread_cond_init(&changed);
    if (fd < 0) {
        return;
    }
    epoll = fd;
    if (abl_thread_start(run, NULL) != 0) {
        close(fd);
        epoll = -1;
    }
}

/* ---- adopting --------------------------------------------------------------------------------------- */

/* A machine that is gone neither answers nor closes. */
static void ask_for_life(int fd)
{
    int on = 1, after = KEEPALIVE_AFTER, every = KEEPALIVE_EVERY, times = KEEPALIVE_TIMES;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof(after));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

static orphan_t *copy_of(const abl_exchange_t *x)
{
    orphan_t *orphan = calloc(1, sizeof(*orphan));

    if (orphan == NULL) {
        return NULL;
    }
    orphan->left = x->end;
    orphan->balancer = *x->balancer;
    orphan->timeouts = (abl_timeouts_t){INT64_MAX / 2, INT64_MAX / 2, INT64_MAX / 2, INT64_MAX / 2};
    orphan->request.to_head = x->request->to_head;
    orphan->x = *x;
    orphan->x.balancer = &orphan->balancer;
    orphan->x.timeouts = &orphan->timeouts;
    orphan->x.request = &orphan->request;
    orphan->x.events = &events;
    orphan->x.ctx = NULL;
    orphan->x.pool = NULL;
    return orphan;
}

static void make_deaf(abl_exchange_t *x)
{
    bool unfinished = abl_send_pending(x);

    abl_send_stop(x);
    if (unfinished) {
        abl_conn_shutdown_write(x->conn); /* the rest of the request will not come */
    }
    x->end = ABL_END_NONE;
    x->wants_client = false;
    x->queued = false;
    x->hold_until = 0;
    abl_receive_resume(x);
}

static bool watch(orphan_t *orphan)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = orphan};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, orphan->x.conn->fd, &event) == 0;
}

void abl_orphans_adopt(abl_exchange_t *x)
{
    orphan_t *orphan;

    pthread_once(&once, start);
    orphan = epoll >= 0 ? copy_of(x) : NULL;
    if (orphan == NULL) {
        abl_transfer_release(x, false);
        return;
    }
    x->conn = NULL;
    x->member = -1;
    counted(1);
    make_deaf(&orphan->x);
    ask_for_life(orphan->x.conn->fd);
    /* Something may have come already that no poll would tell of: it is in the connection's buffer. */
    if (abl_transfer_run(&orphan->x, ABL_READY_MEMBER_READ) != ABL_TRANSFER_WAIT || !watch(orphan)) {
        bury(orphan);
    }
}

int abl_orphans_count(void)
{
    int n;

    pthread_mutex_lock(&lock);
    n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

bool abl_orphans_wait(int64_t deadline)
{
    struct timespec ts = {.tv_sec = deadline / ABL_SECOND, .tv_nsec = deadline % ABL_SECOND * 1000};
    bool none;

    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    while (count > 0 && pthread_cond_timedwait(&changed, &lock, &ts) != ETIMEDOUT) {
    }
    none = count == 0;
    pthread_mutex_unlock(&lock);
    return none;
}
