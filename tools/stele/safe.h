/*
 * Text from a store made harmless for a terminal.
 *
 * Control characters (also the C1 ones and the ones that turn the direction of
 * writing) become their JSON escape, \u001b; bytes that are no UTF-8 become
 * \xff. What is JSON stays the same JSON.
 */
#ifndef STELE_TOOLS_SAFE_H
#define STELE_TOOLS_SAFE_H

#include <stele/base.h>

#define SAFE_UNLIMITED SIZE_MAX

/* How much of a text is shown, and what it takes. */
struct safe_extent {
    size_t taken;   /* bytes of the text */
    size_t size;    /* bytes written */
    size_t columns; /* on a terminal */
    bool cut;       /* an ellipsis stands for the rest */
};

/* Measure a text, cut to at most `columns` of a terminal, 1 or more. */
struct safe_extent safe_measure(struct stele_slice text, size_t columns);

/* Write what was measured: `extent->size` bytes, no NUL. */
void safe_write(struct stele_slice text, const struct safe_extent *extent, char *out);

#endif
