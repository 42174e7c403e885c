/* Numbers as text, independent of the locale. Reading checks the whole slice and the range. */
#include "base/text.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

static bool parse_magnitude(struct stele_slice text, uint64_t limit, uint64_t *out)
{
    uint64_t number = 0;

    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        const char digit = text.data[i];

        if (digit < '0' || digit > '9')
            return false;
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (unsigned)(digit - '0'), &number))
            return false;
    }
    if (number > limit)
        return false;
    *out = number;
    return true;
}

bool stele__parse_u64(struct stele_slice text, uint64_t *out)
{
    return parse_magnitude(text, UINT64_MAX, out);
}

bool stele__parse_i64(struct stele_slice text, int64_t *out)
{
    const bool is_negative = text.size > 0 && text.data[0] == '-';
    uint64_t magnitude;

    if (is_negative) {
        text.data++;
        text.size--;
    }
    if (!parse_magnitude(text, (uint64_t)INT64_MAX + is_negative, &magnitude))
        return false;
    /* -INT64_MIN does not exist, so the last step down is made on this side of the sign. */
    *out = is_negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return true;
}

int stele__hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Whatever the locale puts between the whole and the fraction becomes a '.'. */
static size_t set_point(char *text)
{
    const size_t whole = strspn(text, "-0123456789");
    const size_t point = strcspn(text + whole, "0123456789e");

    if (point > 0) {
        text[whole] = '.';
        memmove(text + whole + 1, text + whole + point, strlen(text + whole + point) + 1);
    }
    return strlen(text);
}

size_t stele__print_double(double value, char text[STELE__DOUBLE_TEXT_SIZE])
{
    const double magnitude = value < 0 ? -value : value;
    /* 15 digits survive the way to a normal double and back, so %.15g prints all shorter texts too. */
    int precision = magnitude < DBL_MIN ? 1 : DBL_DIG;
    size_t length;

    do
        snprintf(text, STELE__DOUBLE_TEXT_SIZE, "%.*g", precision, value);
    while (strtod(text, NULL) != value && ++precision <= DBL_DECIMAL_DIG);
    length = set_point(text);
    if (strcspn(text, ".e") == length) {
        memcpy(text + length, ".0", sizeof(".0"));
        length += 2;
    }
    return length;
}
