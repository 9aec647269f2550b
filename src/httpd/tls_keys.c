/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read here is read by the parent, which may be root: so the files need not be readable for anybody
 * else.
 */
#include "httpd/tls_keys.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <arpa/inet.h>

const char *abl_tls_set_verify(abl_member_t *m, const char *value)
{
    if (ap_cstr_casecmp(value, "on") != 0 && ap_cstr_casecmp(value, "off") != 0) {
        return "expected on or off";
    }
    m->tls_conf.unverified = ap_cstr_casecmp(value, "off") == 0;
    return NULL;
}

static const char *set_file(const char **file, const char *value)
{
    *file = value;
    return *value == '\0' ? "expected the name of a file in PEM" : NULL;
}

const char *abl_tls_set_ca(abl_member_t *m, const char *value)
{
    return set_file(&m->tls_conf.ca, value);
}

const char *abl_tls_set_cert(abl_member_t *m, const char *value)
{
    return set_file(&m->tls_conf.cert, value);
}

const char *abl_tls_set_key(abl_member_t *m, const char *value)
{
    return set_file(&m->tls_conf.key, value);
}

const char *abl_tls_set_name(abl_member_t *m, const char *value)
{
    unsigned char address[16];
    const char *c = value;

    while (apr_isalnum(*c) || *c == '-' || *c == '_' || *c == '.') {
        c++;
    }
    if ((*c != '\0' || c == value || *value == '.' || c - value > 253) &&
        inet_pton(AF_INET6, value, address) != 1) {
        return "expected the name in the member's certificate, such as app.example.org, or an IP address, "
               "without "
               "brackets";
    }
    m->tls_conf.name = value;
    return NULL;
}

const char *abl_tls_set_protocols(abl_member_t *m, const char *value)
{
    if (ap_cstr_casecmp(value, "TLSv1.2") == 0) {
        m->tls_conf.minimum = ABL_TLS_1_2;
    } else if (ap_cstr_casecmp(value, "TLSv1.3") == 0) {
        m->tls_conf.minimum = ABL_TLS_1_3;
    } else {
        return "expected the least version that is spoken: TLSv1.2 or TLSv1.3";
    }
    return NULL;
}

const char *abl_tls_set_proxy(abl_member_t *m, const char *value)
{
    if (ap_cstr_casecmp(value, "v1") == 0) {
        m->proxy = ABL_PROXY_V1;
    } else if (ap_cstr_casecmp(value, "v2") == 0) {
        m->proxy = ABL_PROXY_V2;
    } else if (ap_cstr_casecmp(value, "off") == 0) {
        m->proxy = ABL_PROXY_OFF;
    } else {
        return "expected v1 (a line of text), v2 (binary) or off";
    }
    return NULL;
}

/* ---- the line --------------------------------------------------------------------------------------- */

static const char *find_files(apr_pool_t *p, abl_tls_conf_t *conf)
{
    const char **files[] = {&conf->ca, &conf->cert, &conf->key};
    apr_size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *written = *files[i];
        if (written == NULL) {
            continue;
        }
        *files[i] = ap_server_root_relative(p, written);
        if (*files[i] == NULL) {
            return ABL_CONFIG_ERROR(p, "ABL0271",
                                    "\"%s\" is no name of a file; write a path, absolute or relative to "
                                    "ServerRoot",
                                    written);
        }
    }
    return NULL;
}

static const char *check_keys(apr_pool_t *p, const abl_tls_conf_t *conf)
{
    if (conf->key != NULL && conf->cert == NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0272",
                                "tls-key=%s without tls-cert=, which has to name the file of the "
                                "certificate that the key is for",
                                conf->key);
    }
    if (conf->unverified && conf->ca != NULL) {
        return ABL_CONFIG_ERROR(p, "ABL0273",
                                "with tls-verify=off nothing is verified, so tls-ca=%s has no use; leave "
                                "out one of them",
                                conf->ca);
    }
    return NULL;
}

const char *abl_tls_finish(apr_pool_t *p, abl_member_t *m, bool any)
{
    const char *error;

    if (!m->url.tls) {
        return any ? ABL_CONFIG_ERROR(p, "ABL0270",
                                      "the address begins with http://, so that the keys tls-...= have no "
                                      "use; write https://, or leave them out")
                   : NULL;
    }
    error = check_keys(p, &m->tls_conf);
    if (error == NULL) {
        error = find_files(p, &m->tls_conf);
    }
    if (error != NULL) {
        return error;
    }
    if (m->tls_conf.name == NULL) {
        m->tls_conf.name = m->url.srv ? m->url.authority : m->url.host;
    }
    error = abl_tls_make(p, &m->tls_conf, &m->tls);
    return error != NULL ? ABL_CONFIG_ERROR(p, "ABL0274", "%s", error) : NULL;
}
