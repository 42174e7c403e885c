/* What the kit told. */
#include "tests/unit/testkit/told.h"

#include <stdio.h>
#include <string.h>

static struct {
    unsigned count;
    char text[STELE_TESTKIT_TEXT_MAX];
    const char *file;
    int line;
} told;

static void take(void *context, const char *file, int line, const char *text)
{
    (void)context;
    told.count++;
    snprintf(told.text, sizeof(told.text), "%s", text);
    told.file = file;
    told.line = line;
}

int told_setup(void **state)
{
    memset(&told, 0, sizeof(told));
    stele_testkit_on_failure(take, NULL);
    return support_setup(state);
}

int told_teardown(void **state)
{
    stele_testkit_on_failure(NULL, NULL);
    return support_teardown(state);
}

unsigned told_count(void)
{
    return told.count;
}

const char *told_text(void)
{
    return told.text;
}

const char *told_file(void)
{
    return told.file;
}

int told_line(void)
{
    return told.line;
}

/* The text behind its first line, with a newline at its end. */
static void without_first_line(char out[STELE_TESTKIT_TEXT_MAX + 1])
{
    const char *end = strchr(told.text, '\n');

    out[0] = '\0';
    if (end)
        snprintf(out, STELE_TESTKIT_TEXT_MAX + 1, "%s\n", end + 1);
}

void told_assert(const char *expected, const char *file, int line)
{
    char text[STELE_TESTKIT_TEXT_MAX + 1];

    without_first_line(text);
    if (told.count == (expected ? 1U : 0U) && (!expected || strcmp(text, expected) == 0))
        return;
    print_error("%u failures were told; the last one:\n%s\ninstead of\n%s\n", told.count, text,
                expected ? expected : "none");
    _fail(file, line);
}
