/* SPDX-License-Identifier: Apache-2.0
 *
 * What has become of the applications, as JSON.
 */
#ifndef ABL_HTTPD_STATUS_APPS_H
#define ABL_HTTPD_STATUS_APPS_H

#include "base/json.h"
#include "base/metrics.h"

/* Writes an array. Any process of httpd's. */
void abl_status_apps(abl_json_t *json);

/* The control process's pid; 0: there is none. */
uint64_t abl_status_control(void);

/* Figures about them. */
void abl_status_apps_metrics(abl_metrics_t *m);

#endif
