/* A bar chart as SVG 1.1. */
#ifndef BANK_CHART_H
#define BANK_CHART_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bar {
    const char *label;
    int64_t value; /* in minor units */
};

/* Texts are written as they are given: neither `title` nor labels may have '<', '&' or quotes in them. */
void chart_write(FILE *file, const char *title, const struct bar *bars, size_t count);

#endif
