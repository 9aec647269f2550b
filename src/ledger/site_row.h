/* SPDX-License-Identifier: Apache-2.0
 *
 * The addresses of a row (site.h), for the ledger's own files. All of it inside the lock.
 */
#ifndef ABL_LEDGER_SITE_ROW_H
#define ABL_LEDGER_SITE_ROW_H

#include "ledger/layout.h"
#include "ledger/site.h"

/* Is it one of the slots of a name? */
bool abl_site_is_slot(const abl_row_t *row);

/* From now on these are its addresses. */
void abl_site_publish(abl_segment_t *segment, uint32_t row, const abl_ip_t *ips, int n);

/* Nobody knows where it is: the configuration has just brought it (back). */
void abl_site_begin(abl_segment_t *segment, uint32_t row, abl_naming_t naming);

/* The address of an added member (ABL_NAMING_OPEN), "http://10.0.0.9:8080". False: nobody is there. */
bool abl_site_address(const abl_segment_t *segment, uint32_t row, char *address, size_t room);

/* What the row is called in messages: its address as it is written, and where that is:
 * "http://app.internal:8080 (10.0.0.3:8080)". */
void abl_site_name(const abl_segment_t *segment, uint32_t row, char *name, size_t room);

#endif
