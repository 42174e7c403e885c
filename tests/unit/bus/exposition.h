/* A strict reader of the Prometheus text exposition format 0.0.4, as far as the library writes it. */
#ifndef STELE_TESTS_UNIT_BUS_EXPOSITION_H
#define STELE_TESTS_UNIT_BUS_EXPOSITION_H

#include <stdbool.h>

/*
 * True if `text` follows the grammar: HELP and TYPE once before the samples of
 * a family, families together, names and labels well-formed, values numbers,
 * no sample twice, counters named _total, summaries with _sum and _count.
 * Otherwise `why` (128 bytes) says what is wrong with which line.
 */
bool exposition_check(const char *text, char *why);

/* The value of the sample `name{labels}` as it is written; NULL if there is none. Static until the next call. */
const char *exposition_value(const char *text, const char *sample);

#endif
