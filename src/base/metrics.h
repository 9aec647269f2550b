/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing figures for a monitoring system, piece by piece: OpenMetrics 1.0, or the older text format of
 * Prometheus (0.0.4), which differ in what a counter's family is called and in how the text ends.
 *
 *     abl_metrics_family(&m, "queue_length", ABL_METRICS_GAUGE, "requests that wait");
 *     abl_metrics_label(&m, "balancer", "app");
 *     abl_metrics_sample(&m, "", 3);                    appbalance_queue_length{balancer="app"} 3
 */
#ifndef ABL_BASE_METRICS_H
#define ABL_BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum abl_metrics_type_t {
    ABL_METRICS_GAUGE,
    ABL_METRICS_COUNTER,
    ABL_METRICS_HISTOGRAM
} abl_metrics_type_t;

#define ABL_METRICS_LABELS 8 /* of one sample */

typedef struct abl_metrics_t {
    void (*write)(void *to, const char *bytes, size_t len);
    void *to;
    bool open; /* OpenMetrics */
    /* its own: */
    const char *name;
    abl_metrics_type_t type;
    struct {
        const char *name, *value;
    } labels[ABL_METRICS_LABELS];
    int nlabels;
} abl_metrics_t;

/* A family begins; all of its samples follow. `name` without prefix, a counter's without "_total". */
void abl_metrics_family(abl_metrics_t *m, const char *name, abl_metrics_type_t type, const char *help);

/* The next sample has this label. Values are not copied, and must stay until then. */
void abl_metrics_label(abl_metrics_t *m, const char *name, const char *value);

/* One sample with the labels since the last one. `suffix`: "" or of a histogram "_bucket", "_count", "_sum".
 */
void abl_metrics_sample(abl_metrics_t *m, const char *suffix, uint64_t value);

/* The same of µs, told in seconds. */
void abl_metrics_seconds(abl_metrics_t *m, const char *suffix, uint64_t micros);

/* The same of hundredths. */
void abl_metrics_hundredths(abl_metrics_t *m, const char *suffix, uint64_t hundredths);

/* Nothing follows. */
void abl_metrics_end(abl_metrics_t *m);

#endif
