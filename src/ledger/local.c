/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of one httpd child: counts and rotation in the child's own memory, under one mutex per balancer.
 *
 * Memory comes from malloc and is never freed: a prefork child may be told to exit inside any instruction,
 * and pools are destroyed then while other threads of the process may still run.
 */
#include "ledger/ledger.h"

#include <pthread.h>
#include <stdlib.h>

struct abl_ledger_t {
    pthread_mutex_t lock; /* protects everything below */
    const abl_method_t *method;
    apr_uint32_t savings; /* towards retries, in hundredths of one */
    int n;
    abl_candidate_t rows[];
};

abl_ledger_t *abl_ledger_create(const abl_method_t *method, const apr_uint32_t *weights, int n)
{
    abl_ledger_t *ledger = calloc(1, sizeof(*ledger) + (size_t)n * sizeof(ledger->rows[0]));
    int i;

    if (ledger == NULL) {
        return NULL;
    }
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->method = method;
    ledger->savings = ABL_RETRY_BURST * 100;
    ledger->n = n;
    for (i = 0; i < n; i++) {
        ledger->rows[i].weight = weights[i];
    }
    return ledger;
}

static int pick_locked(abl_ledger_t *ledger, const abl_tried_t *tried)
{
    int i;

    for (i = 0; i < ledger->n; i++) {
        ledger->rows[i].usable = !abl_tried_has(tried, i);
    }
    i = ledger->method->pick(ledger->rows, ledger->n);
    /* A method may come from another module. */
    return i >= 0 && i < ledger->n && ledger->rows[i].usable ? i : -1;
}

static void save_for_retries_locked(abl_ledger_t *ledger)
{
    ledger->savings += ABL_RETRY_PERCENT;
    if (ledger->savings > ABL_RETRY_BURST * 100) {
        ledger->savings = ABL_RETRY_BURST * 100;
    }
}

apr_status_t abl_ledger_take(abl_ledger_t *ledger, const abl_tried_t *tried, int *member)
{
    pthread_mutex_lock(&ledger->lock);
    *member = pick_locked(ledger, tried);
    if (*member >= 0) {
        ledger->rows[*member].busy++;
        save_for_retries_locked(ledger);
    }
    pthread_mutex_unlock(&ledger->lock);
    return *member >= 0 ? APR_SUCCESS : APR_ENOENT;
}

void abl_ledger_give(abl_ledger_t *ledger, int member)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->rows[member].busy--;
    pthread_mutex_unlock(&ledger->lock);
}

bool abl_ledger_spend_retry(abl_ledger_t *ledger)
{
    bool may;

    pthread_mutex_lock(&ledger->lock);
    may = ledger->savings >= 100;
    if (may) {
        ledger->savings -= 100;
    }
    pthread_mutex_unlock(&ledger->lock);
    return may;
}

apr_uint32_t abl_ledger_busy(abl_ledger_t *ledger, int member)
{
    apr_uint32_t busy;

    pthread_mutex_lock(&ledger->lock);
    busy = ledger->rows[member].busy;
    pthread_mutex_unlock(&ledger->lock);
    return busy;
}
