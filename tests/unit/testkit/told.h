/* What the kit told: its failures are caught here instead of failing the test. */
#ifndef TESTS_UNIT_TESTKIT_TOLD_H
#define TESTS_UNIT_TESTKIT_TOLD_H

#include "tests/support/support.h"

#include <stele/testkit.h>

/* As setup and teardown: support's, with failures caught. */
int told_setup(void **state);
int told_teardown(void **state);
#define told_test(name) cmocka_unit_test_setup_teardown(name, told_setup, told_teardown)

/* Failures since told_setup(), and the text, file and line of the last one. */
unsigned told_count(void);
const char *told_text(void);
const char *told_file(void);
int told_line(void);

/* One failure was told, whose lines behind the first one are these, each with a newline behind it. */
#define assert_told(expected) told_assert((expected), __FILE__, __LINE__)
void told_assert(const char *expected, const char *file, int line);
/* None was. */
#define assert_not_told() told_assert(NULL, __FILE__, __LINE__)

#endif
