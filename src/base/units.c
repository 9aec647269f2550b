/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the numbers with units that directives are written with.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

#define TIME_MAX ((uint64_t)ABL_SECOND * 7 * 24 * 3600)
#define SIZE_MAX_BYTES (UINT64_C(1) << 53) /* what a JSON reader still holds exactly */

typedef struct unit_t {
    const char *name;
    uint64_t factor;
} unit_t;

static const unit_t times[] = {
    {"ms", ABL_MS}, {"s", ABL_SECOND}, {"min", 60 * ABL_SECOND}, {"h", 3600 * ABL_SECOND}, {NULL, 0}};

static const unit_t sizes[] = {{"", 1},        {"K", 1 << 10}, {"k", 1 << 10}, {"M", 1 << 20},
                               {"m", 1 << 20}, {"G", 1 << 30}, {"g", 1 << 30}, {NULL, 0}};

/* Reads digits up to the first byte that is none. A number too large for the type becomes UINT64_MAX, which
 * is over every caller's limit, because those are signed. NULL: no digit. */
static const char *read_digits(const char *text, uint64_t *out)
{
    const char *p = text;
    uint64_t number = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    *out = number;
    return p == text ? NULL : p;
}

static uint64_t factor_of(const unit_t *units, const char *name)
{
    for (; units->name; units++) {
        if (strcmp(units->name, name) == 0) {
            return units->factor;
        }
    }
    return 0;
}

const char *abl_units_time(const char *text, int64_t *out)
{
    uint64_t number;
    const char *unit = read_digits(text, &number);

    if (strcmp(text, "0") == 0) {
        *out = 0;
        return NULL;
    }
    uint64_t factor = unit ? factor_of(times, unit) : 0;
    if (factor == 0) {
        return "a time is a whole number and ms, s, min or h, like 500ms or 30s";
    }
    if (number > TIME_MAX / factor) {
        return "a time is at most 7 days (168h)";
    }
    *out = (int64_t)(number * factor);
    return NULL;
}

const char *abl_units_size(const char *text, int64_t *out)
{
    uint64_t number;
    const char *unit = read_digits(text, &number);
    uint64_t factor = unit ? factor_of(sizes, unit) : 0;

    if (factor == 0) {
        return "a size is a whole number of bytes, or one with K, M or G, like 64K";
    }
    if (number > SIZE_MAX_BYTES / factor) {
        return "a size is at most 8388608G";
    }
    *out = (int64_t)(number * factor);
    return NULL;
}

const char *abl_units_number(const char *text, int64_t min, int64_t max, int64_t *out)
{
    uint64_t number;
    const char *rest = read_digits(text, &number);

    if (!rest || *rest != '\0') {
        return "must be a whole number, digits only";
    }
    if (number > INT64_MAX || (int64_t)number < min || (int64_t)number > max) {
        return "the number is out of range";
    }
    *out = (int64_t)number;
    return NULL;
}

/* Up to two decimals, as hundredths; -1 when that is not what is there. */
static int read_hundredths(const char *p)
{
    int hundredths = 0;
    int scale = 100;

    for (; *p >= '0' && *p <= '9' && scale > 1; p++) {
        scale /= 10;
        hundredths += (*p - '0') * scale;
    }
    return *p == '\0' && scale < 100 ? hundredths : -1;
}

const char *abl_units_percent(const char *text, int64_t min, uint32_t *out)
{
    size_t len = strlen(text);
    char digits[4] = "";
    int64_t n;

    if (len < 2 || len > sizeof(digits) || text[len - 1] != '%') {
        return "expected a percentage, such as 50%";
    }
    memcpy(digits, text, len - 1);
    if (abl_units_number(digits, min, 100, &n) != NULL) {
        return "expected a percentage, such as 50%";
    }
    *out = (uint32_t)n;
    return NULL;
}

const char *abl_units_weight(const char *text, uint32_t *out)
{
    static const char right[] =
        "a weight is a number from 1 to 1000 with at most two decimals, like 2 or 1.5";
    uint64_t number;
    const char *rest = read_digits(text, &number);
    int hundredths = 0;

    if (rest && *rest == '.') {
        hundredths = read_hundredths(rest + 1);
    } else if (!rest || *rest != '\0') {
        return right;
    }
    if (hundredths < 0 || number < 1 || number > 1000 || (number == 1000 && hundredths > 0)) {
        return right;
    }
    *out = (uint32_t)number * 100 + (uint32_t)hundredths;
    return NULL;
}
