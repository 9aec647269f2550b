/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an application's words go: log=, a file or a program that reads them.
 */
#ifndef ABL_CONTROL_LOG_H
#define ABL_CONTROL_LOG_H

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct abl_log_t {
    const char *to;     /* a file's name, or "|command"; NULL: there is no log of its own */
    int fd_plus_one;    /* 0: it is not open */
    int pidfd_plus_one; /* of a program; readable when it has ended; 0: there is none */
    int64_t retry_at;   /* not open: it is opened again then */
} abl_log_t;

/* Opens it, anew if it is open. `to` must stay readable until the next call. Returns
 * APR_SUCCESS, or an errno; then abl_log_line() tries again. */
apr_status_t abl_log_open(abl_log_t *log, const char *to);

/* A program meets the end of its input, and ends by itself. */
void abl_log_close(abl_log_t *log);

/* After abl_log_close(): waits until the program has ended, or until then (abl_clock_now()). */
void abl_log_await(abl_log_t *log, int64_t until);

/* Adds a line. It does not wait: what a reader does not take at once is lost. False: there is no reader, or
 * no file. */
bool abl_log_line(abl_log_t *log, const char *line, size_t len, int64_t now);

#endif
