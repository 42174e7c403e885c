/* What the tests of the bank's rules begin with, as a program of its own would: cmocka and the testing kit. */
#ifndef TESTS_UNIT_BANK_BANK_H
#define TESTS_UNIT_BANK_BANK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stele.h>
#include <stele/testkit.h>

#include <stdio.h>

static inline void fail_in_cmocka(void *context, const char *file, int line, const char *text)
{
    (void)context;
    fprintf(stderr, "%s\n", text);
    _fail(file, line);
}

static inline int use_cmocka(void **state)
{
    (void)state;
    stele_testkit_on_failure(fail_in_cmocka, NULL);
    return 0;
}

#endif
