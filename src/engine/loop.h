/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for many at once: one thread sleeps in epoll_wait() for everybody who has nothing else to do, and
 * calls whoever has something to do again.
 *
 * The baton rule: a waiter, and all that belongs to it, has exactly one owner at any moment, the loop's
 * thread or another one. abl_loop_post() hands it to the loop; the loop's thread hands it on by whatever its
 * function does. Nobody touches what he has handed on. So nothing of a waiter is locked.
 *
 * "The loop's thread" is a role. Its holder may do what could take long, between abl_loop_enter() and
 * abl_loop_exit(): if it does take long, another thread of the loop, which stands by, takes the role over.
 *
 * epoll and not apr_pollset: only epoll tells that a client has ended its side (EPOLLRDHUP) while something
 * it has sent lies unread, and a pollset needs an apr_socket_t per descriptor.
 */
#ifndef ABL_ENGINE_LOOP_H
#define ABL_ENGINE_LOOP_H

#include <apr_errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

typedef struct abl_loop_t abl_loop_t;
typedef struct abl_waiter_t abl_waiter_t;
typedef void abl_waiter_fn_t(abl_waiter_t *waiter);

#define ABL_WAITER_FDS 2

/* Part of whatever owns a descriptor that one waiter after the other waits for, to be read, such as a
 * connection to a member: the kernel goes on watching it in between, and is not asked anew each time. Zeroed
 * when the descriptor is opened; nothing has to be done when it is closed. The descriptor's owner's. */
typedef struct abl_line_t {
    abl_loop_t *loop; /* whose kernel table it is in; NULL: nobody's */
} abl_line_t;

/* Part of whatever waits. Zeroed before it is used for the first time. */
struct abl_waiter_t {
    /* What for: the owner fills it in before abl_loop_wait(). */
    int fd[ABL_WAITER_FDS];          /* -1: none */
    uint32_t events[ABL_WAITER_FDS]; /* EPOLLIN, EPOLLOUT, EPOLLRDHUP; 0: the descriptor is left alone */
    int64_t deadline;                /* abl_clock_now()'s scale; INT64_MAX: none */
    abl_waiter_fn_t *on_ready;
    abl_line_t *line; /* fd[0]'s; NULL: it has none */
    bool drained;     /* with a line: the last read took all there was, and did not meet the end */

    /* For what the kernel goes on watching a descriptor between two waits, because it is likely to be asked
     * for again; 0: for nothing. 0 for both: no abl_loop_forget() is needed. */
    uint32_t keep[ABL_WAITER_FDS];

    /* What happened: the loop fills it in before on_ready. */
    uint32_t happened[ABL_WAITER_FDS]; /* as epoll says it, EPOLLHUP and EPOLLERR too */
    bool late;                         /* the deadline has passed */

    /* The loop's own. */
    abl_waiter_fn_t *posted;
    abl_waiter_t *next;
    bool is_due, is_waiting;
    bool has_timer;
    int64_t timer;                        /* when */
    int watched[ABL_WAITER_FDS];          /* the descriptor the kernel watches */
    uint32_t watched_for[ABL_WAITER_FDS]; /* 0: it does not */
};

/* Starts a loop, whose role goes round among at most `crew` threads. `end`: what each of them does before it
 * ends; NULL: nothing. Returns errno's reason. */
apr_status_t abl_loop_start(abl_loop_t **loop, int crew, void (*end)(void));

/* Any thread: hands the waiter to the loop's thread, which calls fn(waiter) soon. Posted waiters are called
 * in the order in which they came. */
void abl_loop_post(abl_loop_t *loop, abl_waiter_t *waiter, abl_waiter_fn_t *fn);

/* The loop's thread only: waits for what the waiter says, then calls its on_ready once. By then the loop has
 * forgotten it, but for what it keeps: on_ready may wait again, hand it on or free it. Where the kernel
 * refuses to watch a descriptor the waiter is called as if it were late. */
void abl_loop_wait(abl_loop_t *loop, abl_waiter_t *waiter);

/* The descriptor's owner, any thread. True: the loop watches the line, and since it was last waited for has
 * not seen anything come; and it has looked within the last millisecond. `now`: abl_clock_now(). */
bool abl_loop_is_quiet(const abl_line_t *line, int fd, int64_t now);

/* The loop's thread only: calls a waiter's on_ready soon, as if it were late. */
void abl_loop_hurry(abl_loop_t *loop, abl_waiter_t *waiter);

/* The loop's thread only, before a descriptor that is kept is closed, or its waiter handed on for long or
 * freed. The waiter must not be waiting. */
void abl_loop_forget(abl_loop_t *loop, abl_waiter_t *waiter);

/* The loop's thread only: what follows may take long, and must not touch the loop but to post. False: nobody
 * stands by, or has had to come in lately; it has to be done elsewhere. */
bool abl_loop_enter(abl_loop_t *loop);

/* Who has entered: back again. False: somebody else is the loop's thread now. Whoever was called by the loop
 * then touches nothing of it any more, and returns. */
bool abl_loop_exit(abl_loop_t *loop);

/* Who has entered: it is going to take long. Somebody else becomes the loop's thread at once. Does nothing on
 * any other thread. */
void abl_loop_leave(void);

/* Any other thread: ends the loop's threads, and returns when they have ended. Nobody who waits is called any
 * more. The loop itself stays: who posts later is not called either. */
void abl_loop_stop(abl_loop_t *loop);

#endif
