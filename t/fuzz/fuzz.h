/* SPDX-License-Identifier: Apache-2.0
 *
 * What every fuzz target shares: taking decisions off the front of the input, and a check that stays in.
 */
#ifndef ABL_FUZZ_H
#define ABL_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

typedef struct fuzz_t {
    const uint8_t *in;
    size_t len;
} fuzz_t;

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static inline uint8_t fuzz_byte(fuzz_t *fuzz)
{
    if (fuzz->len == 0) {
        return 0;
    }
    fuzz->len--;
    return *fuzz->in++;
}

/* A heap copy of exactly `len` bytes, so that the address sanitizer sees a read past its end. */
static inline char *fuzz_copy(const void *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    CHECK(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

/* How a sample is cut into pieces: the sizes of the first ones, then of all others. */
#define FUZZ_CUTS 4

typedef struct fuzz_cuts_t {
    uint8_t size[FUZZ_CUTS];
    size_t next;
} fuzz_cuts_t;

static inline fuzz_cuts_t fuzz_take_cuts(fuzz_t *fuzz)
{
    fuzz_cuts_t cuts = {.next = 0};

    for (size_t i = 0; i < FUZZ_CUTS; i++) {
        cuts.size[i] = fuzz_byte(fuzz);
    }
    return cuts;
}

/* Where the piece that begins at `at` of `len` bytes ends. The last size counts for all pieces after it. */
static inline size_t fuzz_next_end(fuzz_cuts_t *cuts, size_t at, size_t len)
{
    size_t i = cuts->next < FUZZ_CUTS - 1 ? cuts->next++ : FUZZ_CUTS - 1;
    size_t piece = (size_t)cuts->size[i] + 1;

    return piece < len - at ? at + piece : len;
}

#endif
