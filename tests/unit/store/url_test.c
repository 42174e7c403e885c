/* Taking a store's URL apart. */
#include "tests/support/support.h"

#include <string.h>

#include "store/url.h"

static void assert_path(const char *text, const char *location)
{
    struct stele__url url;
    stele_error *error = NULL;

    assert_ok(stele__url_parse(text, &url, &error), error);
    assert_string_equal(url.backend->ops->scheme, "sqlite");
    assert_string_equal(url.location, location);
    assert_int_equal(url.parameter_count, 0);
    stele__url_fini(&url);
}

static void assert_invalid(const char *text, const char *word)
{
    struct stele__url url;
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, stele__url_parse(text, &url, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "url");
    assert_message(error, word);
    stele_error_free(error);
}

static void a_bare_path_is_taken_literally(void **state)
{
    (void)state;
    assert_path("ledger.db", "ledger.db");
    assert_path("/var/lib/100%25.db", "/var/lib/100%25.db");
    assert_path("what?.db", "what?.db");
    assert_path("a&b=c#d", "a&b=c#d");
    assert_path("./sqlite:x", "./sqlite:x");
    assert_path("dir/12:30.db", "dir/12:30.db");
    assert_path("sqlite", "sqlite");
    assert_path("\xc3\xa9.db", "\xc3\xa9.db");
}

static void a_url_names_its_backend_and_location(void **state)
{
    struct stele__url url;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__url_parse("memory:", &url, &error), error);
    assert_string_equal(url.backend->ops->scheme, "memory");
    assert_string_equal(url.location, "");
    stele__url_fini(&url);
    assert_path("sqlite:ledger.db", "ledger.db");
    assert_path("sqlite:/a/b:c.db", "/a/b:c.db");
    assert_path("sqlite:ledger.db?", "ledger.db");
}

static void locations_are_percent_decoded(void **state)
{
    (void)state;
    assert_path("sqlite:my%20ledger%3f%25.db", "my ledger?%.db");
    assert_path("sqlite:%C3%a9", "\xc3\xa9");
    assert_path("sqlite:a+b", "a+b");
    assert_path("sqlite:%2561", "%61"); /* once */
}

static void malformed_percent_sequences_are_invalid(void **state)
{
    (void)state;
    assert_invalid("sqlite:a%", "two hexadecimal digits");
    assert_invalid("sqlite:a%2", "two hexadecimal digits");
    assert_invalid("sqlite:a%zz", "two hexadecimal digits");
    assert_invalid("sqlite:a%0gb", "two hexadecimal digits");
    assert_invalid("sqlite:a%00b", "not 00");
    assert_invalid("sqlite:a?x=%q1", "two hexadecimal digits");
}

static void parameters_are_names_and_values(void **state)
{
    struct stele__url url;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__url_parse("sqlite:x.db?sync=normal&busy=100&vfs=&e%3d=a%26b=c", &url, &error), error);
    assert_string_equal(url.location, "x.db");
    assert_int_equal(url.parameter_count, 4);
    assert_string_equal(url.parameters[0].name, "sync");
    assert_string_equal(url.parameters[0].value, "normal");
    assert_string_equal(url.parameters[1].name, "busy");
    assert_string_equal(url.parameters[1].value, "100");
    assert_string_equal(url.parameters[2].value, "");
    assert_string_equal(url.parameters[3].name, "e=");
    assert_string_equal(url.parameters[3].value, "a&b=c");
    stele__url_fini(&url);
}

static void malformed_parameters_are_invalid(void **state)
{
    (void)state;
    assert_invalid("sqlite:x?sync", "NAME=VALUE");
    assert_invalid("sqlite:x?=full", "NAME=VALUE");
    assert_invalid("sqlite:x?a=1&&b=2", "NAME=VALUE");
    assert_invalid("sqlite:x?a=1&", "NAME=VALUE");
    assert_invalid("sqlite:x?a=1&b=2&a=1", "twice");
}

static void unknown_schemes_are_named_and_a_way_out_is_told(void **state)
{
    (void)state;
    assert_invalid("postgres:ledger", "\"postgres\"");
    assert_invalid("sqlte:ledger.db", "\"./sqlte:ledger.db\"");
    assert_invalid("SQLITE:ledger.db", "\"SQLITE\"");
    assert_invalid(":memory:", "\"./:memory:\"");
    assert_invalid("file.db:", "\"file.db\"");
}

static void what_is_missing_or_too_much_is_invalid(void **state)
{
    (void)state;
    assert_invalid("", "empty");
    assert_invalid("sqlite:", "no path");
    assert_invalid("sqlite:?sync=full", "no path");
    assert_invalid("memory:ledger", "takes no path");
}

static stele_status parse(void *context, stele_error **error)
{
    struct stele__url url;
    const stele_status status = stele__url_parse(context, &url, error);

    if (status == STELE_OK)
        stele__url_fini(&url);
    return status;
}

static void parsing_survives_every_failed_allocation(void **state)
{
    char text[] = "sqlite:x.db?sync=normal&busy=100";
    char path[] = "x.db";

    (void)state;
    assert_true(support_every_allocation_fails(parse, text) > 0);
    assert_true(support_every_allocation_fails(parse, path) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_bare_path_is_taken_literally),
        support_test(a_url_names_its_backend_and_location),
        support_test(locations_are_percent_decoded),
        support_test(malformed_percent_sequences_are_invalid),
        support_test(parameters_are_names_and_values),
        support_test(malformed_parameters_are_invalid),
        support_test(unknown_schemes_are_named_and_a_way_out_is_told),
        support_test(what_is_missing_or_too_much_is_invalid),
        support_test(parsing_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
