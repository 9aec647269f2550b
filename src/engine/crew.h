/* SPDX-License-Identifier: Apache-2.0
 *
 * One role, several threads. One of them, the holder, works; another one stands by. Where the holder is stuck
 * in what it declared it might be stuck in, the other takes the role over, and a further one stands by. The
 * holder finds out when it comes back.
 *
 *     stand by ──► hold the role: work ──► enter ──► exit ──► work
 *        ▲                                   │
 *        │                                   └── takes long, or leave ──► exit: the role is gone ──┐
 *        └────────────────────────────────────────────────────────────────────────────────────────┘
 */
#ifndef ABL_ENGINE_CREW_H
#define ABL_ENGINE_CREW_H

#include <apr_errno.h>
#include <stdbool.h>

typedef struct abl_crew_t abl_crew_t;

/* Holds the role. Returns when abl_crew_has_role() says no, or when the crew shall stop, which whoever stops
 * it has to tell it. */
typedef void abl_crew_work_t(void *ctx);

/* Starts at most `most` threads, as many as it takes. One: nobody ever stands by. `end`: what each thread
 * does before it ends; NULL: nothing. Returns errno's reason. */
apr_status_t abl_crew_start(abl_crew_t **made, int most, abl_crew_work_t *work, void (*end)(void), void *ctx);

/* Is this thread the holder? Any thread. */
bool abl_crew_has_role(const abl_crew_t *crew);

/* Holder: what follows may take long. False: nobody stands by, or somebody had to take over a short while
 * ago; then it is better done elsewhere. */
bool abl_crew_enter(abl_crew_t *crew);

/* Who has entered: it is done. False: the role is another thread's now. */
bool abl_crew_exit(abl_crew_t *crew);

/* Who has entered: gives the role away at once, because this will take long. Nothing on any other thread. */
void abl_crew_leave(void);

/* Any other thread: returns when all threads have ended. */
void abl_crew_stop(abl_crew_t *crew);

#endif
