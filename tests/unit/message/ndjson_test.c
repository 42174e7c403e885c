/* Stepping through the lines of NDJSON text. */
#include "tests/support/support.h"

#include <string.h>

#include <stele/cloudevents.h>

struct expected {
    const char *line;
    uint64_t number;
};

static void assert_lines(const char *text, const struct expected *expected, size_t count, uint64_t last)
{
    struct stele_slice rest = support_slice(text);
    struct stele_slice line;
    uint64_t number = 0;

    for (size_t i = 0; i < count; i++) {
        assert_true(stele_ndjson_next(&rest, &line, &number));
        assert_int_equal(strlen(expected[i].line), line.size);
        assert_memory_equal(expected[i].line, line.data, line.size);
        assert_int_equal(expected[i].number, number);
    }
    assert_false(stele_ndjson_next(&rest, &line, &number));
    assert_int_equal(last, number);
    assert_false(stele_ndjson_next(&rest, &line, &number));
    assert_int_equal(last, number);
}

static void an_empty_text_has_no_lines(void **state)
{
    struct stele_slice absent = {NULL, 0};
    struct stele_slice line;
    uint64_t number = 0;

    (void)state;
    assert_lines("", NULL, 0, 0);
    assert_false(stele_ndjson_next(&absent, &line, &number));
    assert_int_equal(0, number);
}

static void lines_end_in_lf_or_crlf_or_the_end_of_the_text(void **state)
{
    const struct expected expected[] = {{"{}", 1}, {"[1]", 2}, {"3", 3}};

    (void)state;
    assert_lines("{}\n[1]\r\n3", expected, 3, 3);
    assert_lines("{}\n[1]\r\n3\n", expected, 3, 3);
    assert_lines("{}\r\n[1]\n3\r", expected, 3, 3);
}

static void blank_lines_are_counted_but_not_shown(void **state)
{
    const struct expected expected[] = {{"a", 3}, {" b ", 5}};

    (void)state;
    assert_lines("\n \t\r\na\n\r\n b \n\n", expected, 2, 6);
    assert_lines("\n\n\n", NULL, 0, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(an_empty_text_has_no_lines),
        support_test(lines_end_in_lf_or_crlf_or_the_end_of_the_text),
        support_test(blank_lines_are_counted_but_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
