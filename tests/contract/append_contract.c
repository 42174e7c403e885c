/* Appending: expectations, atomic batches, results, conflicts (A1 to A5, D8). */
#include "tests/contract/contract.h"

#include <stdio.h>
#include <string.h>

#include <stele/spi/store.h>

#include "store/record.h"
#include "store/store.h"

/* --- A1: expectations ------------------------------------------------------------ */

static void A1_expectations_hold_or_conflict_as_the_truth_table_says(void **state)
{
    const struct {
        struct stele_expected expected;
        bool holds_when_missing;
        bool holds_at_3;
    } table[] = {
        {stele_expect_any(), true, true},        {stele_expect_no_stream(), true, false},
        {stele_expect_exists(), false, true},    {stele_expect_version(0), true, false},
        {stele_expect_version(2), false, false}, {stele_expect_version(3), false, true},
        {stele_expect_version(4), false, false}, {stele_expect_version(STELE_VERSION_MAX), false, false},
    };
    stele_store *store = contract_open();
    stele_error *error = NULL;
    char stream[32];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        snprintf(stream, sizeof(stream), "missing-%zu", i);
        assert_status(table[i].holds_when_missing ? STELE_OK : STELE_CONFLICT,
                      contract_try(store, stream, table[i].expected, 1, &error), error);
        assert_int_equal(contract_version(store, stream), table[i].holds_when_missing ? 1 : 0);
        snprintf(stream, sizeof(stream), "at-3-%zu", i);
        for (int64_t number = 1; number <= 3; number++)
            contract_append(store, stream, number);
        assert_status(table[i].holds_at_3 ? STELE_OK : STELE_CONFLICT,
                      contract_try(store, stream, table[i].expected, 4, &error), error);
        assert_int_equal(contract_version(store, stream), table[i].holds_at_3 ? 4 : 3);
    }
    stele_store_close(store);
}

static void A1_a_future_exact_version_is_a_conflict(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;
    const struct stele_conflict *conflict;

    (void)state;
    contract_append(store, "a", 1);
    assert_failure(STELE_CONFLICT, contract_try(store, "a", stele_expect_version(7), 2, &error), error);
    conflict = stele_error_conflict(error);
    assert_non_null(conflict);
    assert_int_equal(conflict->expected, 7);
    assert_int_equal(conflict->actual, 1);
    assert_int_equal(conflict->event_count, 0);
    stele_error_free(error);
    stele_store_close(store);
}

static void A1_malformed_expectations_are_invalid(void **state)
{
    const struct stele_expected malformed[] = {
        {STELE_EXPECT_VERSION, (uint64_t)STELE_VERSION_MAX + 1},
        {STELE_EXPECT_VERSION, UINT64_MAX}, /* what -1 becomes */
        {(enum stele_expect)(STELE_EXPECT_VERSION + 1), 0},
        {(enum stele_expect)77, 0},
    };
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_failure(STELE_INVALID, contract_try(store, "a", malformed[i], 1, &error), error);
        assert_string_equal(stele_error_get(error, "argument"), "expected");
        assert_string_equal(stele_error_get(error, "stream"), "a");
        stele_error_free(error);
        error = NULL;
    }
    assert_int_equal(contract_count(store, NULL), 0);
    stele_store_close(store);
}

static void A1_two_expectations_on_one_stream_are_invalid(void **state)
{
    enum { MANY = 40 };
    struct stele_expectation expectations[MANY];
    char names[MANY][8];
    struct stele_batch batch = {.expectations = expectations, .expectation_count = 2};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "s%zu", i);
        expectations[i] = (struct stele_expectation){names[i], stele_expect_any()};
    }
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    batch.expectation_count = MANY;
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    snprintf(names[MANY - 1], sizeof(names[0]), "s3");
    assert_status(STELE_INVALID, stele_append_batch(store, &batch, NULL, &error), error);
    snprintf(names[1], sizeof(names[0]), "s0");
    batch.expectation_count = 2;
    assert_failure(STELE_INVALID, stele_append_batch(store, &batch, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "stream"), "s0");
    stele_error_free(error);
    stele_store_close(store);
}

static void ORX16_of_two_writers_with_one_expectation_exactly_one_wins(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (int64_t number = 1; number <= 3; number++)
        contract_append(store, "account", number);
    for (uint64_t version = 0; version <= 2; version++)
        assert_status(STELE_CONFLICT, contract_try(store, "account", stele_expect_version(version), 4, &error), error);
    assert_ok(contract_try(store, "account", stele_expect_version(3), 4, &error), error);
    assert_failure(STELE_CONFLICT, contract_try(store, "account", stele_expect_version(3), 5, &error), error);
    assert_int_equal(stele_error_conflict(error)->actual, 4);
    assert_int_equal(stele_error_action(error), STELE_ACTION_RELOAD);
    stele_error_free(error);
    assert_numbers(store, QUERY(.stream = "account"), 1, 2, 3, 4);
    stele_store_close(store);
}

/* --- A2, A3: batches ---------------------------------------------------------------- */

enum { BATCH = 5 };

struct batch_of_five {
    stele_message *events[BATCH];
    struct stele_write writes[BATCH];
};

/* Events first, first + 1, ... for the streams given. */
static void make_batch(struct batch_of_five *batch, const char *const streams[BATCH], int64_t first)
{
    for (size_t i = 0; i < BATCH; i++) {
        batch->events[i] = contract_event("thing.happened", first + (int64_t)i, NULL);
        batch->writes[i] = (struct stele_write){streams[i], batch->events[i]};
    }
}

static void free_batch(struct batch_of_five *batch)
{
    for (size_t i = 0; i < BATCH; i++)
        stele_message_unref(batch->events[i]);
}

static void A2_a_batch_over_several_streams_is_contiguous_and_in_order(void **state)
{
    static const char *const streams[BATCH] = {"a", "b", "a", "c", "b"};
    static const char *const seen_streams[] = {"a", "a", "b", "a", "c", "b"};
    static const uint64_t versions[] = {1, 2, 1, 3, 1, 2};
    struct batch_of_five five;
    struct stele_appended result = {0};
    struct contract_seen seen[8];
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 0);
    make_batch(&five, streams, 1);
    assert_ok(
        stele_append_batch(store, &(struct stele_batch){.writes = five.writes, .write_count = BATCH}, &result, &error),
        error);
    store = contract_reopen(store);
    assert_int_equal(contract_read(store, NULL, seen, 8, NULL), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(seen[i].number, i);
        assert_string_equal(seen[i].stream, seen_streams[i]);
        assert_int_equal(seen[i].version, versions[i]);
    }
    assert_int_equal(result.first_position, seen[1].position);
    assert_int_equal(result.last_position, seen[5].position);
    assert_int_equal(seen[5].position - seen[1].position, 4);
    assert_int_equal(result.version, 2);
    assert_true(result.created);
    free_batch(&five);
    stele_store_close(store);
}

static void A2_one_unmet_expectation_of_many_writes_nothing(void **state)
{
    static const char *const streams[BATCH] = {"a", "b", "a", "c", "b"};
    const struct stele_expectation expectations[] = {
        {"a", stele_expect_version(1)},
        {"b", stele_expect_no_stream()},
        {"c", stele_expect_exists()},
    };
    struct batch_of_five five;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 100);
    make_batch(&five, streams, 1);
    assert_failure(STELE_CONFLICT,
                   stele_append_batch(store,
                                      &(struct stele_batch){.writes = five.writes,
                                                            .write_count = BATCH,
                                                            .expectations = expectations,
                                                            .expectation_count = 3},
                                      NULL, &error),
                   error);
    assert_string_equal(stele_error_conflict(error)->stream, "c");
    stele_error_free(error);
    error = NULL;
    assert_numbers(store, NULL, 100);
    assert_ok(stele_append_batch(store,
                                 &(struct stele_batch){.writes = five.writes,
                                                       .write_count = BATCH,
                                                       .expectations = expectations,
                                                       .expectation_count = 2},
                                 NULL, &error),
              error);
    assert_numbers(store, NULL, 100, 1, 2, 3, 4, 5);
    free_batch(&five);
    stele_store_close(store);
}

static void A2_expectations_on_streams_that_are_not_written_are_enforced(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("thing.happened", 2, NULL);
    const struct stele_write write = {"a", event};
    const struct stele_expectation unmet = {"guard", stele_expect_version(2)};
    const struct stele_expectation met = {"guard", stele_expect_version(1)};
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "guard", 1);
    assert_failure(
        STELE_CONFLICT,
        stele_append_batch(
            store,
            &(struct stele_batch){.writes = &write, .write_count = 1, .expectations = &unmet, .expectation_count = 1},
            NULL, &error),
        error);
    assert_string_equal(stele_error_conflict(error)->stream, "guard");
    stele_error_free(error);
    error = NULL;
    assert_no_events(store, QUERY(.stream = "a"));
    assert_ok(stele_append_batch(store,
                                 &(struct stele_batch){
                                     .writes = &write, .write_count = 1, .expectations = &met, .expectation_count = 1},
                                 NULL, &error),
              error);
    assert_numbers(store, QUERY(.stream = "a"), 2);
    assert_int_equal(contract_version(store, "guard"), 1);
    stele_message_unref(event);
    stele_store_close(store);
}

static void ORX15_a_batch_is_atomic_keeps_its_order_and_may_be_empty(void **state)
{
    static const char *const streams[BATCH] = {"order", "order", "order", "order", "order"};
    const struct stele_expectation expectation = {"order", stele_expect_no_stream()};
    struct batch_of_five five;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    make_batch(&five, streams, 1);
    assert_ok(stele_append_batch(store,
                                 &(struct stele_batch){.writes = five.writes,
                                                       .write_count = BATCH,
                                                       .expectations = &expectation,
                                                       .expectation_count = 1},
                                 NULL, &error),
              error);
    assert_ok(stele_append_batch(store, &(struct stele_batch){.writes = NULL}, NULL, &error), error);
    free_batch(&five);
    make_batch(&five, streams, 6);
    five.writes[4].stream = ""; /* the last one cannot be written: nor are the four before it */
    assert_failure(
        STELE_INVALID,
        stele_append_batch(store, &(struct stele_batch){.writes = five.writes, .write_count = BATCH}, NULL, &error),
        error);
    assert_message(error, "event 5");
    stele_error_free(error);
    assert_numbers(store, QUERY(.stream = "order"), 1, 2, 3, 4, 5);
    free_batch(&five);
    stele_store_close(store);
}

static void A3_the_result_tells_version_positions_and_creation(void **state)
{
    stele_store *store = contract_open();
    struct stele_appended first = contract_append(store, "a", 1);
    struct stele_appended other = contract_append(store, "b", 2);
    struct stele_appended second = contract_append(store, "a", 3);

    (void)state;
    assert_int_equal(first.version, 1);
    assert_true(first.created);
    assert_true(first.first_position > 0);
    assert_int_equal(first.first_position, first.last_position);
    assert_true(other.first_position > first.last_position);
    assert_true(other.created);
    assert_int_equal(second.version, 2);
    assert_false(second.created);
    assert_true(second.first_position > other.last_position);
    assert_false(first.repeated || other.repeated || second.repeated);
    stele_store_close(store);
}

/* --- A4: conflicts -------------------------------------------------------------------- */

static void A4_conflict_names_stream_and_versions(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;
    const struct stele_conflict *conflict;

    (void)state;
    contract_append_type(store, "account-7", "t.one", 1);
    contract_append_type(store, "other", "t.two", 2);
    contract_append_type(store, "account-7", "t.three", 3);
    const struct stele_appended last = contract_append_type(store, "account-7", "t.four", 4);
    assert_failure(STELE_CONFLICT, contract_try(store, "account-7", stele_expect_version(1), 5, &error), error);
    conflict = stele_error_conflict(error);
    assert_non_null(conflict);
    assert_string_equal(conflict->stream, "account-7");
    assert_int_equal(conflict->expect, STELE_EXPECT_VERSION);
    assert_int_equal(conflict->expected, 1);
    assert_int_equal(conflict->actual, 3);
    assert_int_equal(conflict->event_count, 2);
    assert_int_equal(conflict->events[0].version, 2);
    assert_string_equal(conflict->events[0].type, "t.three");
    assert_int_equal(conflict->events[1].version, 3);
    assert_int_equal(conflict->events[1].position, last.last_position);
    assert_string_equal(conflict->events[1].type, "t.four");
    assert_message(error, "account-7");
    stele_error_free(error);
    stele_store_close(store);
}

static void A4_at_most_16_conflicting_events_are_told_oldest_first(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;
    const struct stele_conflict *conflict;

    (void)state;
    for (int64_t number = 1; number <= 20; number++)
        contract_append(store, "a", number);
    assert_failure(STELE_CONFLICT, contract_try(store, "a", stele_expect_version(4), 21, &error), error);
    assert_int_equal(stele_error_conflict(error)->event_count, 16); /* versions 5 to 20 */
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_CONFLICT, contract_try(store, "a", stele_expect_no_stream(), 21, &error), error);
    conflict = stele_error_conflict(error);
    assert_int_equal(conflict->expect, STELE_EXPECT_NO_STREAM);
    assert_int_equal(conflict->actual, 20);
    assert_int_equal(conflict->event_count, 16);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(conflict->events[i].version, i + 1);
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_CONFLICT, contract_try(store, "missing", stele_expect_exists(), 21, &error), error);
    conflict = stele_error_conflict(error);
    assert_int_equal(conflict->expect, STELE_EXPECT_EXISTS);
    assert_int_equal(conflict->actual, 0);
    assert_int_equal(conflict->event_count, 0);
    stele_error_free(error);
    stele_store_close(store);
}

/* --- A5: nothing to append --------------------------------------------------------------- */

static void A5_appending_nothing_keeps_to_the_expectations(void **state)
{
    const struct stele_expectation met[] = {{"a", stele_expect_version(2)}, {"b", stele_expect_no_stream()}};
    const struct stele_expectation unmet = {"b", stele_expect_exists()};
    const struct stele_expectation whatever = {"a", stele_expect_any()};
    struct stele_appended result;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    contract_append(store, "a", 2);
    assert_ok(
        stele_append_batch(store, &(struct stele_batch){.expectations = met, .expectation_count = 2}, &result, &error),
        error);
    assert_int_equal(result.version, 2);
    assert_int_equal(result.first_position, 0);
    assert_int_equal(result.last_position, 0);
    assert_false(result.created || result.repeated);
    assert_ok(stele_append_batch(store, &(struct stele_batch){.expectations = &whatever, .expectation_count = 1},
                                 &result, &error),
              error);
    assert_int_equal(result.version, 2);
    assert_status(
        STELE_CONFLICT,
        stele_append_batch(store, &(struct stele_batch){.expectations = &unmet, .expectation_count = 1}, NULL, &error),
        error);
    store = contract_reopen(store);
    assert_numbers(store, NULL, 1, 2);
    assert_int_equal(contract_version(store, "b"), 0);
    stele_store_close(store);
}

/* --- D8: groups ---------------------------------------------------------------------------- */

struct group_member {
    stele_message *event;
    struct stele_record record;
    struct stele_stream_expectation expectation;
};

static void make_member(struct group_member *member, const char *stream, struct stele_expected expected, int64_t number,
                        struct stele_append_member *out)
{
    member->event = contract_event("thing.happened", number, NULL);
    stele__record_from_message(member->event, support_slice(stream), &member->record);
    member->expectation = (struct stele_stream_expectation){support_slice(stream), expected};
    *out = (struct stele_append_member){
        .records = &member->record, .record_count = 1, .expectations = &member->expectation, .expectation_count = 1};
}

static void D8_a_failed_member_of_a_group_disturbs_nobody(void **state)
{
    static const char *const streams[BATCH] = {"a", "a", "b", "a", "b"};
    const struct stele_expected expected[BATCH] = {
        stele_expect_version(1), /* holds: event 1 is there */
        stele_expect_version(1), /* the first member has just written version 2 */
        stele_expect_no_stream(), stele_expect_version(2), stele_expect_no_stream(), /* the third has just created it */
    };
    struct group_member members[BATCH];
    struct stele_append_member group[BATCH];
    stele_store *store = contract_open();

    (void)state;
    contract_append(store, "a", 1);
    for (size_t i = 0; i < BATCH; i++)
        make_member(&members[i], streams[i], expected[i], 10 + (int64_t)i, &group[i]);
    store->ops->append(store->backend, group, BATCH);
    assert_int_equal(group[0].status, STELE_OK);
    assert_int_equal(group[0].result.version, 2);
    assert_int_equal(group[1].status, STELE_CONFLICT);
    assert_int_equal(stele_error_conflict(group[1].error)->actual, 2);
    assert_int_equal(group[2].status, STELE_OK);
    assert_true(group[2].result.created);
    assert_int_equal(group[3].status, STELE_OK);
    assert_int_equal(group[3].result.version, 3);
    assert_int_equal(group[4].status, STELE_CONFLICT);
    for (size_t i = 0; i < BATCH; i++) {
        stele_error_free(group[i].error);
        stele_message_unref(members[i].event);
    }
    store = contract_reopen(store);
    assert_numbers(store, NULL, 1, 10, 12, 13);
    stele_store_close(store);
}

static void D8_a_repetition_and_an_id_reuse_in_a_group_disturb_nobody(void **state)
{
    struct group_member members[4];
    struct stele_append_member group[4];
    stele_store *store = contract_open();

    (void)state;
    make_member(&members[0], "a", stele_expect_any(), 1, &group[0]);
    make_member(&members[1], "a", stele_expect_no_stream(), 1, &group[1]); /* to become the first again */
    make_member(&members[2], "a", stele_expect_any(), 2, &group[2]);       /* its id, another payload */
    make_member(&members[3], "a", stele_expect_version(1), 3, &group[3]);
    members[1].record.uuid = members[0].record.uuid;
    members[2].record.uuid = members[0].record.uuid;
    store->ops->append(store->backend, group, 4);
    assert_int_equal(group[0].status, STELE_OK);
    assert_int_equal(group[1].status, STELE_OK);
    assert_true(group[1].result.repeated);
    assert_true(group[1].result.created);
    assert_int_equal(group[1].result.last_position, group[0].result.last_position);
    assert_int_equal(group[2].status, STELE_ID_REUSE);
    assert_int_equal(group[3].status, STELE_OK);
    for (size_t i = 0; i < 4; i++) {
        stele_error_free(group[i].error);
        stele_message_unref(members[i].event);
    }
    store = contract_reopen(store);
    assert_numbers(store, NULL, 1, 3);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(A1_expectations_hold_or_conflict_as_the_truth_table_says),
    support_test(A1_a_future_exact_version_is_a_conflict),
    support_test(A1_malformed_expectations_are_invalid),
    support_test(A1_two_expectations_on_one_stream_are_invalid),
    support_test(ORX16_of_two_writers_with_one_expectation_exactly_one_wins),
    support_test(A2_a_batch_over_several_streams_is_contiguous_and_in_order),
    support_test(A2_one_unmet_expectation_of_many_writes_nothing),
    support_test(A2_expectations_on_streams_that_are_not_written_are_enforced),
    support_test(ORX15_a_batch_is_atomic_keeps_its_order_and_may_be_empty),
    support_test(A3_the_result_tells_version_positions_and_creation),
    support_test(A4_conflict_names_stream_and_versions),
    support_test(A4_at_most_16_conflicting_events_are_told_oldest_first),
    support_test(A5_appending_nothing_keeps_to_the_expectations),
    support_test(D8_a_failed_member_of_a_group_disturbs_nobody),
    support_test(D8_a_repetition_and_an_id_reuse_in_a_group_disturb_nobody),
};
CONTRACT_GROUP(contract_append_group, tests);
