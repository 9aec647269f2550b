/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to c-ares and its answers. The records of SRV answers, whose time c-ares does not tell, are read
 * with the resolver's functions of the C library.
 */
#include "control/resolver.h"

#include "base/clock.h"
#include "control/say.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/stat.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* Who wants to know. */
typedef struct asker_t {
    abl_resolver_fn_t *answer;
    void *ctx;
    struct asker_t *next;
} asker_t;

/* A question; in one list, those under way and those that wait for their turn. */
typedef struct question_t {
    abl_resolver_t *resolver;
    char *name;
    bool records;
    bool under_way;
    bool settled; /* it is being answered */
    unsigned had;
    asker_t *askers;
    int n;
    uint32_t ttl;
    abl_ip_t ips[ABL_FOUND_MAX];
    struct question_t *next;
} question_t;

struct abl_resolver_t {
    abl_resolver_watch_t watch;
    char *servers; /* NULL: the system's */
    int timeout, tries;
    ares_channel channel;
    bool open;  /* there is a channel */
    bool stale; /* and another one is to take its place */
    bool said;  /* that there can be none */
    struct stat conf;
    int under_way;
    question_t *questions;
};

/* ---- the channel ------------------------------------------------------------------------------------ */

static void on_socket(void *ctx, ares_socket_t fd, int for_read, int for_write)
{
    const abl_resolver_t *resolver = ctx;

    resolver->watch.watch(resolver->watch.ctx, fd, for_read != 0, for_write != 0);
}

abl_resolver_t *abl_resolver_create(const abl_resolver_watch_t *watch)
{
    abl_resolver_t *resolver = calloc(1, sizeof(*resolver));

    if (resolver != NULL && ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(resolver);
        return NULL;
    }
    if (resolver != NULL) {
        resolver->watch = *watch;
        resolver->timeout = ABL_RESOLVER_TIMEOUT;
        resolver->tries = ABL_RESOLVER_TRIES;
    }
    return resolver;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void abl_resolver_configure(abl_resolver_t *resolver, const abl_resolver_conf_t *conf)
{
    if (is_same_text(conf->servers, resolver->servers) && conf->timeout == resolver->timeout &&
        conf->tries == resolver->tries) {
        return;
    }
    free(resolver->servers);
    resolver->servers = conf->servers != NULL ? strdup(conf->servers) : NULL;
    resolver->timeout = conf->timeout;
    resolver->tries = conf->tries;
    resolver->stale = true;
}

/* Somebody has written another resolv.conf. */
static void look_at_conf(abl_resolver_t *resolver)
{
    struct stat now = {.st_size = 0};

    (void)stat(RESOLV_CONF, &now);
    if (now.st_ino != resolver->conf.st_ino || now.st_size != resolver->conf.st_size ||
        now.st_mtim.tv_sec != resolver->conf.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != resolver->conf.st_mtim.tv_nsec) {
        resolver->conf = now;
        resolver->stale = true;
    }
}

static int open_channel(abl_resolver_t *resolver)
{
    struct ares_options options = {.timeout = resolver->timeout,
                                   .tries = resolver->tries,
                                   .sock_state_cb = on_socket,
                                   .sock_state_cb_data = resolver};
    int rv = ares_init_options(&resolver->channel, &options,
                               ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);

    if (rv == ARES_SUCCESS && resolver->servers != NULL) {
        rv = ares_set_servers_ports_csv(resolver->channel, resolver->servers);
        if (rv != ARES_SUCCESS) {
            ares_destroy(resolver->channel);
        }
    }
    resolver->open = rv == ARES_SUCCESS;
    return rv;
}

/* Can questions be asked? A channel that is to go ends when nothing is under way there. */
static bool is_open(abl_resolver_t *resolver)
{
    int rv;

    look_at_conf(resolver);
    if (resolver->open && !resolver->stale) {
        return true;
    }
    if (resolver->under_way > 0) {
        return false;
    }
    if (resolver->open) {
        ares_destroy(resolver->channel);
    }
    rv = open_channel(resolver);
    resolver->stale = rv != ARES_SUCCESS;
    if (rv != ARES_SUCCESS && !resolver->said) {
        abl_say(ABL_SAY_ERROR, 0, "ABL0306: names cannot be looked up: %s", ares_strerror(rv));
    }
    resolver->said = rv != ARES_SUCCESS;
    return rv == ARES_SUCCESS;
}

/* ---- questions and askers --------------------------------------------------------------------------- */

static question_t *find_question(abl_resolver_t *resolver, const char *name, bool records)
{
    question_t *q = resolver->questions;

    while (q != NULL && (q->records != records || q->settled || strcmp(q->name, name) != 0)) {
        q = q->next;
    }
    return q;
}

static question_t *add_question(abl_resolver_t *resolver, const char *name, bool records)
{
    question_t *q = calloc(1, sizeof(*q));
    question_t **end = &resolver->questions;

    if (q == NULL || (q->name = strdup(name)) == NULL) {
        free(q);
        return NULL;
    }
    q->resolver = resolver;
    q->records = records;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = q;
    return q;
}

void abl_resolver_ask(abl_resolver_t *resolver, const char *name, bool records, unsigned had,
                      abl_resolver_fn_t *answer, void *ctx)
{
    question_t *q = find_question(resolver, name, records);
    asker_t *asker = calloc(1, sizeof(*asker));

    q = q != NULL ? q : add_question(resolver, name, records);
    if (q == NULL || asker == NULL) {
        free(asker);
        return; /* without memory there is nothing else to be done, here or elsewhere */
    }
    *asker = (asker_t){answer, ctx, q->askers};
    q->askers = asker;
    q->had |= had;
}

static void drop(question_t *q)
{
    question_t **link = &q->resolver->questions;

    while (*link != q) {
        link = &(*link)->next;
    }
    *link = q->next;
    free(q->name);
    free(q);
}

static void forget_asker(question_t *q, const void *ctx)
{
    asker_t **link = &q->askers;

    while (*link != NULL) {
        asker_t *asker = *link;
        if (asker->ctx == ctx) {
            *link = asker->next;
            free(asker);
        } else {
            link = &asker->next;
        }
    }
}

void abl_resolver_forget(abl_resolver_t *resolver, const void *ctx)
{
    question_t *q = resolver->questions;

    while (q != NULL) {
        question_t *next = q->next;
        forget_asker(q, ctx);
        if (q->askers == NULL && !q->under_way) {
            drop(q);
        }
        q = next;
    }
}

/* Tells all who have asked, and forgets the question. Who asks the same again meanwhile asks anew. */
static void settle(question_t *q, const abl_found_t *found)
{
    asker_t *askers = q->askers;

    q->askers = NULL;
    q->resolver->under_way--;
    q->settled = true;
    while (askers != NULL) {
        asker_t *asker = askers;
        askers = asker->next;
        asker->answer(asker->ctx, found);
        free(asker);
    }
    drop(q);
}

static void settle_without(question_t *q, int status)
{
    bool none = status == ARES_ENODATA || status == ARES_ENOTFOUND;
    abl_found_t found = {.as = none ? ABL_FOUND_NONE : ABL_FOUND_FAILED,
                         .why = status == ARES_ENOTFOUND ? "there is no such name"
                                : none
                                    ? (q->records ? "the name has no SRV records" : "the name has no address")
                                    : ares_strerror(status)};

    settle(q, &found);
}

/* ---- addresses -------------------------------------------------------------------------------------- */

static void note_ttl(question_t *q, int ttl)
{
    uint32_t seconds = ttl > 0 ? (uint32_t)ttl : 0;

    q->ttl = seconds < q->ttl ? seconds : q->ttl;
}

static void note_addresses(question_t *q, const struct ares_addrinfo *info)
{
    const struct ares_addrinfo_node *node;
    const struct ares_addrinfo_cname *cname;

    for (cname = info->cnames; cname != NULL; cname = cname->next) {
        note_ttl(q, cname->ttl);
    }
    for (node = info->nodes; node != NULL && q->n < ABL_FOUND_MAX; node = node->ai_next) {
        int i = 0;
        if (!abl_ip_from(node->ai_addr, 0, &q->ips[q->n])) {
            continue;
        }
        note_ttl(q, node->ai_ttl);
        while (!abl_ip_same(&q->ips[i], &q->ips[q->n])) {
            i++;
        }
        q->n += i == q->n; /* once is enough */
    }
}

static unsigned families_of(const question_t *q)
{
    unsigned families = 0;
    int i;

    for (i = 0; i < q->n; i++) {
        families |= q->ips[i].family == 4 ? ABL_FAMILY_4 : ABL_FAMILY_6;
    }
    return families;
}

static void settle_hosts(question_t *q)
{
    abl_found_t found = {.as = ABL_FOUND, .ttl = q->ttl, .n = q->n, .ips = q->ips};

    settle(q, &found);
}

/* What has become of the family that was missing. */
static void on_rest(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    question_t *q = ctx;

    (void)timeouts;
    if (status == ARES_SUCCESS) {
        note_addresses(q, info);
        ares_freeaddrinfo(info);
    }
    if (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND) {
        settle_hosts(q);
    } else {
        settle_without(q, status);
    }
}

static void ask_for(question_t *q, int family, ares_addrinfo_callback answer)
{
    struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};

    ares_getaddrinfo(q->resolver->channel, q->name, NULL, &hints, answer, q);
}

static void on_hosts(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    question_t *q = ctx;
    unsigned lost;

    (void)timeouts;
    q->ttl = UINT32_MAX;
    if (status == ARES_SUCCESS) {
        note_addresses(q, info);
        ares_freeaddrinfo(info);
    }
    lost = q->had & ~families_of(q);
    if (status != ARES_SUCCESS || q->n == 0) {
        settle_without(q, status != ARES_SUCCESS ? status : ARES_ENODATA);
    } else if (lost != 0) {
        ask_for(q, lost == ABL_FAMILY_4 ? AF_INET : AF_INET6, on_rest);
    } else {
        settle_hosts(q);
    }
}

/* ---- SRV records ------------------------------------------------------------------------------------ */

static bool read_record(const ns_msg *message, const ns_rr *rr, abl_srv_t *record)
{
    const unsigned char *data = ns_rr_rdata(*rr);
    char *c;
    size_t len;

    if (ns_rr_rdlen(*rr) < 7 || dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + 6,
                                          record->target, (int)sizeof(record->target)) < 0) {
        return false;
    }
    record->priority = (uint16_t)ns_get16(data);
    record->weight = (uint16_t)ns_get16(data + 2);
    record->port = (uint16_t)ns_get16(data + 4);
    for (c = record->target; *c != '\0'; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
    }
    len = strlen(record->target);
    if (len > 0 && record->target[len - 1] == '.') {
        record->target[--len] = '\0';
    }
    return len > 0 && record->port != 0; /* "." says that there is no such service */
}

/* Returns how many there are; below 0: the answer makes no sense. */
static int read_records(question_t *q, const unsigned char *bytes, int len, abl_srv_t *records)
{
    ns_msg message;
    int i, n = 0;

    if (ns_initparse(bytes, len, &message) != 0) {
        return -1;
    }
    for (i = 0; i < ns_msg_count(message, ns_s_an) && n < ABL_FOUND_MAX; i++) {
        ns_rr rr;
        if (ns_parserr(&message, ns_s_an, i, &rr) != 0) {
            return -1;
        }
        note_ttl(q, ns_rr_ttl(rr) < INT32_MAX ? (int)ns_rr_ttl(rr) : INT32_MAX);
        n += ns_rr_type(rr) == ns_t_srv && read_record(&message, &rr, &records[n]);
    }
    return n;
}

static void on_records(void *ctx, int status, int timeouts, unsigned char *bytes, int len)
{
    question_t *q = ctx;
    abl_srv_t *records = calloc(ABL_FOUND_MAX, sizeof(*records));
    abl_found_t found = {.as = ABL_FOUND, .records = records};

    (void)timeouts;
    q->ttl = UINT32_MAX;
    status = records == NULL ? ARES_ENOMEM : status;
    if (status == ARES_SUCCESS) {
        found.n = read_records(q, bytes, len, records);
        status = found.n < 0 ? ARES_EBADRESP : found.n == 0 ? ARES_ENODATA : ARES_SUCCESS;
    }
    found.ttl = q->ttl;
    if (status == ARES_SUCCESS) {
        settle(q, &found);
    } else {
        settle_without(q, status);
    }
    free(records);
}

/* ---- going on --------------------------------------------------------------------------------------- */

/* An answer may come from within. */
static void begin(question_t *q)
{
    q->under_way = true;
    q->resolver->under_way++;
    if (q->records) {
        ares_query(q->resolver->channel, q->name, ns_c_in, ns_t_srv, on_records, q);
    } else {
        ask_for(q, AF_UNSPEC, on_hosts);
    }
}

static void begin_all(abl_resolver_t *resolver)
{
    question_t *q = resolver->questions;

    while (q != NULL && resolver->under_way < ABL_LOOKUPS_MAX) {
        question_t *next = q->next;
        if (!q->under_way && !is_open(resolver)) {
            return;
        }
        if (!q->under_way && q->askers != NULL) {
            begin(q);
        }
        q = next;
    }
}

void abl_resolver_ready(abl_resolver_t *resolver, int fd, bool for_read, bool for_write)
{
    if (resolver->open) {
        ares_process_fd(resolver->channel, for_read ? fd : ARES_SOCKET_BAD, for_write ? fd : ARES_SOCKET_BAD);
    }
}

int64_t abl_resolver_work(abl_resolver_t *resolver, int64_t now)
{
    struct timeval left;

    if (resolver->questions == NULL) {
        return INT64_MAX;
    }
    if (resolver->open) {
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what has taken too long */
    }
    begin_all(resolver);
    if (!resolver->open || ares_timeout(resolver->channel, NULL, &left) == NULL) {
        return resolver->questions != NULL ? now + ABL_SECOND : INT64_MAX;
    }
    return now + left.tv_sec * ABL_SECOND + left.tv_usec + ABL_MS;
}
