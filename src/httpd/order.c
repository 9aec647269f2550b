/* SPDX-License-Identifier: Apache-2.0
 *
 * From {"action": "drain", …} to the ledger and to the board.
 */
#include "httpd/order.h"

#include "base/clock.h"
#include "base/ip.h"
#include "base/member_url.h"
#include "httpd/lifecycle.h"
#include "httpd/supervision.h"
#include "ledger/journal.h"
#include "ledger/steer.h"

#include "ap_config.h"
#include "httpd.h"

#include "apr_strings.h"

#include <jansson.h>
#include <math.h>

#define EJECT_DEFAULT 60 /* seconds */

/* What was asked for. Texts are the JSON object's, or NULL where it has none. */
typedef struct order_t {
    apr_pool_t *pool;
    const abl_order_from_t *from;
    const char *action, *balancer, *member, *application, *reason;
    bool has_value, has_instance, has_weight;
    double value, weight;
    json_int_t instance;
    const char *told; /* the value in words, for the log */
    abl_gate_t gate;
    char note[ABL_NOTE_MAX];
} order_t;

static abl_order_result_t wrong(int status, const char *id, const char *message)
{
    return (abl_order_result_t){.status = status, .id = id, .message = message};
}

static abl_order_result_t done(const char *message)
{
    return (abl_order_result_t){.status = HTTP_OK, .message = message};
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* Control characters would make two lines of one in the log. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *read_text(apr_pool_t *pool, const json_t *value, const char *key, size_t max,
                             const char **into)
{
    if (!json_is_string(value) || json_string_length(value) != strlen(json_string_value(value)) ||
        json_string_length(value) > max || !is_plain(json_string_value(value))) {
        return apr_psprintf(pool, "\"%s\" must be a text of at most %d bytes without control characters", key,
                            (int)max);
    }
    *into = apr_pstrdup(pool, json_string_value(value));
    return NULL;
}

static const char *read_number(apr_pool_t *pool, const json_t *value, const char *key, double *into,
                               bool *has)
{
    if (!json_is_number(value)) {
        return apr_psprintf(pool, "\"%s\" must be a number", key);
    }
    *into = json_number_value(value);
    *has = true;
    return NULL;
}

static const char *read_instance(order_t *order, const json_t *value)
{
    if (!json_is_integer(value)) {
        return "\"instance\" must be a whole number";
    }
    order->instance = json_integer_value(value);
    order->has_instance = true;
    return NULL;
}

static const char *read_pair(order_t *order, const char *key, const json_t *value)
{
    const struct {
        const char *key;
        size_t max;
        const char **into;
    } texts[] = {{"action", 16, &order->action},
                 {"balancer", ABL_NAME_MAX, &order->balancer},
                 {"member", ABL_ADDRESS_MAX, &order->member},
                 {"application", ABL_NAME_MAX, &order->application},
                 {"reason", ABL_REASON_MAX, &order->reason}};
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(texts[i].key, key) == 0) {
            return json_is_null(value) ? NULL
                                       : read_text(order->pool, value, key, texts[i].max, texts[i].into);
        }
    }
    if (strcmp(key, "value") == 0) {
        return json_is_null(value) ? NULL
                                   : read_number(order->pool, value, key, &order->value, &order->has_value);
    }
    if (strcmp(key, "weight") == 0) {
        return json_is_null(value) ? NULL
                                   : read_number(order->pool, value, key, &order->weight, &order->has_weight);
    }
    if (strcmp(key, "instance") == 0) {
        return read_instance(order, value);
    }
    return apr_psprintf(order->pool,
                        "\"%s\" is not known; known are action, balancer, member, application, instance, "
                        "value, weight, reason",
                        is_plain(key) ? key : "a key with control characters");
}

static const char *read_order(order_t *order, const char *json, apr_size_t len)
{
    json_error_t error;
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error), *value;
    const char *key, *why = NULL;

    if (!json_is_object(root)) {
        why = root == NULL
                  ? apr_psprintf(order->pool, "the body is not JSON: %s, in line %d", error.text, error.line)
                  : "the body must be one JSON object";
        json_decref(root);
        return why;
    }
    json_object_foreach(root, key, value)
    {
        why = why == NULL ? read_pair(order, key, value) : why;
    }
    json_decref(root);
    return why;
}

/* ---- members ---------------------------------------------------------------------------------------- */

/* 0.01 to 100 as hundredths; 0: it is out of that. */
static apr_uint32_t weight_of(double weight)
{
    return weight >= 0.01 && weight <= 100 ? (apr_uint32_t)lround(weight * 100) : 0;
}

static abl_order_result_t not_found(const order_t *order)
{
    return wrong(HTTP_NOT_FOUND, "ABL0405",
                 apr_psprintf(order->pool, "balancer %s has no member %s, or there is no such balancer",
                              order->balancer, order->member));
}

/* Somebody else has this process's seat in the ledger. */
static abl_order_result_t busy(void)
{
    return wrong(HTTP_SERVICE_UNAVAILABLE, "ABL0432",
                 "this process is no child of httpd any more; nothing was done, try again");
}

static abl_order_result_t steer(order_t *order, abl_steer_t what, apr_uint64_t value, const char *message)
{
    apr_status_t rv = abl_steer_member(&order->gate, what, value, order->note);

    if (rv == APR_EBUSY) {
        return busy();
    }
    return rv == APR_SUCCESS ? done(apr_psprintf(order->pool, message, order->member)) : not_found(order);
}

static abl_order_result_t enable(order_t *order)
{
    return steer(order, ABL_STEER_ENABLE, 0, "%s gets requests");
}

static abl_order_result_t drain(order_t *order)
{
    return steer(order, ABL_STEER_DRAIN, 0, "%s gets only requests whose affinity names it");
}

static abl_order_result_t disable(order_t *order)
{
    return steer(order, ABL_STEER_DISABLE, 0, "%s gets no request any more");
}

static abl_order_result_t restore(order_t *order)
{
    return steer(order, ABL_STEER_RESTORE, 0, "%s is as the configuration says");
}

static abl_order_result_t take_back(order_t *order)
{
    return steer(order, ABL_STEER_RETURN, 0, "%s is used again");
}

static abl_order_result_t set_weight(order_t *order)
{
    apr_uint32_t weight = order->has_value ? weight_of(order->value) : 0;

    if (weight == 0) {
        return wrong(HTTP_BAD_REQUEST, "ABL0406", "\"value\" must be a weight from 0.01 to 100");
    }
    order->told = apr_psprintf(order->pool, "%.2f", order->value);
    return steer(order, ABL_STEER_WEIGHT, weight, "%s has another weight");
}

static abl_order_result_t set_concurrency(order_t *order)
{
    if (!order->has_value || order->value < 0 || order->value > 1000000 ||
        order->value != floor(order->value)) {
        return wrong(HTTP_BAD_REQUEST, "ABL0407",
                     "\"value\" must be a whole number from 0 (no limit) to 1000000");
    }
    order->told = apr_psprintf(order->pool, "%.0f", order->value);
    return steer(order, ABL_STEER_LIMIT, (apr_uint64_t)order->value,
                 "%s has another limit of requests at once");
}

static abl_order_result_t eject(order_t *order)
{
    double seconds = order->has_value ? order->value : EJECT_DEFAULT;

    if (seconds < 1 || seconds > 86400) {
        return wrong(HTTP_BAD_REQUEST, "ABL0408", "\"value\" must be seconds, from 1 to 86400");
    }
    order->told = apr_psprintf(order->pool, "%.0f s", seconds);
    return steer(order, ABL_STEER_EJECT, (apr_uint64_t)(seconds * ABL_SECOND), "%s is left out for a time");
}

/* ---- adding and removing ---------------------------------------------------------------------------- */

/* An address, as http://10.0.0.9:8080. NULL, or what is wrong. */
static const char *read_where(const order_t *order, abl_ip_t *where)
{
    abl_member_url_t url;
    const char *error = abl_member_url_parse(order->pool, order->member, &url);

    if (error != NULL) {
        return error;
    }
    if (strcmp(url.scheme, "http") != 0 || url.socket_path != NULL || url.path[0] != '\0' ||
        !abl_ip_read(url.host, url.port, where)) {
        return "members that are added at run time are plain addresses, as http://10.0.0.9:8080; anything "
               "else belongs into the configuration";
    }
    return NULL;
}

static abl_order_result_t not_added(const order_t *order, apr_status_t rv)
{
    if (rv == APR_EBUSY) {
        return busy();
    }
    if (rv == APR_EEXIST) {
        return wrong(HTTP_CONFLICT, "ABL0411",
                     apr_psprintf(order->pool, "%s is a member of balancer %s already", order->member,
                                  order->balancer));
    }
    if (rv == APR_ENOSPC) {
        return wrong(HTTP_CONFLICT, "ABL0412",
                     apr_psprintf(order->pool,
                                  "balancer %s has no free place for another member (BalancerPlaces)",
                                  order->balancer));
    }
    return wrong(HTTP_NOT_FOUND, "ABL0413",
                 apr_psprintf(order->pool, "there is no balancer %s", order->balancer));
}

static abl_order_result_t add(order_t *order)
{
    apr_uint32_t weight = order->has_weight ? weight_of(order->weight) : 100;
    abl_ip_t where;
    const char *why = read_where(order, &where);
    apr_status_t rv;

    if (why != NULL) {
        return wrong(HTTP_BAD_REQUEST, "ABL0409", why);
    }
    if (weight == 0) {
        return wrong(HTTP_BAD_REQUEST, "ABL0410", "\"weight\" must be from 0.01 to 100");
    }
    rv = abl_steer_add(&order->gate, &where, weight, order->note);
    if (rv != APR_SUCCESS) {
        return not_added(order, rv);
    }
    return done(apr_psprintf(order->pool, "%s is a member of balancer %s", order->member, order->balancer));
}

static abl_order_result_t take_away(order_t *order)
{
    apr_status_t rv = abl_steer_remove(&order->gate);

    if (rv == APR_EBUSY) {
        return busy();
    }
    if (rv == APR_EACCES) {
        return wrong(HTTP_CONFLICT, "ABL0414",
                     apr_psprintf(order->pool,
                                  "%s is in the configuration, and can only be removed there; disable it "
                                  "until then",
                                  order->member));
    }
    return rv == APR_SUCCESS
               ? done(apr_psprintf(order->pool, "%s is removed: it finishes what it has", order->member))
               : not_found(order);
}

/* ---- applications, statistics ----------------------------------------------------------------------- */

static abl_board_app_t *find_app(const order_t *order)
{
    abl_board_t *board = abl_supervision_board();
    int i;

    for (i = 0; board != NULL && i < ABL_APPS_MAX; i++) {
        abl_board_app_t *row = abl_board_app(board, i);
        if (row->gone_at == 0 && strncmp(row->name, order->application, sizeof(row->name)) == 0 &&
            strncmp(row->balancer, order->balancer, sizeof(row->balancer)) == 0) {
            return row;
        }
    }
    return NULL;
}

static abl_order_result_t no_app(const order_t *order)
{
    return wrong(
        HTTP_NOT_FOUND, "ABL0415",
        apr_psprintf(order->pool, "balancer %s has no application %s", order->balancer, order->application));
}

static abl_order_result_t roll(order_t *order)
{
    abl_board_app_t *row = find_app(order);

    if (row == NULL) {
        return no_app(order);
    }
    atomic_store(&row->wants_roll, true);
    abl_steer_ring(abl_lifecycle_segment());
    return done(apr_psprintf(order->pool, "the instances of %s are replaced, one after the other",
                             order->application));
}

static abl_order_result_t restart(order_t *order)
{
    abl_board_app_t *row = find_app(order);
    json_int_t slot = order->instance > 0 ? order->instance - 1 : -1;

    if (row == NULL) {
        return no_app(order);
    }
    if (!order->has_instance || slot < 0 || slot >= row->fleet.n || slot >= ABL_SLOTS_OF_APP_MAX ||
        row->fleet.slots[slot].instance.state == ABL_INSTANCE_NONE) {
        return wrong(HTTP_NOT_FOUND, "ABL0416",
                     apr_psprintf(order->pool, "application %s has no such \"instance\" just now",
                                  order->application));
    }
    atomic_fetch_or(&row->wants_restart, UINT64_C(1) << slot);
    order->told = apr_psprintf(order->pool, "%d", (int)order->instance);
    abl_steer_ring(abl_lifecycle_segment());
    return done(
        apr_psprintf(order->pool, "instance %d of %s is replaced", (int)order->instance, order->application));
}

static abl_order_result_t reset(order_t *order)
{
    apr_status_t rv = abl_steer_reset(&order->gate, (apr_int64_t)apr_time_sec(apr_time_now()));

    if (rv != APR_SUCCESS) {
        return not_added(order, rv);
    }
    return done(apr_psprintf(order->pool, "statistics of %s begin anew", order->balancer));
}

/* ---- one action ------------------------------------------------------------------------------------- */

typedef enum needs_t { NOTHING, MEMBER, APPLICATION } needs_t;

static const struct {
    const char *name;
    needs_t needs; /* beside the balancer */
    abl_order_result_t (*act)(order_t *order);
} actions[] = {{"enable", MEMBER, enable},
               {"drain", MEMBER, drain},
               {"disable", MEMBER, disable},
               {"weight", MEMBER, set_weight},
               {"concurrency", MEMBER, set_concurrency},
               {"restore", MEMBER, restore},
               {"add", MEMBER, add},
               {"remove", MEMBER, take_away},
               {"eject", MEMBER, eject},
               {"return", MEMBER, take_back},
               {"restart", APPLICATION, restart},
               {"roll", APPLICATION, roll},
               {"reset", NOTHING, reset}};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static const char *or_nothing(const char *text)
{
    return text != NULL ? text : "";
}

/* "by admin from 10.0.0.7: disk change" */
static void write_note(order_t *order)
{
    const abl_order_from_t *from = order->from;

    apr_snprintf(order->note, sizeof(order->note), "%s%sfrom %s%s%s", from->who != NULL ? "by " : "",
                 from->who != NULL ? apr_pstrcat(order->pool, from->who, " ", NULL) : "", from->from,
                 order->reason != NULL && *order->reason != '\0' ? ": " : "", or_nothing(order->reason));
}

static void tell(const order_t *order, abl_order_result_t *result)
{
    abl_entry_t entry = {.time = (apr_int64_t)apr_time_sec(apr_time_now())};
    const char *target = order->member != NULL ? order->member : or_nothing(order->application);

    apr_cpystrn(entry.who, or_nothing(order->from->who), sizeof(entry.who));
    apr_cpystrn(entry.from, order->from->from, sizeof(entry.from));
    apr_cpystrn(entry.action, order->action, sizeof(entry.action));
    apr_cpystrn(entry.balancer, order->balancer, sizeof(entry.balancer));
    apr_cpystrn(entry.target, target, sizeof(entry.target));
    apr_cpystrn(entry.value, or_nothing(order->told), sizeof(entry.value));
    apr_cpystrn(entry.reason, or_nothing(order->reason), sizeof(entry.reason));
    apr_cpystrn(entry.result, "done", sizeof(entry.result));
    abl_journal_add(abl_lifecycle_segment(), &entry);
    result->log = apr_psprintf(order->pool, "balancer %s: %s%s%s%s%s, %s", order->balancer, order->action,
                               *target != '\0' ? " " : "", target, order->told != NULL ? " " : "",
                               or_nothing(order->told), order->note);
}

static abl_order_result_t act(order_t *order)
{
    size_t i = 0;
    abl_order_result_t result;

    while (i < ACTIONS && strcmp(actions[i].name, order->action) != 0) {
        i++;
    }
    if (i == ACTIONS) {
        return wrong(HTTP_BAD_REQUEST, "ABL0417",
                     apr_psprintf(order->pool,
                                  "\"action\": %s is not known; known are enable, drain, disable, weight, "
                                  "concurrency, restore, add, remove, eject, return, restart, roll, reset",
                                  order->action));
    }
    if ((actions[i].needs == MEMBER && order->member == NULL) ||
        (actions[i].needs == APPLICATION && order->application == NULL)) {
        return wrong(HTTP_BAD_REQUEST, "ABL0418",
                     apr_psprintf(order->pool, "\"%s\" is missing",
                                  actions[i].needs == MEMBER ? "member" : "application"));
    }
    write_note(order);
    result = actions[i].act(order);
    if (result.id == NULL) {
        tell(order, &result);
    }
    return result;
}

abl_order_result_t abl_order(apr_pool_t *pool, const char *json, apr_size_t len, const abl_order_from_t *from)
{
    order_t order = {.pool = pool, .from = from};
    const char *why = read_order(&order, json, len);

    if (why != NULL) {
        return wrong(HTTP_BAD_REQUEST, "ABL0419", why);
    }
    if (order.action == NULL || order.balancer == NULL) {
        return wrong(HTTP_BAD_REQUEST, "ABL0420", "\"action\" and \"balancer\" are needed");
    }
    if (abl_lifecycle_segment() == NULL) {
        return not_added(&order, APR_ENOENT);
    }
    order.gate =
        (abl_gate_t){.segment = abl_lifecycle_segment(), .balancer = order.balancer, .address = order.member};
    return act(&order);
}
