/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures as text: both formats, labels that are hostile, numbers. That others understand it is seen by
 * t/109.
 */
#include "base/metrics.h"
#include "unit.h"

static char text[4096];
static size_t len;

static void write_text(void *to, const char *bytes, size_t n)
{
    (void)to;
    ck_assert_uint_lt(len + n, sizeof(text));
    memcpy(text + len, bytes, n);
    len += n;
    text[len] = '\0';
}

static abl_metrics_t begin(bool open)
{
    len = 0;
    text[0] = '\0';
    return (abl_metrics_t){.write = write_text, .open = open};
}

START_TEST(formats)
{
    abl_metrics_t m = begin(false);

    abl_metrics_family(&m, "x", ABL_METRICS_COUNTER, "help");
    abl_metrics_sample(&m, "", 3);
    abl_metrics_end(&m);
    ck_assert_str_eq(
        text, "# TYPE appbalance_x_total counter\n# HELP appbalance_x_total help\nappbalance_x_total 3\n");
    m = begin(true);
    abl_metrics_family(&m, "x", ABL_METRICS_COUNTER, "help");
    abl_metrics_sample(&m, "", 3);
    abl_metrics_family(&m, "y", ABL_METRICS_GAUGE, "help");
    abl_metrics_sample(&m, "", 4);
    abl_metrics_end(&m);
    ck_assert_str_eq(text, "# TYPE appbalance_x counter\n# HELP appbalance_x help\nappbalance_x_total 3\n"
                           "# TYPE appbalance_y gauge\n# HELP appbalance_y help\nappbalance_y 4\n# EOF\n");
}
END_TEST

START_TEST(labels)
{
    abl_metrics_t m = begin(true);

    abl_metrics_family(&m, "h", ABL_METRICS_HISTOGRAM, "help");
    len = 0;
    abl_metrics_label(&m, "a", "x\"y\\z\nw");
    abl_metrics_label(&m, "le", "+Inf");
    abl_metrics_sample(&m, "_bucket", UINT64_MAX);
    abl_metrics_sample(&m, "_count", 0); /* labels are of one sample */
    ck_assert_str_eq(text, "appbalance_h_bucket{a=\"x\\\"y\\\\z\\nw\",le=\"+Inf\"} 18446744073709551615\n"
                           "appbalance_h_count 0\n");
}
END_TEST

START_TEST(fractions)
{
    abl_metrics_t m = begin(false);

    abl_metrics_family(&m, "g", ABL_METRICS_GAUGE, "help");
    len = 0;
    abl_metrics_seconds(&m, "", 1500000);
    abl_metrics_seconds(&m, "", 1);
    abl_metrics_hundredths(&m, "", 205);
    ck_assert_str_eq(text, "appbalance_g 1.500000\nappbalance_g 0.000001\nappbalance_g 2.05\n");
}
END_TEST

UNIT_MAIN("metrics", formats, labels, fractions)
