/* SPDX-License-Identifier: Apache-2.0
 *
 * What the directives say, after merging. Written by the parent while it reads the configuration, read only
 * afterwards; the exception is abl_balancer_t's part that each child fills in at its start.
 */
#ifndef ABL_HTTPD_CONFIG_H
#define ABL_HTTPD_CONFIG_H

#include "control/app.h"
#include "control/name.h"
#include "control/target.h"
#include "engine/balancer.h"

#include "ap_expr.h"
#include "httpd.h"
#include "http_config.h"
#include "http_log.h"

#include "apr_hash.h"

extern module AP_MODULE_DECLARE_DATA appbalance_module;
APLOG_USE_MODULE(appbalance);

#define ABL_HANDLER "balancer:" /* what a handler name that means us begins with */

/* The name of the balancer in a handler's name; NULL: the handler is another's. Letters' case does not
 * matter, because httpd makes some handler names lower case. */
static inline const char *abl_handler_balancer(const char *handler)
{
    apr_size_t len = sizeof(ABL_HANDLER) - 1;

    return handler != NULL && ap_cstr_casecmpn(handler, ABL_HANDLER, len) == 0 ? handler + len : NULL;
}

#define ABL_UNSET (-1)

/* Where a directive stands, for messages about it that can only be given later. */
typedef struct abl_place_t {
    const char *file;
    int line;
} abl_place_t;

/* What of a request is hashed for a method that takes a key. */
typedef enum abl_key_kind_t {
    ABL_KEY_NONE = 0,
    ABL_KEY_HEADER,
    ABL_KEY_COOKIE,
    ABL_KEY_URI,
    ABL_KEY_CLIENT,
    ABL_KEY_EXPR
} abl_key_kind_t;

typedef struct abl_key_t {
    abl_key_kind_t kind;
    const char *name;           /* of the header field or cookie */
    const ap_expr_info_t *expr; /* with a string as its result */
} abl_key_t;

/* How a request says which member it belongs to. */
typedef enum abl_affinity_kind_t {
    ABL_AFFINITY_NONE = 0,
    ABL_AFFINITY_COOKIE, /* or a parameter of the URL */
    ABL_AFFINITY_HEADER,
    ABL_AFFINITY_CLIENT
} abl_affinity_kind_t;

typedef struct abl_affinity_t {
    abl_affinity_kind_t kind;
    const char *name;  /* of the cookie or header field */
    const char *param; /* of the URL's parameter, with cookies */
    bool strict;
    const char *const *ids; /* what our cookie calls each member, with cookies */
    apr_hash_t *members;    /* ids and routes of those that are no slots of a name, to int: which one */
    const int *slots;       /* the others */
    int nslots;
} abl_affinity_t;

/* How much of a request or an answer is kept until the other side takes it; bytes. */
typedef struct abl_buffer_conf_t {
    uint64_t request;   /* of a request's body in memory */
    uint64_t response;  /* of an answer in memory */
    uint64_t file;      /* beyond that in a temporary file, of each */
    uint64_t max;       /* a request's body may not be longer; 0: httpd's own limit only */
    const char *folder; /* of the temporary files */
} abl_buffer_conf_t;

/* A <Balancer> section. */
typedef struct abl_section_t {
    abl_balancer_t balancer; /* timeouts: ABL_UNSET where the section says nothing */
    abl_key_t method_key;
    abl_affinity_t affinity;
    abl_buffer_conf_t buffer;
    abl_check_conf_t check; /* where balancer.checked */
    abl_app_conf_t *apps;   /* BalancerApp; their instances are among the balancer's members */
    int napps;
    abl_name_conf_t *names; /* of those BalancerMember lines that have one */
    int nnames;
    int places;            /* for members added at run time */
    abl_member_t place_of; /* what they have in common */
    bool places_seen;
    apr_hash_t *addresses, *routes; /* of its members, to their addresses; NULL: there is none yet */
    unsigned queue_seen;            /* keys of BalancerQueue read so far */
    unsigned buffer_seen, eject_seen, retry_seen, hedge_seen, check_seen;
    const char *handler; /* "balancer:NAME" */
    abl_place_t place;
    struct abl_section_t *next;
} abl_section_t;

/* BalancerPass or BalancerStatic. */
typedef struct abl_route_t {
    const char *prefix; /* of the URI's path, without a trailing '/'; NULL: the whole scope it stands in */
    const char *name;   /* of the balancer; NULL: static */
    abl_section_t *to;  /* found when the whole configuration is known; NULL: static */
    apr_size_t length;  /* how specific it is: the prefix's length, ABL_ROUTE_SCOPE for a scope without one */
    abl_place_t place;
    struct abl_route_t *next;
} abl_route_t;

#define ABL_ROUTE_SCOPE ((apr_size_t)1 << 30)

/* Per server. */
typedef struct abl_server_conf_t {
    abl_route_t *routes;     /* longest prefix first */
    abl_timeouts_t timeouts; /* ABL_UNSET where unset */
    int64_t linger;          /* µs, 0: off; ABL_UNSET */
    int64_t at_once; /* how long a worker waits for an answer before it parks the request, µs; negative: for
                        ever */
    int lane;        /* BalancerLane; ABL_UNSET */
    bool walk;       /* some <Directory> or <Files> of this server may overrule a route */
} abl_server_conf_t;

typedef enum abl_forwarded_t {
    ABL_FORWARDED_UNSET = -1,
    ABL_FORWARDED_OFF = 0,
    ABL_FORWARDED_X = 1,   /* X-Forwarded-* */
    ABL_FORWARDED_RFC = 2, /* Forwarded, RFC 7239 */
    ABL_FORWARDED_BOTH = 3
} abl_forwarded_t;

/* Per directory. */
typedef struct abl_dir_conf_t {
    abl_route_t *route; /* BalancerPass or BalancerStatic in this scope */
    int try_files;      /* ABL_UNSET, 0, 1 */
    int preserve_host;
    int error_override;
    apr_array_header_t *error_codes; /* of int; empty: all from 400 on */
    abl_forwarded_t forwarded;
    apr_array_header_t *trusted; /* of apr_ipsubnet_t *; NULL: unset */
    bool trusted_none;           /* BalancerTrusted said none: nothing else may follow */
    abl_timeouts_t timeouts;
    int server_timing; /* ABL_UNSET, 0, 1 */
    int trace;         /* BalancerTrace: a request without a traceparent gets one */
} abl_dir_conf_t;

static inline abl_dir_conf_t *abl_dir_conf(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &appbalance_module);
}

static inline abl_server_conf_t *abl_server_conf(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &appbalance_module);
}

/* httpd calls these; see the module record. */
void *abl_config_create_server(apr_pool_t *p, server_rec *s);
void *abl_config_merge_server(apr_pool_t *p, void *base, void *add);
void *abl_config_create_dir(apr_pool_t *p, char *path);
void *abl_config_merge_dir(apr_pool_t *p, void *base, void *add);

/* Forgets all sections: the configuration is about to be read (again). Parent. */
void abl_config_reset(void);

/* All sections, in the order in which they were read. */
abl_section_t *abl_config_sections(void);

/* Adds a section. Parent. */
void abl_config_add_section(abl_section_t *section);

/* The section of this name, letters' case apart, or NULL. */
abl_section_t *abl_config_find(const char *name);

/* Adds a route to a list that is kept longest prefix first. Returns the route that already had the same
 * prefix, and adds nothing then; NULL: added. */
abl_route_t *abl_config_add_route(abl_route_t **routes, abl_route_t *route);

/* Does any line from this one on, those of sections included, fit? Parent. */
bool abl_config_any(const ap_directive_t *line, bool (*fits)(const ap_directive_t *line));

/* BalancerLogFields: whether requests get BALANCER_ variables. */
typedef enum abl_log_fields_t {
    ABL_LOG_FIELDS_AUTO = 0, /* where the configuration speaks of some */
    ABL_LOG_FIELDS_ON,
    ABL_LOG_FIELDS_OFF
} abl_log_fields_t;

/* Parent, while the configuration is read. */
void abl_config_set_log_fields(abl_log_fields_t fields);

/* Are those variables wanted? Anybody. */
bool abl_config_wants_fields(void);

/* The configuration is known: finds out. Parent. */
void abl_config_look_for_fields(void);

/* The timeouts that hold for a request: what its location says, else the balancer, else the server, else
 * the defaults. */
abl_timeouts_t abl_config_timeouts(const request_rec *r, const abl_balancer_t *balancer);

/* A message that begins with an id. */
#define ABL_CONFIG_ERROR(pool, id, ...) apr_pstrcat(pool, id ": ", apr_psprintf(pool, __VA_ARGS__), NULL)

#endif
