/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything there is to count, for a monitoring system (docs/steering.md).
 */
#ifndef ABL_HTTPD_STATUS_METRICS_H
#define ABL_HTTPD_STATUS_METRICS_H

#include "base/metrics.h"

#include "apr_pools.h"

/* Memory for a moment from `pool`. */
void abl_status_metrics(abl_metrics_t *m, apr_pool_t *pool);

#endif
