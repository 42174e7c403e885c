/* Repeating an append by its event ids (A6). */
#include "tests/contract/contract.h"

#include <stdio.h>
#include <string.h>

#include <stele/uuid.h>

static const char *const ids[] = {
    "0192f0c4-0000-7000-8000-000000000001",
    "0192f0c4-0000-7000-8000-000000000002",
    "0192f0c4-0000-7000-8000-000000000003",
};

static stele_message *event_with_id(const char *id, const char *type, int64_t number)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.id = id;
    return contract_event(type, number, &options);
}

/* The first `count` of three events with fixed ids, to stream "a" or the one given. */
static stele_status append_ids(stele_store *store, const char *stream, size_t count, struct stele_appended *result,
                               stele_error **error)
{
    stele_message *events[3];
    struct stele_write writes[3];
    stele_status status;

    for (size_t i = 0; i < count; i++) {
        events[i] = event_with_id(ids[i], "thing.happened", (int64_t)i + 1);
        writes[i] = (struct stele_write){stream, events[i]};
    }
    status = stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count}, result, error);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(events[i]);
    return status;
}

static stele_status append_one(stele_store *store, const char *stream, const char *id, const char *type, int64_t number,
                               struct stele_appended *result, stele_error **error)
{
    stele_message *event = event_with_id(id, type, number);
    const stele_status status = stele_append(store, stream, stele_expect_any(), event, result, error);

    stele_message_unref(event);
    return status;
}

static void A6_repeating_a_batch_gives_the_first_result_again(void **state)
{
    struct stele_appended first = {0}, again = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_ids(store, "a", 3, &first, &error), error);
    contract_append(store, "a", 4);
    store = contract_reopen(store);
    assert_ok(append_ids(store, "a", 3, &again, &error), error);
    assert_true(again.repeated);
    assert_int_equal(again.version, 3);
    assert_int_equal(again.version, first.version);
    assert_int_equal(again.first_position, first.first_position);
    assert_int_equal(again.last_position, first.last_position);
    assert_true(first.created && again.created);
    assert_false(first.repeated);
    assert_numbers(store, NULL, 1, 2, 3, 4);
    stele_store_close(store);
}

static void A6_repeating_a_later_append_did_not_create_its_stream(void **state)
{
    struct stele_appended again = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 0);
    assert_ok(append_ids(store, "a", 3, NULL, &error), error);
    assert_ok(append_ids(store, "a", 3, &again, &error), error);
    assert_true(again.repeated);
    assert_false(again.created);
    assert_int_equal(again.version, 4);
    stele_store_close(store);
}

static void A6_a_repetition_is_ok_whatever_was_expected(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = event_with_id(ids[0], "thing.happened", 1);
    struct stele_appended again;
    stele_error *error = NULL;
    const struct stele_expected expected[] = {stele_expect_no_stream(), stele_expect_version(0), stele_expect_exists(),
                                              stele_expect_version(9)};

    (void)state;
    assert_ok(stele_append(store, "a", stele_expect_no_stream(), event, NULL, &error), error);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        memset(&again, 0, sizeof(again));
        assert_ok(stele_append(store, "a", expected[i], event, &again, &error), error);
        assert_true(again.repeated);
        assert_int_equal(again.version, 1);
    }
    assert_int_equal(contract_count(store, NULL), 1);
    stele_message_unref(event);
    stele_store_close(store);
}

static void A6_a_batch_stored_in_part_is_id_reuse_and_writes_nothing(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_ids(store, "a", 2, NULL, &error), error);
    assert_failure(STELE_ID_REUSE, append_ids(store, "a", 3, NULL, &error), error);
    assert_non_null(stele_error_get(error, "id"));
    assert_int_equal(stele_error_action(error), STELE_ACTION_NEVER);
    stele_error_free(error);
    assert_numbers(store, NULL, 1, 2);
    stele_store_close(store);
}

static void A6_a_batch_whose_last_id_alone_is_stored_is_id_reuse(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_one(store, "a", ids[2], "thing.happened", 3, NULL, &error), error);
    assert_failure(STELE_ID_REUSE, append_ids(store, "a", 3, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "id"), ids[2]);
    stele_error_free(error);
    assert_numbers(store, NULL, 3);
    stele_store_close(store);
}

static void A6_another_order_is_id_reuse(void **state)
{
    stele_store *store = contract_open();
    stele_message *events[2] = {event_with_id(ids[1], "thing.happened", 2), event_with_id(ids[0], "thing.happened", 1)};
    const struct stele_write writes[2] = {{"a", events[0]}, {"a", events[1]}};
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_ids(store, "a", 2, NULL, &error), error);
    assert_status(STELE_ID_REUSE,
                  stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = 2}, NULL, &error),
                  error);
    assert_numbers(store, NULL, 1, 2);
    stele_message_unref(events[0]);
    stele_message_unref(events[1]);
    stele_store_close(store);
}

static void A6_another_stream_type_or_payload_is_id_reuse(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_one(store, "a", ids[0], "thing.happened", 1, NULL, &error), error);
    assert_failure(STELE_ID_REUSE, append_one(store, "b", ids[0], "thing.happened", 1, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "id"), ids[0]);
    assert_message(error, "stream");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_ID_REUSE, append_one(store, "a", ids[0], "thing.else", 1, NULL, &error), error);
    assert_message(error, "type");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_ID_REUSE, append_one(store, "a", ids[0], "thing.happened", 2, NULL, &error), error);
    assert_message(error, "payload");
    stele_error_free(error);
    assert_numbers(store, NULL, 1);
    stele_store_close(store);
}

static void A6_id_reuse_comes_before_a_conflict(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = event_with_id(ids[0], "thing.happened", 2);
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_one(store, "a", ids[0], "thing.happened", 1, NULL, &error), error);
    assert_status(STELE_ID_REUSE, stele_append(store, "a", stele_expect_version(1), event, NULL, &error), error);
    stele_message_unref(event);
    stele_store_close(store);
}

static void A6_a_type_of_another_version_is_id_reuse(void **state)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "thing.happened", .type_version = 2, .format = STELE_PAYLOAD_NONE};
    struct stele_raw_message first = raw;
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *events[2] = {NULL, NULL};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    first.type_version = 1;
    options.id = ids[0];
    assert_ok(stele_message_new_raw(&first, &options, &events[0], &error), error);
    assert_ok(stele_message_new_raw(&raw, &options, &events[1], &error), error);
    assert_ok(stele_append(store, "a", stele_expect_any(), events[0], NULL, &error), error);
    assert_ok(stele_append(store, "a", stele_expect_any(), events[0], NULL, &error), error);
    assert_status(STELE_ID_REUSE, stele_append(store, "a", stele_expect_any(), events[1], NULL, &error), error);
    stele_message_unref(events[0]);
    stele_message_unref(events[1]);
    stele_store_close(store);
}

static void A6_no_payload_and_an_empty_one_are_not_the_same(void **state)
{
    struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "t", .format = STELE_PAYLOAD_BYTES, .payload = {"", 0}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *events[2] = {NULL, NULL};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    options.id = ids[0];
    assert_ok(stele_message_new_raw(&raw, &options, &events[0], &error), error);
    raw = (struct stele_raw_message){.kind = STELE_EVENT, .type = "t", .format = STELE_PAYLOAD_NONE};
    assert_ok(stele_message_new_raw(&raw, &options, &events[1], &error), error);
    assert_ok(stele_append(store, "a", stele_expect_any(), events[0], NULL, &error), error);
    assert_status(STELE_ID_REUSE, stele_append(store, "a", stele_expect_any(), events[1], NULL, &error), error);
    stele_message_unref(events[0]);
    stele_message_unref(events[1]);
    stele_store_close(store);
}

static void A6_the_same_id_twice_in_one_batch_is_invalid(void **state)
{
    enum { MANY = 40 };
    stele_message *events[MANY];
    struct stele_write writes[MANY];
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        events[i] = i % 39 ? contract_event("t", (int64_t)i, NULL) : event_with_id(ids[0], "t", (int64_t)i);
        writes[i] = (struct stele_write){"a", events[i]};
    }
    assert_failure(
        STELE_INVALID,
        stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = MANY}, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "id"), ids[0]);
    stele_error_free(error);
    error = NULL;
    writes[1] = writes[0];
    writes[1].stream = "b";
    assert_status(STELE_INVALID,
                  stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = 2}, NULL, &error),
                  error);
    assert_int_equal(contract_count(store, NULL), 0);
    assert_ok(
        stele_append_batch(store, &(struct stele_batch){.writes = writes + 1, .write_count = MANY - 2}, NULL, &error),
        error);
    for (size_t i = 0; i < MANY; i++)
        stele_message_unref(events[i]);
    stele_store_close(store);
}

static void A6_ids_that_are_texts_count_like_uuids(void **state)
{
    /* The second is the bytes of a UUID whose text is "41424344-4546-4748-494a-4b4c4d4e4f50". */
    static const char *const texts[] = {"order 1/7", "ABCDEFGHIJKLMNOP", "\xc3\xa9v\xc3\xa9nement",
                                        "41424344-4546-4748-494a-4b4c4d4e4f50"};
    stele_store *store = contract_open();
    stele_message *found = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_ok(append_one(store, "a", texts[i], "t", (int64_t)i, NULL, &error), error);
    store = contract_reopen(store);
    for (size_t i = 0; i < 4; i++) {
        struct stele_appended again = {0};

        assert_ok(append_one(store, "a", texts[i], "t", (int64_t)i, &again, &error), error);
        assert_true(again.repeated);
        assert_int_equal(again.version, i + 1);
        assert_status(STELE_ID_REUSE, append_one(store, "a", texts[i], "t", 9, NULL, &error), error);
        assert_ok(stele_find(store, texts[i], &found, &error), error);
        assert_int_equal(contract_number(found), i);
        assert_int_equal(stele_message_id(found).size, strlen(texts[i]));
        assert_memory_equal(stele_message_id(found).data, texts[i], strlen(texts[i]));
        stele_message_unref(found);
    }
    stele_store_close(store);
}

static void A6_a_large_batch_may_have_texts_for_ids(void **state)
{
    enum { MANY = 40 };
    stele_message *events[MANY];
    struct stele_write writes[MANY];
    const struct stele_batch batch = {.writes = writes, .write_count = MANY};
    struct stele_appended again = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        char id[16];

        snprintf(id, sizeof(id), "order %zu", i);
        events[i] = i % 2 ? contract_event("t", (int64_t)i, NULL) : event_with_id(id, "t", (int64_t)i);
        writes[i] = (struct stele_write){"a", events[i]};
    }
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_ok(stele_append_batch(store, &batch, &again, &error), error);
    assert_true(again.repeated);
    assert_int_equal(contract_count(store, NULL), MANY);
    for (size_t i = 0; i < MANY; i++)
        stele_message_unref(events[i]);
    stele_store_close(store);
}

static void A6_two_streams_in_one_batch_repeat_as_one(void **state)
{
    stele_store *store = contract_open();
    stele_message *events[2] = {event_with_id(ids[0], "t", 1), event_with_id(ids[1], "t", 2)};
    const struct stele_write writes[2] = {{"a", events[0]}, {"b", events[1]}};
    const struct stele_write swapped[2] = {{"b", events[0]}, {"a", events[1]}};
    struct stele_appended first = {0}, again = {0};
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "b", 0);
    assert_ok(stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = 2}, &first, &error),
              error);
    assert_ok(stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = 2}, &again, &error),
              error);
    assert_true(again.repeated);
    assert_int_equal(again.version, 2);
    assert_int_equal(again.first_position, first.first_position);
    assert_int_equal(again.last_position, first.last_position);
    assert_false(again.created);
    assert_status(STELE_ID_REUSE,
                  stele_append_batch(store, &(struct stele_batch){.writes = swapped, .write_count = 2}, NULL, &error),
                  error);
    stele_message_unref(events[0]);
    stele_message_unref(events[1]);
    stele_store_close(store);
}

static void A6_a_rejected_append_leaves_its_ids_free(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = event_with_id(ids[0], "t", 1);
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_CONFLICT, stele_append(store, "a", stele_expect_exists(), event, NULL, &error), error);
    assert_ok(stele_append(store, "b", stele_expect_no_stream(), event, &result, &error), error);
    assert_false(result.repeated);
    stele_message_unref(event);
    stele_store_close(store);
}

static void ORX19_an_id_is_stored_once_in_the_whole_store(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_ok(append_one(store, "a", ids[0], "t", 1, NULL, &error), error);
    assert_status(STELE_ID_REUSE, append_one(store, "b", ids[0], "t", 1, NULL, &error), error);
    assert_int_equal(contract_count(store, NULL), 1);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(A6_repeating_a_batch_gives_the_first_result_again),
    support_test(A6_repeating_a_later_append_did_not_create_its_stream),
    support_test(A6_a_repetition_is_ok_whatever_was_expected),
    support_test(A6_a_batch_stored_in_part_is_id_reuse_and_writes_nothing),
    support_test(A6_a_batch_whose_last_id_alone_is_stored_is_id_reuse),
    support_test(A6_another_order_is_id_reuse),
    support_test(A6_another_stream_type_or_payload_is_id_reuse),
    support_test(A6_id_reuse_comes_before_a_conflict),
    support_test(A6_a_type_of_another_version_is_id_reuse),
    support_test(A6_no_payload_and_an_empty_one_are_not_the_same),
    support_test(A6_the_same_id_twice_in_one_batch_is_invalid),
    support_test(A6_ids_that_are_texts_count_like_uuids),
    support_test(A6_a_large_batch_may_have_texts_for_ids),
    support_test(A6_two_streams_in_one_batch_repeat_as_one),
    support_test(A6_a_rejected_append_leaves_its_ids_free),
    support_test(ORX19_an_id_is_stored_once_in_the_whole_store),
};
CONTRACT_GROUP(contract_repeat_group, tests);
