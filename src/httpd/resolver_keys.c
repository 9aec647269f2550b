/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerResolver.
 */
#include "httpd/resolver_keys.h"

#include "base/clock.h"
#include "base/ip.h"
#include "base/units.h"

#include "apr_strings.h"

#define DNS_PORT 53
#define SERVERS_MAX 8
#define TIMEOUT_MIN (100 * ABL_MS)
#define TIMEOUT_MAX (30 * ABL_SECOND)
#define FORMS "addresses of DNS servers, such as 10.0.0.53, 127.0.0.1:8600 or [::1]:53; and timeout=, tries="

/* While the configuration is read. Parent. */
static struct {
    abl_resolver_conf_t conf;
    bool given;
} resolver;

void abl_resolver_keys_reset(void)
{
    resolver.conf = (abl_resolver_conf_t){NULL, ABL_RESOLVER_TIMEOUT, ABL_RESOLVER_TRIES};
    resolver.given = false;
}

abl_resolver_conf_t abl_resolver_keys_conf(void)
{
    return resolver.conf;
}

/* Takes ":PORT" off the end of an address. False: it is no port. */
static bool split_port(char *address, int64_t *port)
{
    char *bracket = strchr(address, ']');
    char *colon = strrchr(bracket != NULL ? bracket : address, ':');

    *port = DNS_PORT;
    if (colon == NULL || (bracket == NULL && strchr(address, ':') != colon)) {
        return true; /* none, or IPv6 without brackets */
    }
    *colon = '\0';
    return abl_units_number(colon + 1, 1, 65535, port) == NULL;
}

static const char *add_server(apr_pool_t *p, const char *word, int *n)
{
    char *address = apr_pstrdup(p, word);
    apr_size_t len;
    char text[ABL_IP_TEXT];
    int64_t port;
    abl_ip_t ip;
    bool ok = split_port(address, &port);

    len = strlen(address);
    if (address[0] == '[' && len > 1 && address[len - 1] == ']') {
        address[len - 1] = '\0';
        address++;
    }
    if (!ok || !abl_ip_read(address, (uint16_t)port, &ip)) {
        return ABL_CONFIG_ERROR(p, "ABL0320", "BalancerResolver %s: expected " FORMS, word);
    }
    if (++*n > SERVERS_MAX) {
        return ABL_CONFIG_ERROR(p, "ABL0321", "BalancerResolver: at most %d servers", SERVERS_MAX);
    }
    resolver.conf.servers =
        apr_pstrcat(p, *n > 1 ? resolver.conf.servers : "", *n > 1 ? "," : "", abl_ip_text(&ip, text), NULL);
    return NULL;
}

static const char *set_key(apr_pool_t *p, const char *word, const char *value)
{
    int64_t number;

    if (ap_cstr_casecmpn(word, "timeout=", 8) == 0) {
        if (abl_units_time(value, &number) != NULL || number < TIMEOUT_MIN || number > TIMEOUT_MAX) {
            return ABL_CONFIG_ERROR(p, "ABL0322",
                                    "BalancerResolver timeout=%s: expected a time from 100ms to 30s", value);
        }
        resolver.conf.timeout = (int)(number / ABL_MS);
        return NULL;
    }
    if (ap_cstr_casecmpn(word, "tries=", 6) == 0) {
        if (abl_units_number(value, 1, 10, &number) != NULL) {
            return ABL_CONFIG_ERROR(p, "ABL0323",
                                    "BalancerResolver tries=%s: expected a whole number from 1 to 10", value);
        }
        resolver.conf.tries = (int)number;
        return NULL;
    }
    return ABL_CONFIG_ERROR(p, "ABL0324", "BalancerResolver %s: expected " FORMS, word);
}

const char *abl_resolver_keys_parse(cmd_parms *cmd, void *dir, const char *args)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    int n = 0;

    (void)dir;
    if (error == NULL && resolver.given) {
        error = ABL_CONFIG_ERROR(cmd->pool, "ABL0325", "BalancerResolver %s: there is one already", args);
    }
    if (error == NULL && *args == '\0') {
        error = ABL_CONFIG_ERROR(cmd->pool, "ABL0326", "BalancerResolver: expected " FORMS);
    }
    resolver.given = true;
    while (error == NULL && *args != '\0') {
        const char *word = ap_getword_conf(cmd->pool, &args);
        const char *equals = strchr(word, '=');
        error = equals != NULL ? set_key(cmd->pool, word, equals + 1) : add_server(cmd->pool, word, &n);
    }
    return error;
}
