/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's side of a request runs wherever its owner is, on a worker or on the loop; the client's side,
 * which goes through httpd's filters, on workers only. As long as the client takes everything at once the
 * answer goes straight through. When it does not, or nobody of the client's side is there, it goes into the
 * stash, and from there to the client in small pieces.
 */
#include "httpd/drive.h"

#include "httpd/lane.h"
#include "httpd/park.h"
#include "httpd/unblock.h"

#include "ap_mpm.h"
#include "http_core.h"

#include <stdatomic.h>

#define MEMBER 0 /* the waiter's descriptors */
#define CLIENT 1

#define ON_LOOP 524288 /* more than a run on the loop's thread may bring */
#define PORTION                                                                                              \
    32768 /* goes into the filters at once: they hold twice as much without waiting for the client */

static atomic_int waiting; /* workers that wait in here just now */
static int most;           /* how many may */

void abl_drive_child_init(void)
{
    int threads = 0;

    (void)ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    most = threads / 2;
}

static conn_rec *client_of(const abl_drive_t *drive)
{
    return drive->respond.r->connection;
}

/* ---- the member's side ------------------------------------------------------------------------------ */

static void run(abl_drive_t *drive, bool on_worker)
{
    unsigned ready = drive->ready;

    drive->ready = 0;
    drive->watch_from = 0;
    drive->client_gone = drive->client_gone || (ready & ABL_READY_CLIENT_GONE);
    drive->stash.on_worker = on_worker || drive->body.collected;
    drive->over = drive->over || !abl_exchange_run(drive->x, ready);
}

/* From now on the client's pace is its own. Worker; or the loop, when nothing is held back for the client. */
static void begin_stashing(abl_drive_t *drive)
{
    if (!drive->stashing) {
        drive->stashing = true;
        drive->over = !abl_exchange_redirect(drive->x, &abl_stash_events, &drive->stash);
    }
}

/* ---- the client's side ------------------------------------------------------------------------------ */

static void lose_client(abl_drive_t *drive)
{
    abl_stash_clear(&drive->stash);
    drive->client_gone = true;
    if (!drive->over) {
        drive->ready = ABL_READY_CLIENT_GONE;
        run(drive, true);
    }
}

static apr_status_t send_held(conn_rec *c)
{
    return abl_unblock_is_full(c) ? abl_unblock_send(c) : APR_SUCCESS;
}

/* One portion into the filters. */
static apr_status_t play_portion(abl_drive_t *drive)
{
    uint64_t before = abl_spool_length(&drive->stash.body);
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && !abl_stash_is_empty(&drive->stash) &&
           before - abl_spool_length(&drive->stash.body) < PORTION) {
        rv = abl_stash_play(&drive->stash);
    }
    return rv;
}

/* What is in the stash, as far as the client takes it. The end of the answer is sent with the request's. */
static apr_status_t play_all(abl_drive_t *drive)
{
    conn_rec *c = client_of(drive);
    apr_status_t rv = send_held(c);

    while (rv == APR_SUCCESS && !abl_unblock_is_full(c) && !abl_stash_is_empty(&drive->stash)) {
        rv = play_portion(drive);
        if (rv == APR_SUCCESS && !(drive->over && abl_stash_is_empty(&drive->stash))) {
            rv = send_held(c);
        }
    }
    return rv;
}

static void play(abl_drive_t *drive)
{
    conn_rec *c = client_of(drive);
    uint64_t before = abl_spool_length(&drive->stash.body);

    if (play_all(drive) != APR_SUCCESS || c->aborted) {
        lose_client(drive);
    } else if (!abl_unblock_is_full(c)) {
        drive->client_until = INT64_MAX;
    } else if (drive->client_until == INT64_MAX || abl_spool_length(&drive->stash.body) != before) {
        drive->client_until = abl_clock_now() + drive->respond.r->server->timeout;
    }
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

/* Is there something the client should get and does not take? */
static bool is_writing(const abl_drive_t *drive)
{
    return abl_unblock_is_full(client_of(drive));
}

static const abl_wait_t only_client = {.fd = -1, .what = ABL_READY_CLIENT_GONE, .deadline = INT64_MAX};

static abl_wait_t wait_of(const abl_drive_t *drive)
{
    abl_wait_t wait = drive->over ? only_client : *abl_exchange_wait(drive->x);

    if (wait.deadline > drive->client_until) {
        wait.deadline = drive->client_until;
    }
    return wait;
}

int64_t abl_drive_patience(const server_rec *s)
{
    int64_t at_once = abl_server_conf(s)->at_once;

    return at_once == ABL_UNSET ? ABL_INLINE_DEFAULT : at_once;
}

static int64_t patience(const abl_drive_t *drive)
{
    return abl_drive_patience(drive->respond.r->server);
}

/* The member's deadline is not over just because the client's is. */
static unsigned whose_time(const abl_drive_t *drive, unsigned ready)
{
    bool clients = (ready & ABL_READY_TIMEOUT) && abl_clock_now() >= drive->client_until;

    return clients ? ABL_READY_CLIENT_GONE : ready;
}

/* Waits here for a moment, where that is likely to be worth it. 0: nothing has happened. */
static unsigned wait_a_moment(const abl_drive_t *drive, const abl_wait_t *wait)
{
    unsigned ready = 0;

    if (abl_lane_is_here() || wait->queued || patience(drive) == 0 ||
        (!drive->over && abl_exchange_expects(drive->x) > patience(drive))) {
        return 0;
    }
    if (atomic_fetch_add(&waiting, 1) < most) {
        ready = abl_inline_wait(wait, &drive->client, is_writing(drive), abl_clock_now() + patience(drive));
    }
    atomic_fetch_sub(&waiting, 1);
    return whose_time(drive, ready);
}

/* A client that has ended its side may be one that waits for its answer: the member's is waited for first. */
static bool watches_client(abl_drive_t *drive, const abl_wait_t *wait)
{
    int64_t now = abl_clock_now();

    if (drive->watch_from == 0) {
        drive->watch_from = now + ABL_INLINE_WATCH_AFTER;
    }
    return drive->over || wait->queued || wait->fd < 0 || (wait->what & ABL_READY_CLIENT_READ) ||
           is_writing(drive) || now >= drive->watch_from;
}

/* mod_reqtimeout's filter looks at its clock only when it is asked for bytes. */
#define LOOK_EVERY ABL_SECOND

static int64_t look_again(int64_t deadline)
{
    int64_t again = abl_clock_now() + LOOK_EVERY;

    return again < deadline ? again : deadline;
}

static void fill_waiter(abl_drive_t *drive, abl_waiter_t *waiter)
{
    abl_wait_t wait = wait_of(drive);

    waiter->fd[MEMBER] = wait.fd;
    waiter->line = wait.conn != NULL ? &wait.conn->line : NULL;
    waiter->drained = wait.conn != NULL && wait.conn->drained;
    waiter->events[MEMBER] = (wait.what & ABL_READY_MEMBER_READ ? (uint32_t)EPOLLIN : 0) |
                             (wait.what & ABL_READY_MEMBER_WRITE ? (uint32_t)EPOLLOUT : 0);
    waiter->fd[CLIENT] = drive->client.fd;
    waiter->events[CLIENT] = (wait.what & ABL_READY_CLIENT_READ ? (uint32_t)EPOLLIN : 0) |
                             (wait.what & ABL_READY_CLIENT_GONE ? (uint32_t)EPOLLRDHUP : 0) |
                             (is_writing(drive) ? (uint32_t)EPOLLOUT : 0);
    if (waiter->events[CLIENT] == 0) {
        waiter->events[CLIENT] = EPOLLERR; /* a tunnel whose member takes nothing: has it gone altogether? */
    }
    waiter->deadline = wait.deadline;
    if (!watches_client(drive, &wait)) {
        waiter->events[CLIENT] = 0;
        waiter->deadline = drive->watch_from < wait.deadline ? drive->watch_from : wait.deadline;
    } else if ((wait.what & ABL_READY_CLIENT_READ) && !drive->body.tunnel) {
        waiter->deadline = look_again(wait.deadline);
    }
}

static unsigned ready_of(const abl_drive_t *drive, const abl_waiter_t *waiter)
{
    const uint32_t broken = EPOLLHUP | EPOLLERR;
    uint32_t member = waiter->happened[MEMBER], client = waiter->happened[CLIENT];
    bool late = waiter->late && (waiter->deadline == 0 || abl_clock_now() >= wait_of(drive).deadline);
    unsigned ready = late ? ABL_READY_TIMEOUT : 0;

    ready |= (member & (EPOLLIN | broken)) ? ABL_READY_MEMBER_READ : 0;
    ready |= (member & (EPOLLOUT | broken)) ? ABL_READY_MEMBER_WRITE : 0;
    if (waiter->events[CLIENT] & EPOLLIN) {
        ready |= (client & ~(uint32_t)EPOLLOUT) || (waiter->late && !late) ? ABL_READY_CLIENT_READ : 0;
    } else {
        ready |= (client & (EPOLLRDHUP | broken)) ? ABL_READY_CLIENT_GONE : 0;
    }
    ready |= (client & EPOLLOUT) ? ABL_READY_CLIENT_WRITE : 0;
    if (ready & ABL_READY_MEMBER_READ) {
        ready &= ~(unsigned)ABL_READY_CLIENT_GONE; /* what the member has said is said first */
    }
    return whose_time(drive, ready);
}

/* ---- on a worker ------------------------------------------------------------------------------------ */

static apr_status_t clear_spools(void *data)
{
    abl_drive_t *drive = data;

    abl_spool_clear(&drive->body.spool);
    abl_stash_clear(&drive->stash);
    return APR_SUCCESS;
}

static int finish(abl_drive_t *drive)
{
    int status = drive->conclude(drive);

    clear_spools(drive);
    return status;
}

/* What happened while it waited. False: nothing that the exchange has to know. */
static void note(abl_drive_t *drive, unsigned ready)
{
    if ((ready & ABL_READY_CLIENT_GONE) && drive->over) {
        lose_client(drive);
    } else {
        drive->ready = ready & ~ABL_READY_CLIENT_WRITE;
    }
}

static bool is_done(const abl_drive_t *drive)
{
    return drive->over && (drive->client_gone || !drive->stashing || abl_stash_is_empty(&drive->stash));
}

/* The client's turn. True: the exchange can go on because of it. */
static bool serve_client(abl_drive_t *drive)
{
    bool had_room = abl_spool_has_room(&drive->stash.body);

    if (drive->stashing) {
        play(drive);
    } else if (!drive->over && is_writing(drive)) {
        begin_stashing(drive);
        return true;
    }
    if (drive->stash.wants_body) {
        drive->stash.wants_body = false;
        drive->ready |= ABL_READY_CLIENT_READ;
        return true;
    }
    return !had_room && abl_spool_has_room(&drive->stash.body);
}

/* Both sides, until both wait or all is over. */
static void go_on(abl_drive_t *drive)
{
    bool again = true;

    while (again && !is_done(drive)) {
        if (!drive->over) {
            run(drive, true);
        }
        again = !drive->client_gone && serve_client(drive) && !drive->over;
    }
}

/* Before it is parked: what is held back the client must have. Whether anybody of its side will be there when
 * the member goes on, nobody knows yet. */
static void prepare_to_park(abl_drive_t *drive)
{
    if (!is_writing(drive) && abl_respond_flush(&drive->respond) != APR_SUCCESS) {
        lose_client(drive);
    } else if (!drive->over && !drive->stashing) {
        drive->over = !abl_exchange_redirect(drive->x, drive->events, &drive->respond);
    }
}

/* The answer's part of a request. SUSPENDED, and the waiter is filled in, or what the handler returns. */
static int exchange(abl_drive_t *drive, abl_waiter_t *waiter)
{
    for (go_on(drive); !is_done(drive); go_on(drive)) {
        abl_wait_t wait = wait_of(drive);
        unsigned ready = wait_a_moment(drive, &wait);
        if (ready != 0) {
            note(drive, ready);
            continue;
        }
        prepare_to_park(drive);
        if (!is_done(drive)) {
            fill_waiter(drive, waiter);
            return SUSPENDED;
        }
    }
    return finish(drive);
}

/* ---- the request's body, before the exchange -------------------------------------------------------- */

static void wait_for_body(const abl_drive_t *drive, abl_waiter_t *waiter)
{
    waiter->fd[MEMBER] = -1;
    waiter->line = NULL;
    waiter->fd[CLIENT] = drive->client.fd;
    waiter->events[CLIENT] = EPOLLIN;
    waiter->deadline = look_again(drive->client_until);
}

/* OK: there is enough of it. SUSPENDED: the waiter is filled in. */
static int collect(abl_drive_t *drive, abl_waiter_t *waiter)
{
    uint64_t before = abl_spool_length(&drive->body.spool);
    int status = abl_body_collect(&drive->body, drive->enough, drive->respond.section->buffer.max);

    if (status != SUSPENDED) {
        return status;
    }
    if (drive->client_until == INT64_MAX || abl_spool_length(&drive->body.spool) != before) {
        drive->client_until = abl_clock_now() + drive->respond.r->server->timeout;
    } else if (abl_clock_now() >= drive->client_until) {
        return HTTP_REQUEST_TIME_OUT;
    }
    wait_for_body(drive, waiter);
    return SUSPENDED;
}

/* Where nothing can be parked the worker waits. */
static int collect_here(abl_drive_t *drive)
{
    bool pollable = drive->body.pollable;
    int status;

    drive->body.pollable = false;
    status = abl_body_collect(&drive->body, drive->enough, drive->respond.section->buffer.max);
    drive->body.pollable = pollable;
    return status;
}

static int begin(abl_drive_t *drive)
{
    drive->client_until = INT64_MAX;
    return drive->begin(drive);
}

/* All of a request. */
static int work(void *ctx, abl_waiter_t *waiter)
{
    abl_drive_t *drive = ctx;

    if (drive->x == NULL) {
        int status = drive->enough > 0 ? collect(drive, waiter) : OK;
        if (status == OK) {
            status = begin(drive);
        }
        if (status != OK) {
            return status == SUSPENDED ? SUSPENDED : drive->refuse(drive, status);
        }
    }
    return exchange(drive, waiter);
}

/* ---- on the loop ------------------------------------------------------------------------------------ */

static bool go_on_without_worker(void *ctx, abl_waiter_t *waiter, bool is_worker)
{
    abl_drive_t *drive = ctx;

    if (drive->x == NULL) {
        return true;
    }
    drive->ready = ready_of(drive, waiter);
    if (drive->ready == 0) {
        fill_waiter(drive, waiter); /* from now on the client is watched, too */
        return false;
    }
    if (drive->over || (drive->ready & (ABL_READY_CLIENT_WRITE | ABL_READY_CLIENT_READ))) {
        return true;
    }
    if (!drive->stashing) {
        if (is_worker) {
            return true;
        }
        begin_stashing(drive);
    }
    if (!is_worker && abl_spool_needs_file(&drive->stash.body, ON_LOOP)) {
        return true; /* the disk may be slow */
    }
    run(drive, false);
    if (drive->over || drive->stash.wants_body ||
        (!abl_stash_is_empty(&drive->stash) && !is_writing(drive))) {
        return true;
    }
    fill_waiter(drive, waiter);
    return false;
}

static int resume(void *ctx, abl_waiter_t *waiter)
{
    abl_drive_t *drive = ctx;
    unsigned ready = drive->ready;
    int status;

    drive->ready = 0;
    note(drive, ready);
    status = work(drive, waiter);
    if (status != SUSPENDED) {
        abl_unblock(drive->respond.r, false);
    }
    return status;
}

static void give_up(void *ctx)
{
    abl_drive_t *drive = ctx;

    if (drive->x != NULL) {
        if (!drive->over) {
            (void)abl_exchange_run(drive->x, ABL_READY_CLIENT_GONE);
        }
        abl_exchange_close(drive->x);
    }
}

/* ---- the handler's ---------------------------------------------------------------------------------- */

static void set_limits(abl_spool_t *spool, uint64_t memory, const abl_drive_t *drive)
{
    const abl_buffer_conf_t *buffer = &drive->respond.section->buffer;

    spool->memory_max = memory;
    spool->file_max = buffer->file;
    spool->folder = buffer->folder;
}

static void prepare(abl_drive_t *drive)
{
    const abl_buffer_conf_t *buffer = &drive->respond.section->buffer;
    apr_pool_t *pool = drive->respond.r->pool;

    if (drive->parkable) {
        abl_stash_init(&drive->stash, pool, drive->events, &drive->respond);
        set_limits(&drive->stash.body, buffer->response, drive);
    }
    if (drive->enough > 0) {
        bool limited = drive->respond.section->balancer.limited;
        set_limits(&drive->body.spool, limited ? buffer->request : UINT64_C(2) * ABL_BODY_PIECE, drive);
    }
    apr_pool_cleanup_register(pool, drive, clear_spools, apr_pool_cleanup_null);
    drive->client_until = INT64_MAX;
}

static int drive_here(abl_drive_t *drive)
{
    int status;

    abl_lane_leave();
    status = drive->enough > 0 ? collect_here(drive) : OK;
    if (status == OK) {
        status = drive->begin(drive);
    }
    if (status != OK) {
        return drive->refuse(drive, status);
    }
    abl_inline_run(drive->x, &drive->client);
    return drive->conclude(drive);
}

int abl_drive(abl_drive_t *drive)
{
    request_rec *r = drive->respond.r;
    abl_parking_t parking = {go_on_without_worker, resume, give_up, drive};
    abl_waiter_t waiter = {0};
    int status;

    drive->parkable = patience(drive) >= 0 && abl_park_may(r) && drive->client.fd >= 0;
    prepare(drive);
    if (!drive->parkable) {
        return drive_here(drive);
    }
    drive->respond.unblocked = true;
    abl_unblock(r, true);
    status = work(drive, &waiter);
    if (status == SUSPENDED) {
        return abl_park(r, &parking, &waiter);
    }
    abl_unblock(r, false);
    return status;
}
