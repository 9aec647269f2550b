/* SPDX-License-Identifier: Apache-2.0
 *
 * The 503 page.
 */
#include "httpd/unavailable.h"

#include "http_core.h"
#include "http_protocol.h"

#include "apr_strings.h"

#define RETRY_AFTER_MAX 60 /* seconds */

static const struct {
    const char *word;     /* for the environment */
    const char *sentence; /* for people */
} reasons[] = {
    [ABL_UNAVAILABLE_NO_MEMBER] = {"no-member", "No application server can be reached at the moment."},
    [ABL_UNAVAILABLE_QUEUE_FULL] = {"queue-full", "All application servers are busy, and the queue is full."},
    [ABL_UNAVAILABLE_CLIENT_QUEUE_FULL] = {"client-queue-full",
                                           "All application servers are busy, and your address has as many "
                                           "requests in the queue as it may have."},
    [ABL_UNAVAILABLE_QUEUE_TIMEOUT] =
        {"queue-timeout",
         "All application servers are busy, and none became free while your request was in the queue."},
};

/* When it is worth coming back: the oldest request in the queue has waited for so long, so a new one may too.
 */
static int retry_after(const abl_balancer_t *balancer)
{
    int64_t age = abl_ledger_head_age(balancer->ledger) / ABL_SECOND;

    if (age < 1) {
        return 1;
    }
    return age > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (int)age;
}

static bool has_error_document(const request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    int index = ap_index_of_response(HTTP_SERVICE_UNAVAILABLE);

    return core->response_code_exprs != NULL &&
           apr_hash_get(core->response_code_exprs, &index, sizeof(index)) != NULL;
}

int abl_unavailable(request_rec *r, const abl_balancer_t *balancer, abl_unavailable_t reason)
{
    apr_table_set(r->err_headers_out, "Retry-After", apr_itoa(r->pool, retry_after(balancer)));
    apr_table_setn(r->subprocess_env, "BALANCER_ERROR", reasons[reason].word);
    if (!has_error_document(r)) {
        ap_custom_response(r, HTTP_SERVICE_UNAVAILABLE,
                           apr_psprintf(r->pool,
                                        "\"<!DOCTYPE html>\n<html lang=\"en\"><head>\n"
                                        "<title>503 Service Unavailable</title>\n</head><body>\n"
                                        "<h1>Service Unavailable</h1>\n<p>%s</p>\n<p>Please try again in a "
                                        "moment.</p>\n</body></html>\n",
                                        reasons[reason].sentence));
    }
    return HTTP_SERVICE_UNAVAILABLE;
}
