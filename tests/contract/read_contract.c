/* Versions, positions, order, bounds, heads and the isolation of cursors (V1 to V6). */
#include "tests/contract/contract.h"

#include <string.h>

enum { LONG = 700 }; /* events: more than two pages of a cursor */

/* Interleave three streams: 1 a, 2 b, 3 a, 4 c, 5 b, 6 a. Positions go to positions[1..6]. */
static void fill(stele_store *store, uint64_t positions[7])
{
    static const char *const streams[] = {"", "a", "b", "a", "c", "b", "a"};

    for (int64_t number = 1; number <= 6; number++)
        positions[number] = contract_append(store, streams[number], number).last_position;
}

static void fill_long(stele_store *store, const char *stream, int64_t first, size_t count)
{
    stele_message *events[LONG];
    struct stele_write writes[LONG];
    stele_error *error = NULL;

    for (size_t i = 0; i < count; i++) {
        events[i] = contract_event("thing.happened", first + (int64_t)i, NULL);
        writes[i] = (struct stele_write){stream, events[i]};
    }
    assert_ok(stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count}, NULL, &error),
              error);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(events[i]);
}

static void V1_versions_count_from_1_without_gaps_in_each_stream(void **state)
{
    static const uint64_t versions[] = {1, 1, 2, 1, 2, 3};
    uint64_t positions[7];
    struct contract_seen seen[8];
    stele_store *store = contract_open();

    (void)state;
    assert_int_equal(contract_version(store, "a"), 0);
    fill(store, positions);
    store = contract_reopen(store);
    assert_int_equal(contract_read(store, NULL, seen, 8, NULL), 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(seen[i].version, versions[i]);
    assert_int_equal(contract_version(store, "a"), 3);
    assert_int_equal(contract_version(store, "b"), 2);
    assert_int_equal(contract_version(store, "c"), 1);
    stele_store_close(store);
}

static void V2_positions_grow_across_streams_failures_and_reopening(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;
    uint64_t last = 0;

    (void)state;
    for (int64_t number = 1; number <= 6; number++) {
        const struct stele_appended result = contract_append(store, number % 2 ? "a" : "b", number);

        assert_true(result.first_position > last);
        last = result.last_position;
        assert_status(STELE_CONFLICT, contract_try(store, "a", stele_expect_no_stream(), 0, &error), error);
        if (number == 3)
            store = contract_reopen(store);
    }
    assert_int_equal(contract_head(store), last);
    stele_store_close(store);
}

static void V3_after_is_exclusive_in_stream_and_log_and_backwards(void **state)
{
    uint64_t positions[7];
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    assert_numbers(store, QUERY(.stream = "a", .after = 1), 3, 6);
    assert_numbers(store, QUERY(.stream = "a", .after = 2), 6);
    assert_no_events(store, QUERY(.stream = "a", .after = 3));
    assert_no_events(store, QUERY(.stream = "a", .after = 99));
    assert_numbers(store, QUERY(.after = positions[1]), 2, 3, 4, 5, 6);
    assert_numbers(store, QUERY(.after = positions[4]), 5, 6);
    assert_no_events(store, QUERY(.after = positions[6]));
    assert_numbers(store, QUERY(.stream = "a", .backwards = true), 6, 3, 1);
    assert_numbers(store, QUERY(.stream = "a", .backwards = true, .after = 3), 3, 1);
    assert_numbers(store, QUERY(.stream = "a", .backwards = true, .after = 2), 1);
    assert_no_events(store, QUERY(.stream = "a", .backwards = true, .after = 1));
    assert_numbers(store, QUERY(.stream = "a", .backwards = true, .after = 99), 6, 3, 1);
    assert_numbers(store, QUERY(.backwards = true, .after = positions[4]), 3, 2, 1);
    assert_no_events(store, QUERY(.backwards = true, .after = positions[1]));
    stele_store_close(store);
}

static void V3_until_is_inclusive_in_stream_and_log_and_backwards(void **state)
{
    uint64_t positions[7];
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    assert_numbers(store, QUERY(.stream = "a", .until = 1), 1);
    assert_numbers(store, QUERY(.stream = "a", .after = 1, .until = 2), 3);
    assert_no_events(store, QUERY(.stream = "a", .after = 2, .until = 2));
    assert_no_events(store, QUERY(.stream = "a", .after = 3, .until = 2));
    assert_numbers(store, QUERY(.stream = "a", .until = 99), 1, 3, 6);
    assert_numbers(store, QUERY(.until = positions[2]), 1, 2);
    assert_numbers(store, QUERY(.backwards = true, .until = positions[2]), 2, 1);
    assert_numbers(store, QUERY(.stream = "a", .backwards = true, .until = 2), 3, 1);
    assert_numbers(store, QUERY(.stream = "a", .backwards = true, .after = 2, .until = 3), 1);
    stele_store_close(store);
}

static void V3_bounds_beyond_the_largest_version_are_invalid(void **state)
{
    const uint64_t beyond = (uint64_t)STELE_VERSION_MAX + 1;
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_message *found = NULL;
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    assert_failure(STELE_INVALID, stele_read(store, QUERY(.stream = "a", .after = beyond), &cursor, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "query.after");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_INVALID, stele_read(store, QUERY(.until = UINT64_MAX), &cursor, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "query.until");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_read(store, QUERY(.after = (uint64_t)-1), &cursor, &error), error);
    assert_status(STELE_INVALID, stele_find_position(store, beyond, &found, &error), error);
    assert_status(STELE_INVALID, stele_find_position(store, 0, &found, &error), error);
    assert_status(STELE_INVALID, stele_wait(store, beyond, 0, NULL, &error), error);
    assert_null(cursor);
    stele_store_close(store);
}

static void V3_the_largest_bounds_are_bounds_like_others(void **state)
{
    stele_store *store = contract_open();
    stele_message *found = NULL;
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    assert_no_events(store, QUERY(.stream = "a", .after = STELE_VERSION_MAX));
    assert_no_events(store, QUERY(.after = STELE_VERSION_MAX));
    assert_no_events(store, QUERY(.after = STELE_VERSION_MAX, .until = STELE_VERSION_MAX));
    assert_numbers(store, QUERY(.until = STELE_VERSION_MAX), 1);
    assert_numbers(store, QUERY(.stream = "a", .backwards = true, .after = STELE_VERSION_MAX), 1);
    assert_numbers(store, QUERY(.backwards = true, .after = STELE_VERSION_MAX, .until = STELE_VERSION_MAX), 1);
    assert_numbers(store, QUERY(.limit = UINT64_MAX), 1);
    assert_status(STELE_NOT_FOUND, stele_find_position(store, STELE_VERSION_MAX, &found, &error), error);
    assert_status(STELE_TIMEOUT, stele_wait(store, STELE_VERSION_MAX, 0, NULL, &error), error);
    stele_store_close(store);
}

static void V4_a_missing_stream_is_empty_and_no_error(void **state)
{
    uint64_t positions[7];
    struct stele_head head;
    stele_store *store = contract_open();

    (void)state;
    assert_int_equal(contract_read(store, QUERY(.stream = "missing"), NULL, 0, &head), 0);
    assert_false(head.exists);
    assert_int_equal(head.version, 0);
    assert_int_equal(head.position, 0);
    fill(store, positions);
    assert_int_equal(contract_read(store, QUERY(.stream = "missing"), NULL, 0, &head), 0);
    assert_false(head.exists);
    assert_int_equal(head.position, positions[6]);
    assert_no_events(store, QUERY(.stream = "missing", .backwards = true));
    stele_store_close(store);
}

static void ORX17_loading_a_missing_stream_is_the_same_rule_for_all(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    assert_no_events(store, QUERY(.stream = "missing", .after = 3, .until = 5, .limit = 2));
    stele_store_close(store);
}

static void ORX18_loading_from_a_version_gives_exactly_the_rest(void **state)
{
    stele_store *store = contract_open();
    struct contract_seen seen[64];

    (void)state;
    fill_long(store, "a", 1, 100);
    assert_int_equal(contract_read(store, QUERY(.stream = "a", .after = 50), seen, 64, NULL), 50);
    assert_int_equal(seen[0].version, 51);
    assert_int_equal(seen[49].version, 100);
    assert_int_equal(contract_count(store, QUERY(.stream = "a", .after = 49)), 51);
    assert_int_equal(contract_count(store, QUERY(.stream = "a", .after = 100)), 0);
    assert_int_equal(contract_count(store, QUERY(.stream = "a", .after = 1000)), 0);
    stele_store_close(store);
}

static void V5_order_is_by_version_and_by_position_also_backwards(void **state)
{
    uint64_t positions[7];
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    store = contract_reopen(store);
    assert_numbers(store, NULL, 1, 2, 3, 4, 5, 6);
    assert_numbers(store, QUERY(.backwards = true), 6, 5, 4, 3, 2, 1);
    assert_numbers(store, QUERY(.stream = "b"), 2, 5);
    assert_numbers(store, QUERY(.stream = "b", .backwards = true), 5, 2);
    stele_store_close(store);
}

static void V5_order_holds_across_pages(void **state)
{
    static struct contract_seen seen[2 * LONG];
    stele_store *store = contract_open();

    (void)state;
    fill_long(store, "a", 0, LONG);
    fill_long(store, "b", LONG, LONG);
    assert_int_equal(contract_read(store, NULL, seen, 2 * LONG, NULL), 2 * LONG);
    for (size_t i = 0; i < 2 * LONG; i++)
        assert_int_equal(seen[i].number, i);
    assert_int_equal(contract_read(store, QUERY(.backwards = true), seen, 2 * LONG, NULL), 2 * LONG);
    for (size_t i = 0; i < 2 * LONG; i++)
        assert_int_equal(seen[i].number, 2 * LONG - 1 - i);
    assert_int_equal(contract_read(store, QUERY(.stream = "b", .backwards = true, .after = 600), seen, LONG, NULL),
                     599);
    for (size_t i = 0; i < 599; i++)
        assert_int_equal(seen[i].version, 599 - i);
    assert_int_equal(contract_read(store, QUERY(.stream = "a", .after = 10, .limit = 500), seen, LONG, NULL), 500);
    assert_int_equal(seen[499].version, 510);
    stele_store_close(store);
}

/* --- V6: heads ------------------------------------------------------------------------ */

static void V6_without_a_limit_the_head_is_the_store_s_even_if_nothing_matched(void **state)
{
    uint64_t positions[7];
    struct stele_head head;
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    contract_read(store, NULL, NULL, 0, &head);
    assert_int_equal(head.position, positions[6]);
    assert_int_equal(head.version, 0);
    assert_false(head.exists);
    contract_read(store, QUERY(.stream = "b"), NULL, 0, &head);
    assert_int_equal(head.position, positions[6]);
    assert_int_equal(head.version, 2);
    assert_true(head.exists);
    assert_int_equal(contract_read(store, QUERY(.type = "no.such"), NULL, 0, &head), 0);
    assert_int_equal(head.position, positions[6]);
    assert_int_equal(contract_read(store, QUERY(.category = "zzz", .backwards = true), NULL, 0, &head), 0);
    assert_int_equal(head.position, positions[6]);
    assert_int_equal(contract_read(store, QUERY(.until = positions[2]), NULL, 0, &head), 2);
    assert_int_equal(head.position, positions[6]);
    contract_read(store, QUERY(.stream = "b", .until = 1), NULL, 0, &head);
    assert_int_equal(head.version, 2);
    stele_store_close(store);
}

static void V6_with_a_limit_reached_the_head_is_the_last_event_returned(void **state)
{
    uint64_t positions[7];
    struct stele_head head;
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    assert_int_equal(contract_read(store, QUERY(.limit = 2), NULL, 0, &head), 2);
    assert_int_equal(head.position, positions[2]);
    assert_int_equal(contract_read(store, QUERY(.limit = 6), NULL, 0, &head), 6);
    assert_int_equal(head.position, positions[6]);
    assert_int_equal(contract_read(store, QUERY(.stream = "b", .limit = 1), NULL, 0, &head), 1);
    assert_int_equal(head.position, positions[2]);
    assert_int_equal(head.version, 2);
    assert_int_equal(contract_read(store, QUERY(.stream = "b", .limit = 3), NULL, 0, &head), 2);
    assert_int_equal(head.position, positions[6]);
    assert_int_equal(contract_read(store, QUERY(.backwards = true, .limit = 2), NULL, 0, &head), 2);
    assert_int_equal(head.position, positions[5]);
    stele_store_close(store);
}

static void V6_a_checkpoint_fed_with_heads_sees_each_match_once(void **state)
{
    uint64_t positions[7];
    uint64_t checkpoint = 0;
    size_t seen = 0;
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    for (int round = 0; round < 4; round++) {
        struct stele_head head;

        seen += contract_read(store, QUERY(.category = "b", .after = checkpoint, .limit = 1), NULL, 0, &head);
        assert_true(head.position >= checkpoint);
        checkpoint = head.position;
    }
    assert_int_equal(seen, 2);
    assert_int_equal(checkpoint, positions[6]);
    stele_store_close(store);
}

/* --- Cursors ------------------------------------------------------------------------- */

/* Open a cursor over LONG events, step once, append, and count what the cursor gives. */
static void assert_isolated(const struct stele_query *query)
{
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    stele_store *store = contract_open_with(NULL);
    size_t count = 0;

    if (contract_head(store) == 0)
        fill_long(store, "a", 0, LONG);
    const size_t before = contract_count(store, query);
    const uint64_t head = contract_head(store);
    assert_ok(stele_read(store, query, &cursor, &error), error);
    do {
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        count += message != NULL;
        if (count % 100 == 1)
            contract_append(store, "a", LONG);
    } while (message);
    assert_int_equal(count, before);
    assert_int_equal(stele_cursor_head(cursor).position, head);
    assert_ok(stele_cursor_next(cursor, &message, &error), error); /* the end stays the end */
    assert_null(message);
    stele_cursor_close(cursor);
    stele_store_close(store);
}

static void V6_a_cursor_does_not_see_what_is_appended_after_it_was_opened(void **state)
{
    (void)state;
    assert_isolated(NULL);
    assert_isolated(QUERY(.stream = "a"));
    assert_isolated(QUERY(.category = "a"));
    assert_isolated(QUERY(.backwards = true));
    assert_isolated(QUERY(.stream = "a", .backwards = true));
}

static void a_cursor_opened_on_nothing_stays_empty(void **state)
{
    stele_store *store = contract_open();
    const struct stele_query *queries[] = {NULL, QUERY(.stream = "a"), QUERY(.backwards = true),
                                           QUERY(.stream = "a", .backwards = true)};
    stele_cursor *cursors[4];
    const stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_ok(stele_read(store, queries[i], &cursors[i], &error), error);
    contract_append(store, "a", 1);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(stele_cursor_next(cursors[i], &message, &error), error);
        assert_null(message);
        assert_int_equal(stele_cursor_head(cursors[i]).position, 0);
        stele_cursor_close(cursors[i]);
    }
    stele_store_close(store);
}

static void a_cursor_keeps_its_own_copy_of_the_query(void **state)
{
    char stream[] = "a", category[] = "a", type[] = "thing.happened";
    const struct stele_query queries[] = {
        {.size = sizeof(struct stele_query), .stream = stream, .type = type},
        {.size = sizeof(struct stele_query), .category = category},
    };
    stele_cursor *cursors[2];
    const stele_message *message = NULL;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    fill_long(store, "a", 0, LONG);
    for (size_t i = 0; i < 2; i++)
        assert_ok(stele_read(store, &queries[i], &cursors[i], &error), error);
    stream[0] = category[0] = type[0] = 'x';
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < LONG; j++) {
            assert_ok(stele_cursor_next(cursors[i], &message, &error), error);
            assert_non_null(message);
        }
        stele_cursor_close(cursors[i]);
    }
    stele_store_close(store);
}

static void a_referenced_message_outlives_cursor_and_store(void **state)
{
    const stele_message *lent = NULL;
    stele_message *kept = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    stele_store *store = contract_open();

    (void)state;
    contract_append(store, "account-7", 42);
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    kept = stele_message_ref(lent);
    assert_non_null(kept);
    stele_cursor_close(cursor);
    stele_store_close(store);
    assert_int_equal(contract_number(kept), 42);
    assert_int_equal(stele_message_version(kept), 1);
    assert_int_equal(stele_message_stream(kept).size, strlen("account-7"));
    assert_memory_equal(stele_message_stream(kept).data, "account-7", strlen("account-7"));
    stele_message_unref(kept);
}

static void ORX51_the_whole_log_is_read_in_order_from_any_position(void **state)
{
    uint64_t positions[7];
    stele_store *store = contract_open();

    (void)state;
    fill(store, positions);
    for (size_t from = 0; from <= 6; from++)
        assert_int_equal(contract_count(store, QUERY(.after = from ? positions[from] : 0)), 6 - from);
    assert_numbers(store, QUERY(.after = positions[3]), 4, 5, 6);
    stele_store_close(store);
}

static void a_single_event_is_found_by_id_and_by_position(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_store *store = contract_open();
    stele_message *event;
    stele_message *found = NULL;
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    options.id = "0192f0c4-0000-7000-8000-000000000001";
    event = contract_event("thing.happened", 5, &options);
    contract_append(store, "a", 4);
    assert_ok(stele_append(store, "a", stele_expect_any(), event, &result, &error), error);
    contract_append(store, "a", 6);
    assert_ok(stele_find(store, options.id, &found, &error), error);
    assert_int_equal(contract_number(found), 5);
    assert_int_equal(stele_message_position(found), result.last_position);
    stele_message_unref(found);
    assert_ok(stele_find_position(store, result.last_position, &found, &error), error);
    assert_int_equal(contract_number(found), 5);
    stele_message_unref(found);
    assert_failure(STELE_NOT_FOUND, stele_find(store, "0192f0c4-0000-7000-8000-00000000ffff", &found, &error), error);
    assert_string_equal(stele_error_get(error, "id"), "0192f0c4-0000-7000-8000-00000000ffff");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_NOT_FOUND, stele_find_position(store, result.last_position + 5, &found, &error), error);
    assert_non_null(stele_error_get(error, "position"));
    stele_error_free(error);
    stele_message_unref(event);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(V1_versions_count_from_1_without_gaps_in_each_stream),
    support_test(V2_positions_grow_across_streams_failures_and_reopening),
    support_test(V3_after_is_exclusive_in_stream_and_log_and_backwards),
    support_test(V3_until_is_inclusive_in_stream_and_log_and_backwards),
    support_test(V3_bounds_beyond_the_largest_version_are_invalid),
    support_test(V3_the_largest_bounds_are_bounds_like_others),
    support_test(V4_a_missing_stream_is_empty_and_no_error),
    support_test(ORX17_loading_a_missing_stream_is_the_same_rule_for_all),
    support_test(ORX18_loading_from_a_version_gives_exactly_the_rest),
    support_test(V5_order_is_by_version_and_by_position_also_backwards),
    support_test(V5_order_holds_across_pages),
    support_test(V6_without_a_limit_the_head_is_the_store_s_even_if_nothing_matched),
    support_test(V6_with_a_limit_reached_the_head_is_the_last_event_returned),
    support_test(V6_a_checkpoint_fed_with_heads_sees_each_match_once),
    support_test(V6_a_cursor_does_not_see_what_is_appended_after_it_was_opened),
    support_test(a_cursor_opened_on_nothing_stays_empty),
    support_test(a_cursor_keeps_its_own_copy_of_the_query),
    support_test(a_referenced_message_outlives_cursor_and_store),
    support_test(ORX51_the_whole_log_is_read_in_order_from_any_position),
    support_test(a_single_event_is_found_by_id_and_by_position),
};
CONTRACT_GROUP(contract_read_group, tests);
