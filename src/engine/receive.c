/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer's bytes. The state of receiving is the function that looks at the next bytes:
 *
 *     head ──► (1xx: head again) ──► length │ chunked ──► trailers │ until close │ tunnel
 */
#include "engine/transfer.h"

#include "base/units.h"
#include "wire/h1_chars.h"
#include "wire/h1_fields.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#define AT_ONCE 262144 /* bytes that one run takes */

static abl_receive_t bad_answer(abl_exchange_t *x, const char *why)
{
    abl_transfer_finish(x, x->head_done ? ABL_END_SHORT : ABL_END_BAD_ANSWER, why, APR_SUCCESS);
    return ABL_RECEIVE_ENDED;
}

/* An event that the client's side refused ends the exchange. */
static bool handed_on(abl_exchange_t *x, apr_status_t rv)
{
    if (rv != APR_SUCCESS) {
        abl_transfer_finish(x, ABL_END_CLIENT_GONE, "the client does not take the answer", rv);
    }
    return rv == APR_SUCCESS;
}

static abl_answer_t answer_of(const abl_exchange_t *x)
{
    abl_answer_t answer = {.head = &x->head, .bytes = x->conn->buffer + x->conn->start, .member = x->member};

    return answer;
}

static size_t unread(const abl_exchange_t *x)
{
    return x->conn->end - x->conn->start;
}

/* The answer is complete; may the connection serve another request? */
static abl_receive_t complete(abl_exchange_t *x)
{
    x->answered = true;
    x->keep = x->body.keep && !abl_send_pending(x) && !x->sending_broke && unread(x) == 0;
    abl_release_early(x);
    if (handed_on(x, x->events->on_finish(x->ctx))) {
        abl_transfer_finish(x, ABL_END_OK, NULL, APR_SUCCESS);
    }
    return ABL_RECEIVE_ENDED;
}

/* Gives bytes of the connection's buffer to the client's side, which may hold them until on_pass. */
static bool give(abl_exchange_t *x, const char *bytes, size_t len)
{
    x->unpassed = true;
    return handed_on(x, x->events->on_data(x->ctx, bytes, len));
}

/* ---- bodies ----------------------------------------------------------------------------------------- */

static abl_receive_t receive_length(abl_exchange_t *x)
{
    size_t len = unread(x);

    if (len > x->left) {
        len = (size_t)x->left;
    }
    if (len > 0 && !give(x, x->conn->buffer + x->conn->start, len)) {
        return ABL_RECEIVE_ENDED;
    }
    x->conn->start += len;
    x->left -= len;
    return x->left == 0 ? complete(x) : ABL_RECEIVE_MORE;
}

static abl_receive_t receive_until_close(abl_exchange_t *x)
{
    size_t len = unread(x);

    if (len > 0 && !give(x, x->conn->buffer + x->conn->start, len)) {
        return ABL_RECEIVE_ENDED;
    }
    x->conn->start = x->conn->end;
    return ABL_RECEIVE_MORE;
}

static abl_receive_t receive_trailers(abl_exchange_t *x)
{
    abl_answer_t answer;

    switch (abl_h1_head_parse(&x->head, x->conn->buffer + x->conn->start, unread(x))) {
    case ABL_WIRE_MORE:
        return ABL_RECEIVE_MORE;
    case ABL_WIRE_BAD:
        return bad_answer(x, x->head.why);
    case ABL_WIRE_DONE:
        break;
    }
    answer = answer_of(x);
    if (x->head.nfields > 0 && !handed_on(x, x->events->on_trailers(x->ctx, &answer))) {
        return ABL_RECEIVE_ENDED;
    }
    x->conn->start += x->head.length;
    return complete(x);
}

static abl_receive_t receive_chunked(abl_exchange_t *x)
{
    while (unread(x) > 0) {
        const char *data = NULL;
        size_t used = 0, data_len = 0;
        abl_wire_rc_t rc = abl_h1_chunk_decode(&x->chunk, x->conn->buffer + x->conn->start, unread(x), &used,
                                               &data, &data_len);
        if (rc == ABL_WIRE_BAD) {
            return bad_answer(x, x->chunk.why);
        }
        if (data_len > 0 && !give(x, data, data_len)) {
            return ABL_RECEIVE_ENDED;
        }
        x->conn->start += used;
        if (rc == ABL_WIRE_DONE) {
            abl_h1_head_init_trailers(&x->head);
            x->receive = receive_trailers;
            return ABL_RECEIVE_AGAIN;
        }
    }
    return ABL_RECEIVE_MORE;
}

/* ---- the head --------------------------------------------------------------------------------------- */

/* The protocol that a 101 names, if it is one of those that were asked for. */
static const char *protocol_of(abl_exchange_t *x, const abl_answer_t *answer)
{
    const char *asked = x->request->head.upgrade;
    int i;

    for (i = 0; asked != NULL && i < answer->head->nfields; i++) {
        const abl_h1_field_t *field = &answer->head->fields[i];
        const char *value;
        if (field->name_len != 7 || !abl_h1_same(answer->bytes + field->name, "upgrade", 7)) {
            continue;
        }
        value = apr_pstrmemdup(x->pool, answer->bytes + field->value, field->value_len);
        return abl_h1_list_has(asked, strlen(asked), value) ? value : NULL;
    }
    return NULL;
}

static abl_receive_t upgrade(abl_exchange_t *x)
{
    abl_answer_t answer = answer_of(x);

    answer.upgrade = protocol_of(x, &answer);
    if (answer.upgrade == NULL) {
        return bad_answer(x, "101 to a protocol that was not asked for");
    }
    x->head_done = true;
    x->tunnel = true;
    if (!handed_on(x, x->events->on_upgrade(x->ctx, &answer))) {
        return ABL_RECEIVE_ENDED;
    }
    x->conn->start += x->head.length;
    abl_send_tunnel(x);
    x->receive = receive_until_close;
    return ABL_RECEIVE_AGAIN;
}

static abl_receive_t interim(abl_exchange_t *x)
{
    abl_answer_t answer = answer_of(x);

    if (++x->interims > ABL_INTERIM_MAX) {
        return bad_answer(x, "too many interim (1xx) answers");
    }
    if (x->head.status == 100) {
        abl_send_body(x);
    } else if (!handed_on(x, x->events->on_interim(x->ctx, &answer))) {
        return ABL_RECEIVE_ENDED;
    }
    x->conn->start += x->head.length;
    abl_h1_head_init(&x->head);
    return ABL_RECEIVE_AGAIN;
}

static abl_receive_t final_head(abl_exchange_t *x)
{
    static abl_receive_t (*const receivers[])(abl_exchange_t *) = {
        [ABL_H1_BODY_NONE] = NULL,
        [ABL_H1_BODY_LENGTH] = receive_length,
        [ABL_H1_BODY_CHUNKED] = receive_chunked,
        [ABL_H1_BODY_CLOSE] = receive_until_close,
    };
    abl_answer_t answer = answer_of(x);

    x->head_done = true;
    x->head_status = x->head.status;
    if (x->hold_until != 0) {
        abl_send_stop(x); /* it answers without wanting the body; the rest of the connection is of no use */
        x->body.keep = false;
    }
    if (!handed_on(x, x->events->on_head(x->ctx, &answer))) {
        return ABL_RECEIVE_ENDED;
    }
    x->conn->start += x->head.length;
    if (x->body.kind == ABL_H1_BODY_NONE) {
        return complete(x);
    }
    x->left = x->body.length;
    abl_h1_chunk_init(&x->chunk);
    x->receive = receivers[x->body.kind];
    return ABL_RECEIVE_AGAIN;
}

/* Many servers write an answer's head and its body apart. Whoever is killed between the two has said nothing
 * yet that another member could not say as well: so, for a moment, such a head is kept back where the request
 * may be sent again. Not where the length is unknown: that may be a stream whose head is awaited. */
static bool keep_back(abl_exchange_t *x)
{
    if (x->body.kind != ABL_H1_BODY_LENGTH || x->body.length == 0 || unread(x) > x->head.length ||
        x->conn->end == ABL_CONN_BUFFER || x->interims > 0 || x->sent_at == 0 || !abl_may_send_again(x) ||
        !(x->balancer->retry.on & ABL_RETRY_RESET)) {
        return false;
    }
    if (x->head_until == 0) {
        x->head_until = x->now + ABL_HEAD_PAUSE;
    }
    return x->now < x->head_until;
}

/* May another member be asked because of this status? x->why says what is wrong with it. */
static bool is_unwanted(abl_exchange_t *x)
{
    static const struct {
        int status;
        unsigned on;
        const char *why;
    } statuses[] = {{500, ABL_RETRY_500, "answered 500"},
                    {502, ABL_RETRY_502, "answered 502"},
                    {503, ABL_RETRY_503, "answered 503"},
                    {504, ABL_RETRY_504, "answered 504"},
                    {429, ABL_RETRY_429, "answered 429"}};
    size_t i;

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].status == x->head.status) {
            x->why = statuses[i].why;
            return !x->judged && abl_may_turn_away(x, statuses[i].on);
        }
    }
    return false;
}

/* Seconds only: a date says nothing where clocks differ. */
static int64_t retry_after(const abl_exchange_t *x)
{
    const char *bytes = x->conn->buffer + x->conn->start;
    int i;

    for (i = 0; i < x->head.nfields; i++) {
        const abl_h1_field_t *field = &x->head.fields[i];
        char value[8] = "";
        int64_t seconds;
        if (field->name_len == 11 && strncasecmp(bytes + field->name, "Retry-After", 11) == 0 &&
            field->value_len < sizeof(value)) {
            memcpy(value, bytes + field->value, field->value_len);
            return abl_units_number(value, 1, 999999, &seconds) != NULL ? 0
                   : seconds * ABL_SECOND < ABL_REST_MAX                ? seconds * ABL_SECOND
                                                                        : ABL_REST_MAX;
        }
    }
    return 0;
}

static abl_receive_t receive_head(abl_exchange_t *x)
{
    const char *bytes = x->conn->buffer + x->conn->start;
    int unwanted_status;

    switch (abl_h1_head_parse(&x->head, bytes, unread(x))) {
    case ABL_WIRE_MORE:
        return ABL_RECEIVE_MORE;
    case ABL_WIRE_BAD:
        return bad_answer(x, x->head.why);
    case ABL_WIRE_DONE:
        break;
    }
    if (abl_h1_body_decide(&x->head, bytes, x->request->to_head, &x->body) == ABL_WIRE_BAD) {
        return bad_answer(x, x->body.why);
    }
    if (x->head.status == 101) {
        return upgrade(x);
    }
    if (x->head.status < 200) {
        return interim(x);
    }
    if (x->head.status == 503 && x->balancer->retry.respect) {
        x->rest = retry_after(x);
    }
    unwanted_status = x->head.status;
    if (is_unwanted(x) || (x->is_rival && !x->judged)) {
        abl_h1_head_init(&x->head); /* its bytes stay in the buffer, for whoever looks at it next */
        x->unwanted = true;
        x->unwanted_status = unwanted_status;
        return ABL_RECEIVE_AGAIN;
    }
    if (keep_back(x)) {
        abl_h1_head_init(&x->head); /* its bytes stay in the buffer */
        return ABL_RECEIVE_MORE;
    }
    return final_head(x);
}

void abl_receive_begin(abl_exchange_t *x)
{
    abl_h1_head_init(&x->head);
    x->receive = receive_head;
    x->can_read = abl_conn_pending(x->conn);
    x->unpassed = false;
    x->interims = 0;
    x->answered = false;
    x->head_until = 0;
    x->unwanted = false;
    x->rest = 0;
    x->judged = false;
    x->first_byte_at = 0;
}

void abl_receive_let_go(abl_exchange_t *x)
{
    x->head_until = 1; /* long ago */
}

void abl_receive_drain(abl_exchange_t *x)
{
    x->head_done = true;
    x->tunnel = false;
    x->receive = receive_until_close;
}

void abl_receive_resume(abl_exchange_t *x)
{
    /* A parser that has been through its bytes begins again: they are still in the buffer. */
    if (x->receive == receive_head) {
        abl_receive_let_go(x);
        abl_h1_head_init(&x->head);
    } else if (x->receive == receive_trailers) {
        abl_h1_head_init_trailers(&x->head);
    }
}

/* ---- from the socket -------------------------------------------------------------------------------- */

/* The member has closed, or the connection broke. False: before any byte of an answer that was passed on, and
 * with no more than its head. */
static bool member_closed(abl_exchange_t *x, apr_status_t rv)
{
    bool clean = rv == APR_EOF;

    if (x->receive == receive_until_close && (clean || x->tunnel)) {
        complete(x);
    } else if (x->receive != receive_head) {
        const char *why = abl_transfer_why(x, "the connection broke in the middle of the answer", &rv);
        abl_transfer_finish(x, ABL_END_SHORT, why, rv);
    } else if (x->head_until != 0) {
        x->why = "closed the connection between the head and the body of its answer";
        x->why_rv = clean ? APR_SUCCESS : rv;
        return false;
    } else if (unread(x) == 0 && x->interims == 0) {
        clean |= rv == ABL_TLS_CUT; /* nothing can be missing of nothing */
        x->why = clean ? "closed the connection without an answer"
                       : abl_transfer_why(x, "the connection broke before an answer", &rv);
        x->why_rv = clean ? APR_SUCCESS : rv;
        return false;
    } else {
        abl_transfer_finish(x, ABL_END_BAD_ANSWER, "the connection broke in the middle of the answer's head",
                            rv);
    }
    return true;
}

bool abl_receive_pass(abl_exchange_t *x)
{
    if (!x->unpassed) {
        return true;
    }
    x->unpassed = false;
    return handed_on(x, x->events->on_pass(x->ctx));
}

bool abl_receive_may(const abl_exchange_t *x)
{
    return x->events->has_room == NULL || x->events->has_room(x->ctx);
}

/* Room for the next read. Bytes that were given to the client's side must be passed on first. False: there is
 * none, or the client is gone. */
static bool make_room(abl_exchange_t *x)
{
    abl_conn_t *conn = x->conn;

    if (conn->start < conn->end && conn->end < ABL_CONN_BUFFER) {
        return true;
    }
    if (!abl_receive_pass(x)) {
        return false;
    }
    abl_conn_compact(conn);
    if (conn->end == ABL_CONN_BUFFER) {
        bad_answer(x, "a head that is too long");
        return false;
    }
    return true;
}

bool abl_receive_pump(abl_exchange_t *x)
{
    uint64_t until = x->conn->bytes + AT_ONCE;

    while (x->end == ABL_END_NONE && !x->unwanted) {
        abl_receive_t rc = unread(x) > 0 ? x->receive(x) : ABL_RECEIVE_MORE;
        apr_status_t rv;

        if (rc != ABL_RECEIVE_MORE) {
            continue;
        }
        /* Twice: making room may fill the client's side, and what it holds in httpd's filters is bounded. */
        if (!x->can_read || !abl_receive_may(x) || !make_room(x) || !abl_receive_may(x)) {
            break;
        }
        if (x->conn->bytes >= until) {
            /* Others wait for this thread; whoever asks is told that there is more, but for what TLS has read
             * ahead. */
            x->can_read = abl_conn_pending(x->conn);
            break;
        }
        rv = abl_conn_read(x->conn, &x->can_read);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            break;
        }
        if (rv != APR_SUCCESS) {
            return member_closed(x, rv);
        }
        x->moved = true;
        if (x->first_byte_at == 0) {
            x->first_byte_at = x->now;
        }
    }
    return true;
}
