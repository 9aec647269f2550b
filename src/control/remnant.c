/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading on, until there is an end.
 */
#include "control/remnant.h"

#include "base/clock.h"
#include "ledger/checks.h"

#include <stdlib.h>

#define ENDING_TIME (5 * ABL_SECOND) /* for an answer that has begun */
#define READS_MAX 32                 /* at once */

struct abl_remnant_t {
    abl_conn_t *conn;
    uint32_t row;
    int64_t until; /* INT64_MAX: the answer has not begun */
    bool more;     /* to be read, which no event will tell of */
    abl_remnant_t *next;
};

void abl_remnants_add(abl_remnants_t *remnants, abl_conn_t **conn, uint32_t row)
{
    abl_remnant_t *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        abl_conn_close(conn);
        abl_checks_give(remnants->segment, remnants->child, row);
        return;
    }
    *r = (abl_remnant_t){.conn = *conn, .row = row, .until = INT64_MAX, .next = remnants->first};
    *conn = NULL;
    remnants->first = r;
    abl_conn_ask_for_life(r->conn);
}

bool abl_remnants_has(const abl_remnants_t *remnants, uint32_t row)
{
    const abl_remnant_t *r = remnants->first;

    while (r != NULL && r->row != row) {
        r = r->next;
    }
    return r != NULL;
}

/* Unlinks it. */
static void end(abl_remnants_t *remnants, abl_remnant_t **link)
{
    abl_remnant_t *r = *link;

    *link = r->next;
    abl_conn_close(&r->conn);
    abl_checks_give(remnants->segment, remnants->child, r->row);
    free(r);
}

/* False: it has ended. */
static bool read_on(abl_remnant_t *r, int64_t now)
{
    apr_status_t rv = APR_SUCCESS;
    bool more;
    int i;

    for (i = 0; i < READS_MAX && rv == APR_SUCCESS; i++) {
        rv = abl_conn_read(r->conn, &more);
        r->conn->start = r->conn->end = 0;
        if (rv == APR_SUCCESS && r->until == INT64_MAX) {
            r->until = now + ENDING_TIME;
        }
    }
    r->more = rv == APR_SUCCESS;
    return r->more || APR_STATUS_IS_EAGAIN(rv);
}

void abl_remnants_ready(abl_remnants_t *remnants, uint32_t row, int64_t now)
{
    abl_remnant_t **link = &remnants->first;

    while (*link != NULL) {
        if ((*link)->row == row && !read_on(*link, now)) {
            end(remnants, link);
        } else {
            link = &(*link)->next;
        }
    }
}

void abl_remnants_drop(abl_remnants_t *remnants, uint32_t row)
{
    abl_remnant_t **link = &remnants->first;

    while (*link != NULL) {
        if ((*link)->row == row) {
            end(remnants, link);
        } else {
            link = &(*link)->next;
        }
    }
}

int64_t abl_remnants_work(abl_remnants_t *remnants, int64_t now)
{
    abl_remnant_t **link = &remnants->first;
    int64_t next = INT64_MAX;

    while (*link != NULL) {
        abl_remnant_t *r = *link;
        if (r->until <= now || (r->more && !read_on(r, now))) {
            end(remnants, link);
            continue;
        }
        next = r->more ? now : r->until < next ? r->until : next;
        link = &r->next;
    }
    return next;
}
