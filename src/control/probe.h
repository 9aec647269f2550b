/* SPDX-License-Identifier: Apache-2.0
 *
 * Is an instance ready? It is asked from time to time, without waiting for an answer: whether somebody
 * accepts at its address, whether that is really it, and, with ready-uri=, whether the answer is 2xx or 3xx.
 */
#ifndef ABL_CONTROL_PROBE_H
#define ABL_CONTROL_PROBE_H

#include "control/app.h"

#define ABL_PROBE_ANSWER_MAX 8192 /* bytes of a head that are read; a longer one is no answer */

typedef enum abl_probe_verdict_t {
    ABL_PROBE_NOT_YET, /* ask again */
    ABL_PROBE_READY,
    ABL_PROBE_STRANGER /* somebody else listens there */
} abl_probe_verdict_t;

/* All zero: it was not asked. */
typedef struct abl_probe_t {
    int fd_plus_one; /* of the connection; 0: there is none */
    bool sent;
    pid_t known;   /* this instance was seen to listen there; 0: nobody was */
    int64_t until; /* so long this connection is waited for */
    size_t len;    /* bytes of `answer` */
    char *answer;  /* malloc's */
} abl_probe_t;

/* Looks, and goes on as far as that is possible without waiting. `pgid`: the instance's. */
abl_probe_verdict_t abl_probe_look(abl_probe_t *probe, const abl_app_conf_t *app, int slot, pid_t pgid,
                                   int64_t now);

/* Gives up what is under way. */
void abl_probe_end(abl_probe_t *probe);

#endif
