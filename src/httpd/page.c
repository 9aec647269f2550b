/* SPDX-License-Identifier: Apache-2.0
 *
 * The assembler puts the files where they are wanted: no tool is needed that would make C of them. They are
 * found from the folder that the compiler runs in, the top of the sources.
 */
#include "httpd/page.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_OF(name, path)                                                                                  \
    __asm__(".pushsection .rodata\n"                                                                         \
            ".balign 16\n"                                                                                   \
            ".hidden abl_page_" #name "\n.globl abl_page_" #name "\n"                                        \
            "abl_page_" #name ":\n.incbin \"" path "\"\n.byte 0\n"                                           \
            ".popsection\n");                                                                                \
    extern const char abl_page_##name[]

FILE_OF(html, "src/httpd/page/manager.html");
FILE_OF(css, "src/httpd/page/manager.css");
FILE_OF(js, "src/httpd/page/manager.js");

static char etags[3][20];

/* The same text is written by whoever comes first, and whoever comes at the same moment. */
static const char *etag_of(const char *bytes, char etag[20])
{
    if (etag[0] == '\0') {
        (void)snprintf(etag, 20, "\"%016" PRIx64 "\"", abl_hash_text(bytes));
    }
    return etag;
}

const abl_page_t *abl_page_find(const char *as)
{
    static abl_page_t files[] = {
        {.as = "html", .type = "text/html; charset=utf-8", .bytes = abl_page_html},
        {.as = "css", .type = "text/css; charset=utf-8", .bytes = abl_page_css},
        {.as = "js", .type = "text/javascript; charset=utf-8", .bytes = abl_page_js},
    };
    int i;

    for (i = 0; i < 3; i++) {
        if (strcmp(files[i].as, as) == 0) {
            files[i].len = strlen(files[i].bytes);
            files[i].etag = etag_of(files[i].bytes, etags[i]);
            return &files[i];
        }
    }
    return NULL;
}
