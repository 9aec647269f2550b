/* SPDX-License-Identifier: Apache-2.0
 *
 * Times, sizes, numbers and weights as directives write them.
 */
#include "base/units.h"
#include "unit.h"

typedef struct sample_t {
    const char *text;
    int64_t value; /* -1: refused */
} sample_t;

typedef const char *(*parse_fn)(const char *text, int64_t *out);

#define SECOND INT64_C(1000000)
#define UNTOUCHED INT64_C(-77)

static void check(parse_fn parse, const sample_t *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t value = UNTOUCHED;
        char *copy = unit_copy(samples[i].text, strlen(samples[i].text) + 1);
        const char *why = parse(copy, &value);
        free(copy);
        if (samples[i].value < 0) {
            ck_assert_msg(why && *why && value == UNTOUCHED, "\"%s\": %lld", samples[i].text,
                          (long long)value);
        } else {
            ck_assert_msg(!why && value == samples[i].value, "\"%s\": %lld: %s", samples[i].text,
                          (long long)value, why ? why : "");
        }
    }
}

START_TEST(reads_times)
{
    static const sample_t samples[] = {
        {"0", 0},
        {"0ms", 0},
        {"0h", 0},
        {"1ms", 1000},
        {"500ms", 500000},
        {"30s", 30 * SECOND},
        {"030s", 30 * SECOND},
        {"5min", 300 * SECOND},
        {"2h", 7200 * SECOND},
        {"168h", 604800 * SECOND},
        {"10080min", 604800 * SECOND},
        {"604800s", 604800 * SECOND},
        {"604800000ms", 604800 * SECOND},
        {"604800001ms", -1},
        {"604801s", -1},
        {"10081min", -1},
        {"169h", -1},
        {"18446744073709551615ms", -1},
        {"18446744073709551616s", -1},
        {"18446744073709551617s", -1},
        {"5124095576030431h", -1}, /* as microseconds just over 64 bits */
        {"", -1},
        {"1", -1},
        {"00", -1},
        {"s", -1},
        {"ms", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"-0", -1},
        {" 1s", -1},
        {"1 s", -1},
        {"1s ", -1},
        {"1s1", -1},
        {"1.5s", -1},
        {"1e3s", -1},
        {"0x1s", -1},
        {"1m", -1},
        {"1S", -1},
        {"1MS", -1},
        {"1H", -1},
        {"1sec", -1},
        {"1d", -1},
        {"1us", -1},
        {"1mins", -1},
        {"1mi", -1},
        {"/s", -1},
        {":s", -1},
    };

    check(abl_units_time, samples, COUNT(samples));
}
END_TEST

START_TEST(reads_sizes)
{
    static const sample_t samples[] = {
        {"0", 0},
        {"0K", 0},
        {"1", 1},
        {"007", 7},
        {"1023", 1023},
        {"1K", 1024},
        {"1k", 1024},
        {"64K", 65536},
        {"1M", 1048576},
        {"1m", 1048576},
        {"1G", 1073741824},
        {"3g", INT64_C(3221225472)},
        {"9007199254740992", INT64_C(9007199254740992)},
        {"8796093022208K", INT64_C(9007199254740992)},
        {"8589934592M", INT64_C(9007199254740992)},
        {"8388608G", INT64_C(9007199254740992)},
        {"9007199254740993", -1},
        {"8796093022209K", -1},
        {"8589934593M", -1},
        {"8388609G", -1},
        {"18446744073709551616", -1},
        {"18446744073709551617K", -1},
        {"18014398509481984K", -1}, /* as bytes just over 64 bits */
        {"", -1},
        {"K", -1},
        {"-1", -1},
        {"+1", -1},
        {" 1", -1},
        {"1 K", -1},
        {"1K ", -1},
        {"1KB", -1},
        {"1KiB", -1},
        {"1B", -1},
        {"1T", -1},
        {"1.5K", -1},
        {"0x10", -1},
        {"1KK", -1},
        {"/", -1},
        {":", -1},
    };

    check(abl_units_size, samples, COUNT(samples));
}
END_TEST

static const char *number_2_to_10(const char *text, int64_t *out)
{
    return abl_units_number(text, 2, 10, out);
}

static const char *number_any(const char *text, int64_t *out)
{
    return abl_units_number(text, INT64_MIN, INT64_MAX, out);
}

START_TEST(reads_numbers)
{
    static const sample_t few[] = {
        {"2", 2},    {"10", 10},  {"010", 10},
        {"1", -1},   {"11", -1},  {"0", -1},
        {"", -1},    {"-2", -1},  {"+2", -1},
        {" 2", -1},  {"2 ", -1},  {"2s", -1},
        {"2.0", -1}, {"0x2", -1}, {"two", -1},
        {"1e1", -1}, {"2\n", -1}, {"5K", -1},
        {"/", -1},   {":", -1},   {"18446744073709551618", -1},
    };
    static const sample_t any[] = {
        {"0", 0},
        {"9223372036854775807", INT64_MAX},
        {"0009223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"9223372036854775817", -1},
        {"18446744073709551615", -1},
        {"18446744073709551616", -1},
        {"99999999999999999999999999999999", -1},
        {"-1", -1},
    };

    check(number_2_to_10, few, COUNT(few));
    check(number_any, any, COUNT(any));
}
END_TEST

static const char *weight(const char *text, int64_t *out)
{
    uint32_t value = 77;
    const char *why = abl_units_weight(text, &value);

    ck_assert(!why || value == 77);
    *out = why ? UNTOUCHED : (int64_t)value;
    return why;
}

START_TEST(reads_weights)
{
    static const sample_t samples[] = {
        {"1", 100},       {"2", 200},         {"1.5", 150},        {"1.50", 150},
        {"1.05", 105},    {"1.00", 100},      {"01.01", 101},      {"999.99", 99999},
        {"1000", 100000}, {"1000.0", 100000}, {"1000.00", 100000}, {"1000.01", -1},
        {"1000.1", -1},   {"1001", -1},       {"0", -1},           {"0.99", -1},
        {"0.5", -1},      {"", -1},           {".", -1},           {".5", -1},
        {"1.", -1},       {"1.005", -1},      {"1.000", -1},       {"1,5", -1},
        {"-1", -1},       {"+1", -1},         {" 1", -1},          {"1 ", -1},
        {"1.5 ", -1},     {"1.5.5", -1},      {"1.x", -1},         {"1.5x", -1},
        {"1x", -1},       {"1e2", -1},        {"1.-5", -1},        {"1.+5", -1},
        {"1./", -1},      {"1.:", -1},        {"4294967297", -1},  {"18446744073709551617", -1},
        {"42949673", -1},
    };

    check(weight, samples, COUNT(samples));
}
END_TEST

static const char *percent(const char *text, int64_t *out)
{
    uint32_t value = 77;
    const char *why = abl_units_percent(text, 1, &value);

    ck_assert(!why || value == 77);
    *out = why ? UNTOUCHED : (int64_t)value;
    return why;
}

START_TEST(reads_percentages)
{
    static const sample_t samples[] = {
        {"1%", 1}, {"50%", 50}, {"100%", 100}, {"0%", -1},   {"101%", -1}, {"50", -1},    {"%", -1},
        {"", -1},  {"5 %", -1}, {"-5%", -1},   {"1.5%", -1}, {"050%", 50}, {"0050%", -1}, {"50%%", -1},
    };

    check(percent, samples, COUNT(samples));
}
END_TEST

UNIT_MAIN("units", reads_times, reads_sizes, reads_numbers, reads_weights, reads_percentages)
