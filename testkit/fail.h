/* Telling failures. */
#ifndef TESTKIT_FAIL_H
#define TESTKIT_FAIL_H

/* Tell the function set by stele_testkit_on_failure(). It may not return. */
void stele__kit_fail(const char *file, int line, const char *text);

#endif
