/* Patterns over dotted names (B2). */
#include "tests/support/support.h"

#include "base/text.h"

static void B2_patterns_match_whole_levels(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        bool matches;
    } cases[] = {
        {"order.created", "order.created", true},
        {"order.created", "order.create", false},
        {"order.created", "order.created.v2", false},
        {"order.created", "order", false},
        {"order", "order.created", false},
        {"order.*", "order.created", true},
        {"order.*", "order", false},
        {"order.*", "order.line.added", false},
        {"order.*.added", "order.line.added", true},
        {"order.*.added", "order.line.removed", false},
        {"*.created", "order.created", true},
        {"order.>", "order.created", true},
        {"order.>", "order.line.added", true},
        {"order.>", "order", false},
        {"order.>", "orders.created", false},
        {"*", "order", true},
        {"*", "order.created", false},
        {">", "order", true},
        {">", "order.created", true},
        {"*.*", "order.created", true},
        {"*.*", "order", false},
        {"*.>", "order", false},
        {"*.>", "a.b.c", true},
        {"Order", "order", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (stele__pattern_match(support_slice(cases[i].pattern), support_slice(cases[i].name)) != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].name);
    }
}

static void a_name_is_compared_to_its_length_not_to_a_nul(void **state)
{
    (void)state;
    assert_true(stele__pattern_match((struct stele_slice){"a.bX", 3}, (struct stele_slice){"a.bY", 3}));
    assert_true(stele__pattern_match((struct stele_slice){"a.*X", 3}, (struct stele_slice){"a.b.", 3}));
}

static void well_formed_patterns_pass(void **state)
{
    static const char *const patterns[] = {"a", "a.b", "*", ">", "a.*", "a.>", "*.b.>", "a.*.*", "\xC3\xA4.b"};
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        assert_ok(stele__pattern_check(support_slice(patterns[i]), &error), error);
}

static void malformed_patterns_name_the_offset(void **state)
{
    static const struct {
        const char *pattern;
        const char *offset;
    } cases[] = {
        {"", "0"},     {".", "0"},    {".a", "0"}, {"a.", "2"}, {"a..b", "2"}, {">.a", "0"},      {"a.>.b", "2"},
        {"a.b*", "3"}, {"a.*b", "2"}, {"a>", "1"}, {"**", "0"}, {"a.>>", "2"}, {"order*.a", "5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_error *error = NULL;

        assert_failure(STELE_INVALID, stele__pattern_check(support_slice(cases[i].pattern), &error), error);
        assert_string_equal(cases[i].offset, stele_error_get(error, "offset"));
        assert_string_equal("pattern", stele_error_get(error, "field"));
        stele_error_free(error);
    }
    assert_int_equal(STELE_INVALID, stele__pattern_check(support_slice(NULL), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(B2_patterns_match_whole_levels),
        support_test(a_name_is_compared_to_its_length_not_to_a_nul),
        support_test(well_formed_patterns_pass),
        support_test(malformed_patterns_name_the_offset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
