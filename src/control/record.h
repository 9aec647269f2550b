/* SPDX-License-Identifier: Apache-2.0
 *
 * Which instances run, on disk: for the next httpd, should this one's parent and control process be killed at
 * the same instant, when nobody is left who could end them. One file for each httpd, named by its parent, in
 * the runtime folder; whoever finds one whose parent is not there any more ends what it tells of.
 *
 * The control process's.
 */
#ifndef ABL_CONTROL_RECORD_H
#define ABL_CONTROL_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ABL_RECORD_PATH_MAX 1024
#define ABL_RECORD_MAX 8192 /* lines; at half of them those of instances that have ended go */

typedef struct abl_record_t {
    int fd_plus_one; /* 0: it is not open */
    int lines;       /* that were added since the last look at which are still needed */
    char path[ABL_RECORD_PATH_MAX];
} abl_record_t;

/* Opens this httpd's file, anew or as a killed predecessor has left it, and keeps it locked: so it is known
 * who goes on. `folder` is there; `mark`: abl_board_mark() of this httpd. False: errno; then nothing is
 * recorded. */
bool abl_record_open(abl_record_t *record, const char *folder, const char *mark);

/* An instance has begun, or was taken over (`record` may be NULL): `began` as abl_proc_began() says. That it
 * has ended is not written: a pid and the time of its beginning do not come again. */
void abl_record_add(abl_record_t *record, pid_t pid, uint64_t began);

/* httpd ends, and all instances have: removes the file. */
void abl_record_end(abl_record_t *record);

/* Ends (SIGKILL) the instances of every httpd that has left a file in this folder and is not there any more,
 * nor its control process. False: nobody was left. */
bool abl_record_sweep(const char *folder);

/* Parent, when there is no control process: ends the instances that this httpd's file tells of. False: nobody
 * was left. */
bool abl_record_end_instances(const char *folder, const char *mark);

#endif
