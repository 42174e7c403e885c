/* Where failures go: to a function of the test framework, or to stderr and an abort. */
#include "testkit/fail.h"

#include <stele/testkit.h>

#include <stdio.h>
#include <stdlib.h>

/* As a test framework's: of the whole process, set before there are threads. */
static struct {
    stele_testkit_fail *fail;
    void *context;
} teller;

void stele_testkit_on_failure(stele_testkit_fail *fail, void *context)
{
    teller.fail = fail;
    teller.context = context;
}

void stele__kit_fail(const char *file, int line, const char *text)
{
    if (teller.fail) {
        teller.fail(teller.context, file, line, text);
        return;
    }
    fprintf(stderr, "%s\n", text);
    abort();
}
