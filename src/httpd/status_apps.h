/* SPDX-License-Identifier: Apache-2.0
 *
 * What has become of the applications, as JSON.
 */
#ifndef ABL_HTTPD_STATUS_APPS_H
#define ABL_HTTPD_STATUS_APPS_H

#include "base/json.h"

/* Writes "control" and "applications" into the object that is open. Any process of httpd's. */
void abl_status_apps(abl_json_t *json);

#endif
