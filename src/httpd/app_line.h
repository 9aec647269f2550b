/* SPDX-License-Identifier: Apache-2.0
 *
 * BalancerApp NAME "COMMAND" key=value ...: an application that is looked after, and the members that its
 * instances will be.
 */
#ifndef ABL_HTTPD_APP_LINE_H
#define ABL_HTTPD_APP_LINE_H

#include "httpd/config.h"

/* Reads the line into the section: its application, and a member for each slot. Returns NULL or a message.
 * Parent. */
const char *abl_app_line_parse(cmd_parms *cmd, abl_section_t *section, const char *args);

#endif
