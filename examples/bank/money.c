/* Amounts of money as text (see money.h). Nothing here rounds, and nothing overflows. */
#include "money.h"

#include <stdio.h>
#include <string.h>

enum { MINOR_PER_MAJOR = 100, DECIMALS = 2 };

void money_print(int64_t amount, char text[MONEY_TEXT_SIZE])
{
    const uint64_t size = amount < 0 ? -(uint64_t)amount : (uint64_t)amount;
    char digits[MONEY_TEXT_SIZE];
    const int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)(size / MINOR_PER_MAJOR));
    char *at = text;

    if (amount < 0)
        *at++ = '-';
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    snprintf(at, 1 + DECIMALS + 1, ".%02u", (unsigned)(size % MINOR_PER_MAJOR));
}

static bool add_digit(int64_t *amount, char digit)
{
    const int64_t value = digit - '0';

    if (*amount > (INT64_MAX - value) / 10)
        return false;
    *amount = *amount * 10 + value;
    return true;
}

const char *money_parse(const char *text, int64_t *amount)
{
    const size_t whole = strspn(text, "0123456789");
    const char *decimals = text[whole] == '.' ? text + whole + 1 : "00";
    int64_t parsed = 0;

    if (whole == 0 || (text[whole] != '.' && text[whole] != '\0'))
        return "is not a number such as 1234.50";
    if (strlen(decimals) != DECIMALS || strspn(decimals, "0123456789") != DECIMALS)
        return "must have two decimals or none";
    for (size_t i = 0; i < whole; i++) {
        if (!add_digit(&parsed, text[i]))
            return "is too large";
    }
    for (size_t i = 0; i < DECIMALS; i++) {
        if (!add_digit(&parsed, decimals[i]))
            return "is too large";
    }
    *amount = parsed;
    return NULL;
}

bool money_add(int64_t *sum, int64_t amount)
{
    if (amount > 0 ? *sum > INT64_MAX - amount : *sum < INT64_MIN - amount)
        return false;
    *sum += amount;
    return true;
}
