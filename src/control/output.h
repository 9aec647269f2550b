/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instance writes, line by line.
 */
#ifndef ABL_CONTROL_OUTPUT_H
#define ABL_CONTROL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABL_LINE_MAX 2048     /* bytes; what is longer is cut into several */
#define ABL_LAST_LINES 20     /* kept for the status */
#define ABL_LAST_LINE_MAX 256 /* bytes of each of these */

/* All zero: nothing yet. */
typedef struct abl_output_t {
    size_t len; /* of the line that has begun */
    char line[ABL_LINE_MAX];
    uint64_t nlines;                                  /* ever */
    char last[ABL_LAST_LINES][ABL_LAST_LINE_MAX + 1]; /* a ring */
} abl_output_t;

typedef void abl_output_line_fn_t(void *ctx, const char *line, size_t len);

/* Takes bytes, calls `line` for each whole line in them: without its end (LF or CR LF; no NUL follows), not
 * empty, with what is no printable UTF-8 text replaced by '?' (tabs become spaces; what changes the direction
 * of writing counts as not printable), so that it cannot do harm to a log or a terminal. */
void abl_output_add(abl_output_t *output, const char *bytes, size_t len, abl_output_line_fn_t *line,
                    void *ctx);

/* The last piece, when nothing more will come. */
void abl_output_end(abl_output_t *output, abl_output_line_fn_t *line, void *ctx);

/* Reads what there is in a descriptor that does not block, at most `most` bytes. False: it has ended;
 * abl_output_end() is the caller's to call. */
bool abl_output_read(abl_output_t *output, int fd, size_t most, abl_output_line_fn_t *line, void *ctx);

/* The last lines, the oldest first: i from 0; NULL: there is no such line. */
const char *abl_output_last(const abl_output_t *output, unsigned i);

/* Forgets everything. */
void abl_output_clear(abl_output_t *output);

#endif
