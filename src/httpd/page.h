/* SPDX-License-Identifier: Apache-2.0
 *
 * The page's files, which are part of the module: src/httpd/page/.
 */
#ifndef ABL_HTTPD_PAGE_H
#define ABL_HTTPD_PAGE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct abl_page_t {
    const char *as;   /* what ?as= calls it: "html", "css", "js" */
    const char *type; /* Content-Type */
    char etag[20];    /* quoted; changes when the bytes do */
    const char *bytes;
    size_t len;
} abl_page_t;

/* False: there is no such file. Any process, any thread. */
bool abl_page_find(const char *as, abl_page_t *page);

#endif
