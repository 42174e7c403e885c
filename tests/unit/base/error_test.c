/* Statuses and error objects: what they carry, how long they are, what is left of them without memory. */
#include "tests/support/support.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

static void every_status_has_a_name_a_text_and_an_action(void **state)
{
    (void)state;
    assert_string_equal("OK", stele_status_name(STELE_OK));
    assert_string_equal("CONFLICT", stele_status_name(STELE_CONFLICT));
    assert_string_equal("TIMEOUT", stele_status_name(STELE_TIMEOUT));
    assert_string_equal("no space left", stele_status_text(STELE_FULL));
    assert_int_equal(STELE_ACTION_NONE, stele_status_action(STELE_OK));
    assert_int_equal(STELE_ACTION_RELOAD, stele_status_action(STELE_CONFLICT));
    assert_int_equal(STELE_ACTION_RETRY, stele_status_action(STELE_BUSY));
    assert_int_equal(STELE_ACTION_ABORT, stele_status_action(STELE_CORRUPT));
    assert_int_equal(STELE_ACTION_NEVER, stele_status_action(STELE_INVALID));
}

static void a_number_that_is_no_status_is_answered_with_a_question_mark(void **state)
{
    (void)state;
    assert_string_equal("?", stele_status_name((stele_status)(STELE_LATE + 1)));
    assert_string_equal("?", stele_status_name((stele_status)-1));
    assert_string_equal("unknown status", stele_status_text((stele_status)9999));
    assert_int_equal(STELE_ACTION_NEVER, stele_status_action((stele_status)9999));
}

static void no_error_reads_as_success(void **state)
{
    (void)state;
    assert_int_equal(STELE_OK, stele_error_status(NULL));
    assert_int_equal(STELE_ACTION_NONE, stele_error_action(NULL));
    assert_string_equal("success", stele_error_message(NULL));
    assert_null(stele_error_get(NULL, "path"));
    assert_null(stele_error_conflict(NULL));
    stele_error_free(NULL);
}

static void failing_sets_status_and_message(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_int_equal(STELE_IO, stele__fail(&error, STELE_IO, "cannot read %s: %d", "a.db", 5));
    assert_int_equal(STELE_IO, stele_error_status(error));
    assert_int_equal(STELE_ACTION_ABORT, stele_error_action(error));
    assert_string_equal("cannot read a.db: 5", stele_error_message(error));
    assert_null(stele_error_conflict(error));
    stele_error_free(error);
}

static void failing_without_an_error_object_allocates_nothing(void **state)
{
    const struct stele_conflict conflict = {.stream = "a", .expect = STELE_EXPECT_NO_STREAM, .actual = 1};

    (void)state;
    assert_int_equal(STELE_IO, stele__fail(NULL, STELE_IO, "x"));
    assert_int_equal(STELE_NO_MEMORY, stele__fail_memory(NULL));
    assert_int_equal(STELE_INVALID, stele__fail_argument(NULL, "out", "is NULL"));
    assert_int_equal(STELE_LIMIT, stele__fail_limit(NULL, "type", 256, 255, "bytes"));
    assert_int_equal(STELE_CONFLICT, stele__fail_conflict(NULL, &conflict));
    stele__error_add(NULL, "path", "x");
    stele__error_prefix(NULL, "x");
    assert_int_equal(0, support_allocations());
}

static void facts_are_found_by_name_and_the_latest_counts(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stele__fail(&error, STELE_MALFORMED, "bad");
    stele__error_add(&error, "line", "%d", 7);
    stele__error_add(&error, "path", "%s", "in.csv");
    stele__error_add(&error, "line", "%d", 8);
    assert_string_equal("8", stele_error_get(error, "line"));
    assert_string_equal("in.csv", stele_error_get(error, "path"));
    assert_null(stele_error_get(error, "offset"));
    assert_null(stele_error_get(error, NULL));
    stele_error_free(error);
}

static void a_prefix_stands_before_the_message(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stele__fail(&error, STELE_MALFORMED, "not a UUID");
    stele__error_prefix(&error, "line %d", 3);
    stele__error_prefix(&error, "in.csv");
    assert_string_equal("in.csv: line 3: not a UUID", stele_error_message(error));
    stele_error_free(error);
}

static void a_message_is_one_line(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stele__fail(&error, STELE_INVALID, "value \"a\nb\tc\x7f\" is bad");
    assert_string_equal("value \"a b c \" is bad", stele_error_message(error));
    stele__error_prefix(&error, "x\ry");
    assert_string_equal("x y: value \"a b c \" is bad", stele_error_message(error));
    stele_error_free(error);
}

static void assert_bounded(const char *text)
{
    const struct stele_slice slice = support_slice(text);
    size_t offset;

    assert_in_range(slice.size, 4000, 4096);
    assert_true(stele__utf8_valid(slice, &offset));
}

static void long_texts_are_cut_between_characters(void **state)
{
    static char text[20001];

    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        stele_error *error = NULL;

        memset(text, 'a', sizeof(text) - 1);
        for (size_t i = (size_t)shift; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 3);
        text[shift + 3 * 6000] = '\0';
        stele__fail(&error, STELE_INVALID, "%s", text);
        assert_bounded(stele_error_message(error));
        stele__error_add(&error, "value", "%s", text);
        assert_bounded(stele_error_get(error, "value"));
        stele__error_prefix(&error, "prefix");
        assert_bounded(stele_error_message(error));
        assert_memory_equal("prefix: ", stele_error_message(error), 8);
        stele__error_prefix(&error, "%s", text);
        assert_bounded(stele_error_message(error));
        stele_error_free(error);
    }
}

static void an_argument_is_named(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_int_equal(STELE_INVALID, stele__fail_argument(&error, "stream", "is NULL"));
    assert_string_equal("stream: is NULL", stele_error_message(error));
    assert_string_equal("stream", stele_error_get(error, "argument"));
    stele_error_free(error);
}

static void a_limit_error_says_field_limit_and_actual_value(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_int_equal(STELE_LIMIT, stele__fail_limit(&error, "stream name", 1025, 1024, "bytes"));
    assert_string_equal("stream name is 1025 bytes long, the limit is 1024", stele_error_message(error));
    assert_string_equal("stream name", stele_error_get(error, "field"));
    assert_string_equal("1024", stele_error_get(error, "limit"));
    assert_string_equal("1025", stele_error_get(error, "actual"));
    stele_error_free(error);
}

static void A4_conflict_names_stream_and_versions(void **state)
{
    static const struct {
        struct stele_conflict conflict;
        const char *message;
    } cases[] = {
        {{.stream = "account-7", .expect = STELE_EXPECT_VERSION, .expected = 3, .actual = 5},
         "stream \"account-7\": expected version 3, actual version 5"},
        {{.stream = "a", .expect = STELE_EXPECT_NO_STREAM, .actual = 1},
         "stream \"a\": expected no stream, actual version 1"},
        {{.stream = "a", .expect = STELE_EXPECT_EXISTS, .actual = 0},
         "stream \"a\": expected an existing stream, actual version 0"},
        {{.stream = "a", .expect = STELE_EXPECT_ANY, .actual = 2},
         "stream \"a\": expected any version, actual version 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_error *error = NULL;

        assert_int_equal(STELE_CONFLICT, stele__fail_conflict(&error, &cases[i].conflict));
        assert_string_equal(cases[i].message, stele_error_message(error));
        assert_string_equal(cases[i].conflict.stream, stele_error_get(error, "stream"));
        assert_int_equal(cases[i].conflict.actual, stele_error_conflict(error)->actual);
        stele_error_free(error);
    }
}

static void A4_conflict_is_a_deep_copy_of_at_most_16_events(void **state)
{
    char stream[] = "account-7";
    char type[] = "deposited";
    struct stele_conflict conflict = {
        .stream = stream, .expect = STELE_EXPECT_VERSION, .expected = 3, .actual = 40, .event_count = 37};
    const struct stele_conflict *copy;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < STELE_CONFLICT_EVENTS_MAX; i++)
        conflict.events[i] = (struct stele_conflict_event){100 + i, 4 + i, type};
    stele__fail_conflict(&error, &conflict);
    stream[0] = type[0] = 'X';
    copy = stele_error_conflict(error);
    assert_string_equal("account-7", copy->stream);
    assert_int_equal(STELE_EXPECT_VERSION, copy->expect);
    assert_int_equal(3, copy->expected);
    assert_int_equal(40, copy->actual);
    assert_int_equal(16, copy->event_count);
    assert_int_equal(115, copy->events[15].position);
    assert_int_equal(19, copy->events[15].version);
    assert_string_equal("deposited", copy->events[15].type);
    stele_error_free(error);
}

static void out_of_memory_is_a_static_error(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_int_equal(STELE_NO_MEMORY, stele__fail_memory(&error));
    assert_int_equal(STELE_NO_MEMORY, stele_error_status(error));
    stele__error_add(&error, "path", "x");
    stele__error_prefix(&error, "x");
    assert_string_equal("out of memory", stele_error_message(error));
    assert_null(stele_error_get(error, "path"));
    assert_int_equal(0, support_allocations());
    stele_error_free(error);
    stele_error_free(error);
}

static void an_error_without_memory_keeps_its_status(void **state)
{
    stele_error *error = NULL;

    (void)state;
    support_fail_allocations_from(1);
    assert_int_equal(STELE_CORRUPT, stele__fail(&error, STELE_CORRUPT, "row %d", 5));
    assert_int_equal(STELE_CORRUPT, stele_error_status(error));
    assert_string_equal("stored bytes are damaged (no memory for details)", stele_error_message(error));
    stele__error_add(&error, "position", "5");
    assert_null(stele_error_get(error, "position"));
    stele_error_free(error);
}

/* All that can be on an error; true if all of it is. */
static bool make_full_error(void)
{
    const struct stele_conflict conflict = {.stream = "s", .actual = 2, .event_count = 1, .events = {{1, 2, "t"}}};
    char long_text[3000];
    stele_error *error = NULL;
    bool is_whole;

    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(STELE_CONFLICT, stele__fail_conflict(&error, &conflict));
    stele__error_add(&error, "value", "%s", long_text);
    stele__error_prefix(&error, "%s", long_text);
    assert_int_equal(STELE_CONFLICT, stele_error_status(error));
    assert_non_null(strstr(stele_error_message(error), "stream"));
    is_whole = stele_error_conflict(error) && stele_error_get(error, "value") && stele_error_get(error, "version") &&
               stele_error_message(error)[0] == 'x';
    stele_error_free(error);
    return is_whole;
}

static void an_error_survives_every_failing_allocation_of_its_context(void **state)
{
    size_t round = 0;
    bool is_whole = false;

    (void)state;
    while (!is_whole) {
        support_fail_allocation(++round);
        is_whole = make_full_error();
        assert_int_equal(is_whole, !support_allocation_failed());
    }
    assert_in_range(round, 4, 20);
}

struct options {
    size_t size;
    int first;
    int second;
};

struct newer_options {
    struct options known;
    int third;
    int fourth;
};

static void options_may_be_absent_older_or_newer_with_an_empty_tail(void **state)
{
    const size_t least = offsetof(struct options, second);
    struct options options = STELE_OPTIONS_INIT(struct options);
    struct newer_options newer = {.known = {.size = sizeof(newer)}};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__options_check(NULL, least, sizeof(options), "options", &error), error);
    assert_ok(stele__options_check(&options, least, sizeof(options), "options", &error), error);
    options.size = least;
    assert_ok(stele__options_check(&options, least, sizeof(options), "options", &error), error);
    assert_ok(stele__options_check(&newer, least, sizeof(options), "options", &error), error);
}

static void options_with_an_unknown_member_or_an_absurd_size_are_refused(void **state)
{
    const size_t least = offsetof(struct options, second);
    struct options options = {.size = least - 1};
    struct newer_options newer = {.known = {.size = sizeof(newer)}, .fourth = 0x1000000};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele__options_check(&options, least, sizeof(options), "options", &error), error);
    assert_string_equal("options", stele_error_get(error, "argument"));
    stele_error_free(error);
    options.size = SIZE_MAX;
    assert_status(STELE_INVALID, stele__options_check(&options, least, sizeof(options), "options", &error), error);
    options.size = 0;
    assert_status(STELE_INVALID, stele__options_check(&options, least, sizeof(options), "options", &error), error);
    assert_status(STELE_INVALID, stele__options_check(&newer, least, sizeof(options), "options", &error), error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(every_status_has_a_name_a_text_and_an_action),
        support_test(a_number_that_is_no_status_is_answered_with_a_question_mark),
        support_test(no_error_reads_as_success),
        support_test(failing_sets_status_and_message),
        support_test(failing_without_an_error_object_allocates_nothing),
        support_test(facts_are_found_by_name_and_the_latest_counts),
        support_test(a_prefix_stands_before_the_message),
        support_test(a_message_is_one_line),
        support_test(long_texts_are_cut_between_characters),
        support_test(an_argument_is_named),
        support_test(a_limit_error_says_field_limit_and_actual_value),
        support_test(A4_conflict_names_stream_and_versions),
        support_test(A4_conflict_is_a_deep_copy_of_at_most_16_events),
        support_test(out_of_memory_is_a_static_error),
        support_test(an_error_without_memory_keeps_its_status),
        support_test(an_error_survives_every_failing_allocation_of_its_context),
        support_test(options_may_be_absent_older_or_newer_with_an_empty_tail),
        support_test(options_with_an_unknown_member_or_an_absurd_size_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
