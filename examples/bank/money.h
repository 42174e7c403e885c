/* Amounts of money as text: int64 in minor units, two decimals. */
#ifndef BANK_MONEY_H
#define BANK_MONEY_H

#include <stdbool.h>
#include <stdint.h>

enum { MONEY_TEXT_SIZE = 32 };

/* "1,234.50" for 123450, with a "-" in front where it is due. */
void money_print(int64_t amount, char text[MONEY_TEXT_SIZE]);

/* Read "1234.50" or "1234": digits only, at most INT64_MAX minor units. NULL, or what is wrong with the text. */
const char *money_parse(const char *text, int64_t *amount);

/* *sum += amount; false if the sum cannot be held. */
bool money_add(int64_t *sum, int64_t amount);

#endif
