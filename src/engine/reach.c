/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's addresses now.
 */
#include "engine/reach.h"

#include "ledger/site.h"

#include <apr_strings.h>
#include <string.h>

static bool is_named(const abl_balancer_t *balancer, int member)
{
    return balancer->members[member].naming != ABL_NAMING_NONE;
}

const abl_member_url_t *abl_reach_url(const abl_balancer_t *balancer, int member, apr_pool_t *pool,
                                      abl_member_url_t *own)
{
    const abl_member_t *m = &balancer->members[member];
    char text[ABL_IP_TEXT];
    abl_site_t site;

    if (m->naming != ABL_NAMING_OPEN) {
        return &m->url;
    }
    abl_site_read(balancer->ledger, member, &site);
    if (site.n == 0) {
        return &m->url; /* it has just been removed */
    }
    *own = m->url;
    own->text = apr_pstrcat(pool, "http://", abl_ip_text(&site.ips[0], text), NULL);
    own->authority = own->text + strlen("http://");
    return own;
}

int abl_reach_count(const abl_balancer_t *balancer, int member)
{
    abl_site_t site;

    if (!is_named(balancer, member)) {
        return balancer->members[member].naddresses;
    }
    abl_site_read(balancer->ledger, member, &site);
    return site.n;
}

static apr_status_t open_named(const abl_balancer_t *balancer, int member, int address, int64_t now,
                               abl_conn_t **conn)
{
    abl_address_t to;
    abl_site_t site;
    apr_status_t rv;

    *conn = NULL;
    abl_site_read(balancer->ledger, member, &site);
    if (address >= site.n) {
        return APR_EHOSTUNREACH;
    }
    to.len = abl_ip_to(&site.ips[address], &to.sa);
    rv = abl_conn_open(&balancer->members[member], &to, now, conn);
    if (*conn != NULL) {
        (*conn)->epoch = site.epoch;
        (*conn)->ip = site.ips[address];
    }
    return rv;
}

apr_status_t abl_reach_open(const abl_balancer_t *balancer, int member, int address, int64_t now,
                            abl_conn_t **conn)
{
    const abl_member_t *m = &balancer->members[member];

    if (is_named(balancer, member)) {
        return open_named(balancer, member, address, now, conn);
    }
    *conn = NULL;
    return address < m->naddresses ? abl_conn_open(m, &m->addresses[address], now, conn) : APR_EHOSTUNREACH;
}

/* The addresses have changed: is this still one of them? */
static bool is_still_there(const abl_balancer_t *balancer, int member, abl_conn_t *conn)
{
    abl_site_t site;
    int i = 0;

    abl_site_read(balancer->ledger, member, &site);
    while (i < site.n && !abl_ip_same(&site.ips[i], &conn->ip)) {
        i++;
    }
    conn->epoch = site.epoch;
    return i < site.n;
}

bool abl_reach_holds(const abl_balancer_t *balancer, int member, abl_conn_t *conn)
{
    return !is_named(balancer, member) || abl_site_epoch(balancer->ledger, member) == conn->epoch ||
           is_still_there(balancer, member, conn);
}
