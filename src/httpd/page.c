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

#define PART(name) ".incbin \"src/httpd/page/" name "\"\n"
#define FILE_OF(name, parts)                                                                                 \
    __asm__(".pushsection .rodata\n"                                                                         \
            ".balign 16\n"                                                                                   \
            ".hidden abl_page_" #name "\n.globl abl_page_" #name "\n"                                        \
            "abl_page_" #name ":\n" parts ".byte 0\n"                                                        \
            ".popsection\n");                                                                                \
    extern const char abl_page_##name[]

FILE_OF(html, PART("manager.html"));
FILE_OF(css, PART("manager.css"));
/* One script, in this order; t/browser/mock.js takes it from these lines. */
FILE_OF(js, PART("text.js") PART("elements.js") PART("model.js") PART("verdict.js") PART("actions.js")
                PART("chart.js") PART("members.js") PART("application.js") PART("balancer.js")
                    PART("source.js") PART("manager.js"));

bool abl_page_find(const char *as, abl_page_t *page)
{
    static const struct {
        const char *as, *type, *bytes;
    } files[] = {{"html", "text/html; charset=utf-8", abl_page_html},
                 {"css", "text/css; charset=utf-8", abl_page_css},
                 {"js", "text/javascript; charset=utf-8", abl_page_js}};
    size_t i = 0;

    while (i < sizeof(files) / sizeof(files[0]) && strcmp(files[i].as, as) != 0) {
        i++;
    }
    if (i == sizeof(files) / sizeof(files[0])) {
        return false;
    }
    page->as = files[i].as;
    page->type = files[i].type;
    page->bytes = files[i].bytes;
    page->len = strlen(page->bytes);
    (void)snprintf(page->etag, sizeof(page->etag), "\"%016" PRIx64 "\"", abl_hash_text(page->bytes));
    return true;
}
