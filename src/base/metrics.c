/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of figures.
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "appbalance_"

static void put(abl_metrics_t *m, const char *text)
{
    m->write(m->to, text, strlen(text));
}

static const char *total(const abl_metrics_t *m)
{
    return m->type == ABL_METRICS_COUNTER ? "_total" : "";
}

static void put_meta(abl_metrics_t *m, const char *what, const char *text)
{
    put(m, what);
    put(m, PREFIX);
    put(m, m->name);
    put(m, m->open ? "" : total(m));
    put(m, " ");
    put(m, text);
    put(m, "\n");
}

void abl_metrics_family(abl_metrics_t *m, const char *name, abl_metrics_type_t type, const char *help)
{
    static const char *const types[] = {[ABL_METRICS_GAUGE] = "gauge",
                                        [ABL_METRICS_COUNTER] = "counter",
                                        [ABL_METRICS_HISTOGRAM] = "histogram"};

    m->name = name;
    m->type = type;
    m->nlabels = 0;
    put_meta(m, "# TYPE ", types[type]);
    put_meta(m, "# HELP ", help);
}

void abl_metrics_label(abl_metrics_t *m, const char *name, const char *value)
{
    if (m->nlabels < ABL_METRICS_LABELS) {
        m->labels[m->nlabels].name = name;
        m->labels[m->nlabels++].value = value;
    }
}

/* Both formats escape the same three. */
static void put_value(abl_metrics_t *m, const char *value)
{
    for (; *value != '\0'; value++) {
        size_t plain = strcspn(value, "\\\"\n");
        m->write(m->to, value, plain);
        value += plain;
        if (*value == '\0') {
            break;
        }
        put(m, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\");
    }
}

static void begin_sample(abl_metrics_t *m, const char *suffix)
{
    int i;

    put(m, PREFIX);
    put(m, m->name);
    put(m, total(m));
    put(m, suffix);
    for (i = 0; i < m->nlabels; i++) {
        put(m, i == 0 ? "{" : ",");
        put(m, m->labels[i].name);
        put(m, "=\"");
        put_value(m, m->labels[i].value);
        put(m, "\"");
    }
    put(m, m->nlabels > 0 ? "} " : " ");
    m->nlabels = 0;
}

void abl_metrics_sample(abl_metrics_t *m, const char *suffix, uint64_t value)
{
    char text[32];

    begin_sample(m, suffix);
    (void)snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
    put(m, text);
}

static void put_fraction(abl_metrics_t *m, const char *suffix, uint64_t value, uint64_t unit, int places)
{
    char text[64];

    begin_sample(m, suffix);
    (void)snprintf(text, sizeof(text), "%" PRIu64 ".%0*" PRIu64 "\n", value / unit, places, value % unit);
    put(m, text);
}

void abl_metrics_seconds(abl_metrics_t *m, const char *suffix, uint64_t micros)
{
    put_fraction(m, suffix, micros, 1000000, 6);
}

void abl_metrics_hundredths(abl_metrics_t *m, const char *suffix, uint64_t hundredths)
{
    put_fraction(m, suffix, hundredths, 100, 2);
}

void abl_metrics_end(abl_metrics_t *m)
{
    if (m->open) {
        put(m, "# EOF\n");
    }
}
