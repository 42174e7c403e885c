/* The log hook and records as lines of text (ORX-49). */
#include "tests/support/support.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

struct heard {
    int records;
    char line[200];
};

static void hear(void *context, const struct stele_log_record *record)
{
    struct heard *heard = context;

    heard->records++;
    stele_log_print(record, heard->line, sizeof(heard->line));
}

static int teardown(void **state)
{
    stele_log_use(NULL, NULL, STELE_LOG_TRACE);
    return support_teardown(state);
}

static void ORX49_fields_arrive_at_the_hook(void **state)
{
    struct heard heard = {0};

    (void)state;
    stele_log_use(hear, &heard, STELE_LOG_INFO);
    STELE__LOG(STELE_LOG_INFO, "store opened", {"path", "ledger.db"}, {"sqlite", "3.40.1"});
    assert_int_equal(1, heard.records);
    assert_string_equal("info store opened path=ledger.db sqlite=3.40.1", heard.line);
    stele__log(STELE_LOG_ERROR, "gone", NULL, 0);
    assert_string_equal("error gone", heard.line);
}

static const char *count_evaluation(int *evaluated)
{
    (*evaluated)++;
    return "x";
}

static void records_below_the_level_are_neither_heard_nor_evaluated(void **state)
{
    struct heard heard = {0};
    int evaluated = 0;

    (void)state;
    stele_log_use(hear, &heard, STELE_LOG_WARNING);
    assert_false(stele__log_wanted(STELE_LOG_INFO));
    assert_true(stele__log_wanted(STELE_LOG_WARNING));
    assert_true(stele__log_wanted(STELE_LOG_ERROR));
    STELE__LOG(STELE_LOG_INFO, "quiet", {"key", count_evaluation(&evaluated)});
    stele__log(STELE_LOG_DEBUG, "quiet", NULL, 0);
    assert_int_equal(0, heard.records);
    assert_int_equal(0, evaluated);
}

static void without_a_hook_nothing_is_wanted(void **state)
{
    (void)state;
    assert_false(stele__log_wanted(STELE_LOG_ERROR));
    stele__log(STELE_LOG_ERROR, "nobody hears", NULL, 0);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal("trace", stele_log_level_name(STELE_LOG_TRACE));
    assert_string_equal("debug", stele_log_level_name(STELE_LOG_DEBUG));
    assert_string_equal("info", stele_log_level_name(STELE_LOG_INFO));
    assert_string_equal("warning", stele_log_level_name(STELE_LOG_WARNING));
    assert_string_equal("error", stele_log_level_name(STELE_LOG_ERROR));
    assert_string_equal("?", stele_log_level_name((enum stele_log_level)5));
}

static void values_that_would_break_a_line_are_quoted_and_escaped(void **state)
{
    static const struct {
        const char *value;
        const char *printed;
    } cases[] = {
        {"plain", "info m k=plain"},
        {"a/b:c,d", "info m k=a/b:c,d"},
        {"gr\xC3\xBC\xC3\x9F", "info m k=gr\xC3\xBC\xC3\x9F"},
        {"", "info m k=\"\""},
        {NULL, "info m k=\"\""},
        {"two words", "info m k=\"two words\""},
        {"a=b", "info m k=\"a=b\""},
        {"say \"hi\"", "info m k=\"say \\\"hi\\\"\""},
        {"back\\slash", "info m k=\"back\\\\slash\""},
        {"a\nb\rc\td", "info m k=\"a\\nb\\rc\\td\""},
        {"\x1B[31m", "info m k=\"\\x1b[31m\""},
        {"\x7F", "info m k=\"\\x7f\""},
        {"\xC2\x85", "info m k=\"\\xc2\\x85\""},
        {"\xFF", "info m k=\"\\xff\""},
        {"\xE2\x82", "info m k=\"\\xe2\\x82\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct stele_log_field field = {"k", cases[i].value};
        const struct stele_log_record record = {STELE_LOG_INFO, "m", &field, 1};
        char line[100];

        assert_int_equal(strlen(cases[i].printed), stele_log_print(&record, line, sizeof(line)));
        assert_string_equal(cases[i].printed, line);
    }
}

static void a_line_is_one_line_whatever_the_message_and_key_are(void **state)
{
    const struct stele_log_field field = {"a b=\n", "v"};
    const struct stele_log_record record = {STELE_LOG_INFO, "first\nsecond", &field, 1};
    char line[100];

    (void)state;
    stele_log_print(&record, line, sizeof(line));
    assert_string_equal("info first\\nsecond a\\x20b\\x3d\\n=v", line);
}

static void a_line_is_cut_at_the_size_between_characters(void **state)
{
    const struct stele_log_field field = {"k", "\xE2\x82\xAC\xE2\x82\xAC a"};
    const struct stele_log_record record = {STELE_LOG_INFO, "m", &field, 1};
    const char *const whole = "info m k=\"\xE2\x82\xAC\xE2\x82\xAC a\"";
    char line[100];

    (void)state;
    assert_int_equal(19, strlen(whole));
    assert_int_equal(19, stele_log_print(&record, NULL, 0));
    for (size_t size = 1; size <= 25; size++) {
        memset(line, 'X', sizeof(line));
        assert_int_equal(19, stele_log_print(&record, line, size));
        assert_true(strlen(line) < size);
        assert_memory_equal(whole, line, strlen(line));
        assert_int_equal('X', line[size]);
    }
    stele_log_print(&record, line, 13);
    assert_string_equal("info m k=\"", line);
    stele_log_print(&record, line, 14);
    assert_string_equal("info m k=\"\xE2\x82\xAC", line);
    stele_log_print(&record, line, 20);
    assert_string_equal(whole, line);
}

#define log_unit_test(name) cmocka_unit_test_setup_teardown(name, support_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_unit_test(ORX49_fields_arrive_at_the_hook),
        log_unit_test(records_below_the_level_are_neither_heard_nor_evaluated),
        log_unit_test(without_a_hook_nothing_is_wanted),
        log_unit_test(levels_have_names),
        log_unit_test(values_that_would_break_a_line_are_quoted_and_escaped),
        log_unit_test(a_line_is_one_line_whatever_the_message_and_key_are),
        log_unit_test(a_line_is_cut_at_the_size_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
