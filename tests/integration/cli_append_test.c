/* stele append: what is stored, what is printed, and what is refused. */
#include "tests/integration/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN "append", "ledger.db", "account-7", "--type", "bank.opened"

static void append_makes_the_store_and_prints_version_and_position(void **state)
{
    (void)state;
    cli(OPEN, "{\"owner\":\"Ada\"}");
    assert_cli(0);
    assert_out("account-7 version 1 position 1\n");
    assert_err_empty();
    cli(OPEN, "{}");
    assert_out("account-7 version 2 position 2\n");
}

static void data_comes_from_standard_input_without_an_argument(void **state)
{
    (void)state;
    cli_with("{\"amount\": 5}\n", OPEN);
    assert_cli(0);
    cli("read", "ledger.db", "account-7", "--json");
    assert_out_has("\"data\":{\"amount\":5}");
}

static void attributes_given_are_stored(void **state)
{
    (void)state;
    cli(OPEN, "--id", "e-1", "--source", "/till/3", "--subject", "Ada", "--time", "2026-01-02T04:04:05+01:00",
        "--correlation", "talk-1", "--causation", "cause-1", "[1,2.5]");
    assert_cli(0);
    cli("log", "ledger.db", "--json");
    assert_out("{\"specversion\":\"1.0\",\"id\":\"e-1\",\"source\":\"/till/3\",\"type\":\"bank.opened\","
               "\"subject\":\"Ada\",\"time\":\"2026-01-02T03:04:05Z\",\"stream\":\"account-7\",\"streamversion\":1,"
               "\"position\":1,\"correlationid\":\"talk-1\",\"causationid\":\"cause-1\",\"data\":[1,2.5]}\n");
}

static void a_batch_is_one_event_a_line(void **state)
{
    (void)state;
    cli_with("{\"n\":1}\n\n{\"n\":2}\r\n{\"n\":3}", OPEN, "--batch");
    assert_cli(0);
    assert_out("account-7 version 3 positions 1 to 3 (3 events)\n");
    cli("read", "ledger.db", "account-7", "--json", "--after", "2");
    assert_out_has("\"data\":{\"n\":3}");
}

static void a_bad_line_in_a_batch_is_named_and_stores_nothing(void **state)
{
    (void)state;
    cli(OPEN, "{}");
    cli_with("{\"n\":1}\n{\"n\":\n", OPEN, "--batch");
    assert_cli(1);
    assert_err_has("stele: append: line 2: ");
    cli("stats", "ledger.db", "--json");
    assert_out_has("\"events\":1,");
}

static void A4_conflict_has_status_4_and_names_stream_and_versions(void **state)
{
    (void)state;
    cli(OPEN, "{}");
    cli(OPEN, "{}");
    cli(OPEN, "--expect", "7", "{}");
    assert_cli(4);
    assert_out("");
    assert_err_has("stele: append: ");
    assert_err_has("account-7");
    assert_err_has("expected version 7");
    assert_err_has("actual version 2");
    cli(OPEN, "--expect", "none", "{}");
    assert_cli(4);
    assert_err_has("expected no stream, actual version 2");
    cli("append", "ledger.db", "other", "--type", "t", "--expect", "exists", "{}");
    assert_cli(4);
    assert_err_has("expected a stream that exists, actual version 0");
}

static void A1_expectations_that_hold_are_met(void **state)
{
    (void)state;
    cli(OPEN, "--expect", "none", "{}");
    assert_cli(0);
    cli(OPEN, "--expect", "exists", "{}");
    assert_cli(0);
    cli(OPEN, "--expect", "2", "{}");
    assert_cli(0);
    cli(OPEN, "--expect", "any", "{}");
    assert_out("account-7 version 4 position 4\n");
}

static void A6_repeated_append_says_so_and_changes_nothing(void **state)
{
    (void)state;
    cli(OPEN, "--id", "e1", "{\"n\":1}");
    cli(OPEN, "--id", "e1", "--expect", "none", "{\"n\":1}");
    assert_cli(0);
    assert_out("account-7 version 1 position 1 (already stored)\n");
    cli(OPEN, "--id", "e1", "{\"n\":2}");
    assert_cli(1);
    assert_err_has("e1");
    cli("stats", "ledger.db", "--json");
    assert_out_has("\"events\":1,");
}

static void wrong_usage_has_status_2_and_names_the_option(void **state)
{
    (void)state;
    static const char *const expectations[] = {"-1", "9223372036854775808", "99999999999999999999999", "1x", "", " 1"};
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        cli(OPEN, "--expect", expectations[i], "{}");
        assert_cli(2);
        assert_err_has("stele: append: --expect: ");
    }
    cli("append", "ledger.db", "a", "{}");
    assert_cli(2);
    assert_err_has("stele: append: --type is missing\nUsage: stele append");
    cli("append", "ledger.db");
    assert_cli(2);
    cli(OPEN, "{}", "{}");
    assert_cli(2);
    cli(OPEN, "--batch", "--id", "x", "{}");
    assert_cli(2);
    cli(OPEN, "--time", "yesterday", "{}");
    assert_cli(2);
    assert_err_has("--time: 'yesterday'");
    cli(OPEN, "--no-such-option", "{}");
    assert_cli(2);
    assert_err_has("stele: append: unrecognized option '--no-such-option'");
    assert_int_not_equal(access(cli_path("ledger.db"), F_OK), 0);
}

static void malformed_data_makes_no_store(void **state)
{
    (void)state;
    static const char *const inputs[] = {"", "  \n", "{", "{\"a\":1}{", "nul", "\"\xff\"", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        cli_with(inputs[i], OPEN);
        assert_cli(1);
        assert_err_has("stele: append: ");
    }
    assert_int_not_equal(access(cli_path("ledger.db"), F_OK), 0);
}

static void standard_input_that_is_closed_is_told(void **state)
{
    (void)state;
    cli_shell("$STELE append ledger.db a --type t <&-");
    assert_cli(1);
    assert_err_has("stele: append: standard input: ");
}

static void stream_names_that_are_not_allowed_are_refused(void **state)
{
    (void)state;
    char long_name[1026];
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const char *const names[] = {"", "$own", "a\tb", "a\xff", long_name};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cli("append", "ledger.db", names[i], "--type", "t", "{}");
        assert_cli(1);
        assert_err_has("stele: append: ");
    }
    long_name[1024] = '\0';
    cli("append", "ledger.db", long_name, "--type", "t", "{}");
    assert_cli(0);
}

static void a_payload_of_more_than_the_default_limit_goes_in_and_out(void **state)
{
    (void)state;
    const size_t size = 3 * 1024 * 1024;
    char *text = malloc(size + 3);
    assert_non_null(text);
    memset(text, 'x', size + 2);
    text[0] = text[size + 1] = '"';
    text[size + 2] = '\0';
    cli_with(text, OPEN);
    free(text);
    assert_cli(0);
    cli("read", "ledger.db", "account-7", "--json");
    assert_cli(0);
    assert_true(cli_last.out_size > size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(append_makes_the_store_and_prints_version_and_position),
        cli_test(data_comes_from_standard_input_without_an_argument),
        cli_test(attributes_given_are_stored),
        cli_test(a_batch_is_one_event_a_line),
        cli_test(a_bad_line_in_a_batch_is_named_and_stores_nothing),
        cli_test(A4_conflict_has_status_4_and_names_stream_and_versions),
        cli_test(A1_expectations_that_hold_are_met),
        cli_test(A6_repeated_append_says_so_and_changes_nothing),
        cli_test(wrong_usage_has_status_2_and_names_the_option),
        cli_test(malformed_data_makes_no_store),
        cli_test(standard_input_that_is_closed_is_told),
        cli_test(stream_names_that_are_not_allowed_are_refused),
        cli_test(a_payload_of_more_than_the_default_limit_goes_in_and_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
