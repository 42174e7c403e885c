/* Text as lines, growing in an arena: what is compared, and what is told. */
#ifndef TESTKIT_LINES_H
#define TESTKIT_LINES_H

#include <stele/base.h>
#include <stele/memory.h>

struct lines {
    stele_arena *arena;
    const char **items; /* each NUL-terminated */
    size_t count;
    size_t capacity;
    bool failed; /* memory was out: lines are missing */
};

/* One more line, in the manner of printf. */
void stele__kit_print(struct lines *lines, const char *format, ...) STELE_PRINTF(2, 3);

/* What was expected of one thing, and what came. */
struct pair {
    struct lines expected;
    struct lines actual;
};

/*
 * Unless nothing differs, which is true, add each pair beside each other, the
 * differing lines marked. What is alike at the beginning and at the end of a pair
 * is put at one height; between, line by line. A comma at the end of a line is
 * no difference.
 */
bool stele__kit_compare(const struct pair *pairs, size_t count, struct lines *out);

/* Write all lines, without a newline at the end, into `size` bytes; what does not fit is cut, and the last line says so. */
void stele__kit_join(const struct lines *lines, char *text, size_t size);

#endif
