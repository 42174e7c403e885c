/* The rules of an append, over a view that holds a few records in an array. */
#include "tests/support/support.h"

#include <string.h>

#include <stele/spi/store.h>

struct stored {
    const struct stele_record *records;
    size_t count;
    stele_status failure; /* what each look fails with */
    size_t looks;
    const struct stele_command_record *command; /* the one that is remembered; NULL: none */
};

static bool same_text(struct stele_slice left, struct stele_slice right)
{
    return left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
}

static stele_status view_version(void *context, struct stele_slice stream, uint64_t *out, stele_error **error)
{
    struct stored *stored = context;

    (void)error;
    stored->looks++;
    *out = 0;
    for (size_t i = 0; i < stored->count; i++)
        if (same_text(stored->records[i].stream, stream))
            *out = stored->records[i].version;
    return stored->failure;
}

static stele_status view_find(void *context, const struct stele_record *wanted, struct stele_record *out, bool *found,
                              stele_error **error)
{
    struct stored *stored = context;

    (void)error;
    stored->looks++;
    *found = false;
    for (size_t i = 0; i < stored->count; i++) {
        if (same_text(stored->records[i].id, wanted->id)) {
            *out = stored->records[i];
            *found = true;
        }
    }
    return stored->failure;
}

static stele_status view_behind(void *context, struct stele_slice stream, uint64_t version,
                                struct stele_conflict *conflict, stele_error **error)
{
    struct stored *stored = context;

    (void)error;
    stored->looks++;
    for (size_t i = 0; i < stored->count; i++) {
        if (!same_text(stored->records[i].stream, stream) || stored->records[i].version <= version)
            continue;
        conflict->events[conflict->event_count].position = stored->records[i].position;
        conflict->events[conflict->event_count].version = stored->records[i].version;
        conflict->events[conflict->event_count].type = stored->records[i].type.data;
        conflict->event_count++;
    }
    return STELE_OK;
}

static stele_status view_command(void *context, const struct stele_command_record *wanted,
                                 struct stele_command_record *out, bool *found, stele_error **error)
{
    struct stored *stored = context;

    (void)error;
    stored->looks++;
    *found = stored->command && same_text(stored->command->id, wanted->id);
    if (*found)
        *out = *stored->command;
    return stored->failure;
}

static struct stele_record record(const char *id, const char *stream, const char *payload, uint64_t version,
                                  uint64_t position)
{
    return (struct stele_record){
        .position = position,
        .version = version,
        .stream = support_slice(stream),
        .type = support_slice("t"),
        .type_version = 1,
        .id = support_slice(id),
        .payload = support_slice(payload),
    };
}

/* Positions with holes, streams interleaved. */
static struct stored make_stored(struct stele_record records[4])
{
    records[0] = record("id-1", "a", "one", 1, 5);
    records[1] = record("id-2", "b", "two", 1, 6);
    records[2] = record("id-3", "a", "three", 2, 9);
    records[3] = record("id-4", "a", NULL, 3, 10);
    return (struct stored){.records = records, .count = 4};
}

static struct stele_append_view view_of(struct stored *stored)
{
    return (struct stele_append_view){view_version, view_find, view_behind, view_command, stored};
}

static struct stele_append_member member_of(const struct stele_record *records, size_t count)
{
    return (struct stele_append_member){.records = records, .record_count = count};
}

static void new_ids_are_to_be_written_and_the_result_is_untouched(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_record fresh[] = {record("x", "a", "p", 0, 0), record("y", "a", "p", 0, 0)};
    struct stele_append_member member = member_of(fresh, 2);
    bool repeated = true;

    (void)state;
    assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_OK);
    assert_false(repeated);
    assert_int_equal(member.result.last_position, 0);
    assert_null(member.error);
    assert_int_equal(stored.looks, 2); /* one for each id, none for a stream nothing is expected of */
}

static void A6_a_repetition_has_the_first_version_and_positions(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_record again[] = {record("id-1", "a", "one", 0, 0), record("id-2", "b", "two", 0, 0),
                                         record("id-3", "a", "three", 0, 0)};
    struct stele_append_member member = member_of(again, 3);
    bool repeated = false;

    (void)state;
    assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_OK);
    assert_true(repeated);
    assert_true(member.result.repeated);
    assert_int_equal(member.result.version, 2);
    assert_int_equal(member.result.first_position, 5);
    assert_int_equal(member.result.last_position, 9);
    assert_true(member.result.created); /* both events of "a" are in it, from version 1 */
}

static void A6_a_repetition_that_does_not_hold_the_first_event_did_not_create_the_stream(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_record again[] = {record("id-2", "b", "two", 0, 0), record("id-3", "a", "three", 0, 0)};
    struct stele_append_member member = member_of(again, 2);
    bool repeated = false;

    (void)state;
    assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_OK);
    assert_true(repeated);
    assert_false(member.result.created);
}

static void A6_what_differs_is_id_reuse_and_named(void **state)
{
    struct stele_record other_type = record("id-1", "a", "one", 0, 0);
    struct stele_record other_version = record("id-1", "a", "one", 0, 0);
    other_type.type = support_slice("u");
    other_version.type_version = 2;
    const struct {
        struct stele_record first;
        struct stele_record second;
        size_t count;
        const char *id;
        const char *why;
    } cases[] = {
        {record("id-1", "b", "one", 0, 0), record("", "", "", 0, 0), 1, "id-1", "another stream"},
        {other_type, record("", "", "", 0, 0), 1, "id-1", "another type"},
        {other_version, record("", "", "", 0, 0), 1, "id-1", "another type"},
        {record("id-1", "a", "ONE", 0, 0), record("", "", "", 0, 0), 1, "id-1", "another payload"},
        {record("id-1", "a", NULL, 0, 0), record("", "", "", 0, 0), 1, "id-1", "another payload"},
        {record("id-4", "a", "", 0, 0), record("", "", "", 0, 0), 1, "id-4", "another payload"},
        {record("id-3", "a", "three", 0, 0), record("id-1", "a", "one", 0, 0), 2, "id-1", "another order"},
        {record("id-1", "a", "one", 0, 0), record("new", "a", "x", 0, 0), 2, "id-1", "events that are not"},
        {record("new", "a", "x", 0, 0), record("id-1", "a", "one", 0, 0), 2, "id-1", "events that are not"},
    };
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct stele_record given[] = {cases[i].first, cases[i].second};
        struct stele_append_member member = member_of(given, cases[i].count);
        bool repeated = true;

        assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_ID_REUSE);
        assert_false(repeated);
        assert_string_equal(stele_error_get(member.error, "id"), cases[i].id);
        assert_message(member.error, cases[i].why);
        stele_error_free(member.error);
    }
}

static void A4_a_conflict_carries_what_stands_behind_the_expected_version(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_stream_expectation expectations[] = {
        {support_slice("b"), {STELE_EXPECT_EXISTS, 0}},
        {support_slice("a"), {STELE_EXPECT_VERSION, 1}},
        {support_slice("c"), {STELE_EXPECT_EXISTS, 0}},
    };
    struct stele_append_member member = {.expectations = expectations, .expectation_count = 3};
    const struct stele_conflict *conflict;

    (void)state;
    assert_int_equal(stele_append_rules_expect(&view, &member), STELE_CONFLICT);
    conflict = stele_error_conflict(member.error);
    assert_non_null(conflict);
    assert_string_equal(conflict->stream, "a"); /* the first that does not hold */
    assert_int_equal(conflict->expected, 1);
    assert_int_equal(conflict->actual, 3);
    assert_int_equal(conflict->event_count, 2);
    assert_int_equal(conflict->events[0].version, 2);
    assert_int_equal(conflict->events[0].position, 9);
    assert_int_equal(conflict->events[1].version, 3);
    stele_error_free(member.error);
}

static void A5_a_member_without_records_reports_the_first_stream(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_stream_expectation expectations[] = {
        {support_slice("a"), {STELE_EXPECT_ANY, 0}},
        {support_slice("b"), {STELE_EXPECT_VERSION, 1}},
    };
    struct stele_append_member member = {.expectations = expectations, .expectation_count = 2};
    struct stele_append_member nothing = {.record_count = 0};
    bool repeated = true;

    (void)state;
    assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_OK);
    assert_false(repeated);
    assert_int_equal(member.result.version, 3);
    assert_int_equal(stele_append_rules(&view, &nothing, &repeated), STELE_OK);
    assert_int_equal(nothing.result.version, 0);
}

static void what_the_view_fails_with_is_passed_on(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_stream_expectation expectation = {support_slice("a"), {STELE_EXPECT_EXISTS, 0}};
    const struct stele_record fresh = record("x", "a", "p", 0, 0);
    struct stele_append_member member = member_of(&fresh, 1);
    bool repeated;

    (void)state;
    stored.failure = STELE_IO;
    assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_IO);
    member.record_count = 0;
    member.expectations = &expectation;
    member.expectation_count = 1;
    assert_int_equal(stele_append_rules(&view, &member, &repeated), STELE_IO);
}

/* A command "c-1" whose digest is all one byte. */
static struct stele_command_record command_of(unsigned char digest)
{
    struct stele_command_record command = {.id = support_slice("c-1")};

    memset(command.digest, digest, sizeof(command.digest));
    return command;
}

static void B7_a_remembered_command_is_answered_before_anything_else_is_looked_at(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_record fresh = record("x", "a", "p", 0, 0);
    const struct stele_stream_expectation unmet = {support_slice("a"), {STELE_EXPECT_VERSION, 9}};
    const struct stele_command_record given = command_of(7);
    struct stele_command_record first = command_of(7);
    struct stele_append_member member = member_of(&fresh, 1);
    bool settled = false;

    (void)state;
    first.outcome = (struct stele_appended){.version = 3, .first_position = 8, .last_position = 9, .created = true};
    stored.command = &first;
    member.command = &given;
    member.expectations = &unmet;
    member.expectation_count = 1;
    assert_int_equal(stele_append_rules(&view, &member, &settled), STELE_OK);
    assert_true(settled);
    assert_true(member.result.replayed);
    assert_true(member.result.created);
    assert_int_equal(member.result.version, 3);
    assert_int_equal(member.result.first_position, 8);
    assert_int_equal(member.result.last_position, 9);
    assert_int_equal(stored.looks, 1);
}

static void B7_a_refused_command_is_refused_again_with_the_first_text(void **state)
{
    struct stored stored = {.count = 0};
    const struct stele_append_view view = view_of(&stored);
    const struct stele_command_record given = command_of(7);
    struct stele_command_record first = command_of(7);
    struct stele_append_member member = {.command = &given};
    bool settled = false;

    (void)state;
    first.rejection = support_slice("no money: 100% gone");
    stored.command = &first;
    assert_int_equal(stele_append_rules(&view, &member, &settled), STELE_REJECTED);
    assert_string_equal(stele_error_message(member.error), "no money: 100% gone");
    assert_string_equal(stele_error_get(member.error, "id"), "c-1");
    stele_error_free(member.error);
}

static void B7_another_command_under_the_id_is_id_reuse_also_if_the_first_was_refused(void **state)
{
    struct stored stored = {.count = 0};
    const struct stele_append_view view = view_of(&stored);
    const struct stele_command_record given = command_of(8);
    struct stele_command_record first = command_of(7);
    struct stele_append_member member = {.command = &given};
    bool settled = false;

    (void)state;
    stored.command = &first;
    assert_int_equal(stele_append_rules(&view, &member, &settled), STELE_ID_REUSE);
    assert_string_equal(stele_error_get(member.error, "id"), "c-1");
    stele_error_free(member.error);
    member.error = NULL;
    first.rejection = support_slice("no");
    assert_int_equal(stele_append_rules_command(&view, &member, &settled), STELE_ID_REUSE);
    stele_error_free(member.error);
}

static void B7_a_command_that_is_not_remembered_leaves_the_verdict_to_the_other_rules(void **state)
{
    struct stele_record records[4];
    struct stored stored = make_stored(records);
    const struct stele_append_view view = view_of(&stored);
    const struct stele_record again = record("id-1", "a", "one", 0, 0);
    const struct stele_command_record given = command_of(7);
    struct stele_append_member member = member_of(&again, 1);
    bool settled = false;

    (void)state;
    member.command = &given;
    assert_int_equal(stele_append_rules(&view, &member, &settled), STELE_OK);
    assert_true(settled);
    assert_true(member.result.repeated);
    assert_false(member.result.replayed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(new_ids_are_to_be_written_and_the_result_is_untouched),
        support_test(A6_a_repetition_has_the_first_version_and_positions),
        support_test(A6_a_repetition_that_does_not_hold_the_first_event_did_not_create_the_stream),
        support_test(A6_what_differs_is_id_reuse_and_named),
        support_test(A4_a_conflict_carries_what_stands_behind_the_expected_version),
        support_test(A5_a_member_without_records_reports_the_first_stream),
        support_test(what_the_view_fails_with_is_passed_on),
        support_test(B7_a_remembered_command_is_answered_before_anything_else_is_looked_at),
        support_test(B7_a_refused_command_is_refused_again_with_the_first_text),
        support_test(B7_another_command_under_the_id_is_id_reuse_also_if_the_first_was_refused),
        support_test(B7_a_command_that_is_not_remembered_leaves_the_verdict_to_the_other_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
