/* E1 and E2 over every backend: what is stored in old shapes is read in new ones, whatever the way of reading. */
#include "tests/contract/contract.h"

#include <stele/aggregate.h>
#include <stele/operations.h>
#include <stele/upcast.h>

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Today there are "item.added" 2 and "item.noted" 1. Stored are, beside them:
 *
 *   item.added 1     the amount was called "n"
 *   line.added 1     an older name of item.added 1
 *   item.combined 1  is an addition and any number of notes
 *   item.touched 1   is nothing any more
 */
#define ADDED(FIELD, T) FIELD(T, INT64, amount)
#define NOTED(FIELD, T) FIELD(T, INT64, number)
#define COMBINED(FIELD, T) FIELD(T, INT64, amount) FIELD(T, INT64, notes)
#define TOUCHED(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(added, ADDED);
STELE_DECLARE(noted, NOTED);
STELE_DECLARE(combined, COMBINED);
STELE_DECLARE(touched, TOUCHED);
STELE_DEFINE_EVENT(added, "item.added", 2, ADDED);
STELE_DEFINE_EVENT(noted, "item.noted", 1, NOTED);
STELE_DEFINE_EVENT(combined, "item.combined", 1, COMBINED);
STELE_DEFINE_EVENT(touched, "item.touched", 1, TOUCHED);

static stele_status take_apart(const struct combined *old, stele_upcast *upcast)
{
    stele_status status = STELE_UPCAST_TO(upcast, added, .amount = old->amount);

    for (int64_t i = 1; i <= old->notes && status == STELE_OK; i++)
        status = STELE_UPCAST_TO(upcast, noted, .number = i);
    if (old->amount == 13)
        return stele_upcast_fail(upcast, "thirteen is unlucky");
    return status;
}
STELE_DEFINE_UPCAST(take_apart, combined)

static stele_status forget(const struct touched *old, stele_upcast *upcast)
{
    (void)old;
    (void)upcast;
    return STELE_OK;
}
STELE_DEFINE_UPCAST(forget, touched)

static const struct stele_change amount[] = {STELE_RENAME("n", "amount")};
static const struct stele_type *const notes[] = {&noted_type};
static const struct stele_upcaster upcasters[] = {
    {.from = "line.added", .from_version = 1, .to = "item.added", .to_version = 1},
    {.from = "item.added",
     .from_version = 1,
     .to = "item.added",
     .to_version = 2,
     .changes = amount,
     .change_count = 1},
    {.from = "item.combined",
     .from_version = 1,
     .to = "item.added",
     .to_version = 2,
     .up = take_apart_up,
     .old_type = &combined_type,
     .new_type = &added_type,
     .others = notes,
     .other_count = 1},
    {.from = "item.touched",
     .from_version = 1,
     .to = "item.noted",
     .to_version = 1,
     .up = forget_up,
     .old_type = &touched_type,
     .new_type = &noted_type},
};

static stele_store *open_today(void)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);

    options.upcasters = upcasters;
    options.upcaster_count = COUNT(upcasters);
    return contract_open_with(&options);
}

static void append_json(stele_store *store, const char *type, uint32_t version, const char *json)
{
    struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = type, .type_version = version, .format = STELE_PAYLOAD_MSGPACK};
    stele_arena *arena = NULL;
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_msgpack_from_json(support_slice(json), arena, &raw.payload, &error), error);
    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_ok(stele_append(store, "cart", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
    stele_arena_free(arena);
}

/*
 *   position  stored                       read as
 *   1         item.added 2, 1              a1
 *   2         line.added 1, 2              a2
 *   3         item.combined 1, 3, 2 notes  a3 n1 n2
 *   4         item.touched 1               -
 *   5         item.added 1, 4              a4
 *   6         item.noted 1, 9              n9
 *   7         item.touched 1               -
 */
static void fill(stele_store *store)
{
    append_json(store, "item.added", 2, "{\"amount\":1}");
    append_json(store, "line.added", 1, "{\"n\":2}");
    append_json(store, "item.combined", 1, "{\"amount\":3,\"notes\":2}");
    append_json(store, "item.touched", 1, "{}");
    append_json(store, "item.added", 1, "{\"n\":4}");
    append_json(store, "item.noted", 1, "{\"number\":9}");
    append_json(store, "item.touched", 1, "{}");
}

/* "a3.0@3 " for an addition of 3 that is part 0 of the event at position 3. */
static void show_message(const stele_message *message, char *text, size_t size)
{
    const size_t used = strlen(text);
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    struct added addition;
    struct noted note;
    int64_t number;
    char letter = 'a';

    assert_ok(stele_arena_new(&arena, &error), error);
    if (stele_message_is(message, &added_type)) {
        assert_ok(added_read(message, arena, &addition, &error), error);
        number = addition.amount;
    } else {
        assert_ok(noted_read(message, arena, &note, &error), error);
        number = note.number;
        letter = 'n';
    }
    stele_arena_free(arena);
    assert_int_equal(stele_message_version(message), stele_message_position(message));
    snprintf(text + used, size - used, "%c%d.%u@%d ", letter, (int)number, stele_message_part(message),
             (int)stele_message_position(message));
}

static void assert_read(stele_store *store, const struct stele_query *query, const char *expected, uint64_t head)
{
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    char text[512] = "";

    assert_ok(stele_read(store, query, &cursor, &error), error);
    for (;;) {
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        if (!message)
            break;
        show_message(message, text, sizeof(text));
    }
    assert_string_equal(text, expected);
    assert_int_equal(stele_cursor_head(cursor).position, head);
    stele_cursor_close(cursor);
}

static stele_store *open_filled(void)
{
    stele_store *store = open_today();

    fill(store);
    return store;
}

static void E2_cursors_see_new_shapes_only(void **state)
{
    stele_store *store = open_filled();

    (void)state;
    assert_read(store, NULL, "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 a4.0@5 n9.0@6 ", 7);
    assert_read(store, QUERY(.stream = "cart"), "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 a4.0@5 n9.0@6 ", 7);
    assert_read(store, QUERY(.backwards = true), "n9.0@6 a4.0@5 a3.0@3 n1.1@3 n2.2@3 a2.0@2 a1.0@1 ", 7);
    assert_read(store, QUERY(.after = 2, .until = 4), "a3.0@3 n1.1@3 n2.2@3 ", 7);
    assert_read(store, QUERY(.after = 3, .until = 4), "", 7);
    assert_read(store, QUERY(.category = "car", .after = 5), "n9.0@6 ", 7);
    stele_store_close(store);
}

/* The limit counts what is read; parts come together, and the head is where reading goes on. */
static void E2_a_limit_counts_what_is_read_and_cuts_no_event(void **state)
{
    stele_store *store = open_filled();

    (void)state;
    assert_read(store, QUERY(.limit = 2), "a1.0@1 a2.0@2 ", 2);
    assert_read(store, QUERY(.limit = 3), "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 ", 3);
    assert_read(store, QUERY(.limit = 5), "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 ", 3);
    assert_read(store, QUERY(.limit = 6), "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 a4.0@5 ", 5);
    assert_read(store, QUERY(.after = 3, .limit = 1), "a4.0@5 ", 5);
    assert_read(store, QUERY(.after = 5, .limit = 2), "n9.0@6 ", 7);
    assert_read(store, QUERY(.backwards = true, .limit = 1), "n9.0@6 ", 6);
    assert_read(store, QUERY(.backwards = true, .after = 6, .limit = 2), "a4.0@5 a3.0@3 n1.1@3 n2.2@3 ", 3);
    stele_store_close(store);
}

/* "line.added" is selected as what it became, and not by its old name. */
static void E2_types_are_selected_by_what_events_are_read_as(void **state)
{
    stele_store *store = open_filled();

    (void)state;
    assert_read(store, QUERY(.type = "item.added"), "a1.0@1 a2.0@2 a3.0@3 a4.0@5 ", 7);
    assert_read(store, QUERY(.type = "item.noted"), "n1.1@3 n2.2@3 n9.0@6 ", 7);
    assert_read(store, QUERY(.type = "item.*"), "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 a4.0@5 n9.0@6 ", 7);
    assert_read(store, QUERY(.type = "item.noted", .limit = 1), "n1.1@3 n2.2@3 ", 3);
    assert_read(store, QUERY(.type = "item.noted", .backwards = true, .limit = 1), "n9.0@6 ", 6);
    assert_read(store, QUERY(.type = "line.>"), "", 7);
    assert_read(store, QUERY(.type = "item.combined"), "", 7);
    assert_read(store, QUERY(.type = "item.touched"), "", 7);
    stele_store_close(store);
}

static void E2_single_events_are_found_as_what_they_are_read_as(void **state)
{
    stele_store *store = open_filled();
    stele_message *found = NULL;
    stele_message *again = NULL;
    stele_error *error = NULL;
    char id[64];

    (void)state;
    assert_ok(stele_find_position(store, 3, &found, &error), error);
    assert_true(stele_message_is(found, &added_type));
    assert_int_equal(stele_message_part(found), 0);
    snprintf(id, sizeof(id), "%.*s", STELE_SLICE(stele_message_id(found)));
    assert_ok(stele_find(store, id, &again, &error), error);
    assert_true(stele_message_is(again, &added_type));
    assert_int_equal(stele_message_position(again), 3);
    stele_message_unref(again);
    stele_message_unref(found);
    assert_failure(STELE_NOT_FOUND, stele_find_position(store, 4, &found, &error), error);
    assert_message(error, "read as none");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_NOT_FOUND, stele_find_position(store, 8, &found, &error), error);
    stele_store_close(store);
}

/* Stored is what was stored: versions, counts, and what a program without upcasters reads. */
static void E2_upcasting_changes_nothing_that_is_stored(void **state)
{
    struct stele_verified verified;
    struct stele_stats stats;
    stele_store *store = open_filled();
    stele_message *found = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_stats(store, &stats, &error), error);
    assert_int_equal(stats.events, 7);
    assert_ok(stele_verify(store, NULL, &verified, &error), error);
    assert_int_equal(verified.events, 7);
    assert_int_equal(contract_version(store, "cart"), 7);
    if (contract_is_durable()) {
        stele_store_close(store);
        store = contract_open();
        assert_ok(stele_find_position(store, 2, &found, &error), error);
        assert_int_equal(stele_message_type(found).size, strlen("line.added"));
        assert_memory_equal(stele_message_type(found).data, "line.added", strlen("line.added"));
        stele_message_unref(found);
    }
    stele_store_close(store);
}

static void a_step_that_fails_is_corrupt_and_reading_goes_on_behind_it(void **state)
{
    stele_store *store = open_today();
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_message *found = NULL;
    stele_error *error = NULL;
    char text[64] = "";

    (void)state;
    append_json(store, "item.added", 1, "{\"n\":1}");
    append_json(store, "item.combined", 1, "{\"amount\":13,\"notes\":1}");
    append_json(store, "item.added", 1, "{\"n\":2}");
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    assert_ok(stele_cursor_next(cursor, &message, &error), error);
    show_message(message, text, sizeof(text));
    assert_failure(STELE_CORRUPT, stele_cursor_next(cursor, &message, &error), error);
    assert_message(error, "event at position 2: upcaster item.combined 1 -> item.added 2: thirteen is unlucky");
    assert_string_equal(stele_error_get(error, "step"), "item.combined 1 -> item.added 2");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_cursor_next(cursor, &message, &error), error);
    show_message(message, text, sizeof(text));
    assert_ok(stele_cursor_next(cursor, &message, &error), error);
    assert_null(message);
    assert_string_equal(text, "a1.0@1 a2.0@3 ");
    stele_cursor_close(cursor);
    assert_status(STELE_CORRUPT, stele_find_position(store, 2, &found, &error), error);
    stele_store_close(store);
}

static void a_table_that_is_not_in_order_does_not_open(void **state)
{
    static const struct stele_upcaster circle[] = {
        {.from = "a", .from_version = 1, .to = "b", .to_version = 1},
        {.from = "b", .from_version = 1, .to = "a", .to_version = 1},
    };
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    options.upcasters = circle;
    options.upcaster_count = COUNT(circle);
    assert_failure(STELE_INVALID, stele_store_open(contract_url(), &options, &store, &error), error);
    assert_message(error, "upcasters lead in a circle: a 1 -> b 1 -> a 1");
    stele_error_free(error);
    assert_null(store);
}

/* More of them than a page holds, with notes that no page may cut. */
static void E2_parts_stay_together_across_pages(void **state)
{
    enum { EVENTS = 300, NOTES = 3 };
    stele_store *store = open_today();
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    uint64_t count = 0;

    (void)state;
    for (int i = 0; i < EVENTS; i++)
        append_json(store, "item.combined", 1, "{\"amount\":1,\"notes\":3}");
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (;;) {
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        if (!message)
            break;
        assert_int_equal(stele_message_part(message), count % (NOTES + 1));
        assert_int_equal(stele_message_position(message), count / (NOTES + 1) + 1);
        count++;
    }
    assert_int_equal(count, EVENTS * (NOTES + 1));
    stele_cursor_close(cursor);
    stele_store_close(store);
}

static stele_status read_all(void *context, stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .type = "item.>", .limit = 100};
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_read(context, &query, &cursor, error);

    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &message, error);
        if (!message)
            break;
    }
    stele_cursor_close(cursor);
    return status;
}

static stele_status find_one(void *context, stele_error **error)
{
    stele_message *found = NULL;
    const stele_status status = stele_find_position(context, 3, &found, error);

    stele_message_unref(found);
    return status;
}

static void reading_through_upcasters_survives_every_failing_allocation(void **state)
{
    stele_store *store = open_filled();
    stele_error *error = NULL;

    (void)state;
    /* What a connection keeps of names is there before anything is measured. */
    assert_ok(read_all(store, &error), error);
    assert_ok(find_one(store, &error), error);
    assert_true(support_every_allocation_fails(read_all, store) > 3);
    assert_true(support_every_allocation_fails(find_one, store) > 1);
    stele_store_close(store);
}

/* A cursor that was out of memory gives the same event when it is asked again. */
static void a_step_that_was_out_of_memory_is_tried_again(void **state)
{
    stele_store *store = open_filled();
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    char text[512] = "";

    (void)state;
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (;;) {
        stele_status status;

        message = NULL;
        support_fail_allocation(1);
        status = stele_cursor_next(cursor, &message, &error);
        support_fail_allocation(0);
        if (status == STELE_NO_MEMORY) {
            stele_error_free(error);
            error = NULL;
            assert_ok(stele_cursor_next(cursor, &message, &error), error);
        } else {
            assert_ok(status, error);
        }
        if (!message)
            break;
        show_message(message, text, sizeof(text));
    }
    assert_string_equal(text, "a1.0@1 a2.0@2 a3.0@3 n1.1@3 n2.2@3 a4.0@5 n9.0@6 ");
    stele_cursor_close(cursor);
    stele_store_close(store);
}

/* --- Sums by type ----------------------------------------------------------------------------------- */

static bool print_size(void *context, const struct stele_type_size *size)
{
    char *text = context;
    char line[64];

    snprintf(line, sizeof(line), "%.*s %u: %d, ", STELE_SLICE(size->type), (unsigned)size->type_version,
             (int)size->events);
    strcat(text, line);
    return true;
}

static void stored_shapes_are_counted_the_largest_first(void **state)
{
    stele_store *store = open_today();
    stele_error *error = NULL;
    char text[512] = "";

    (void)state;
    append_json(store, "item.added", 1, "{\"n\":1}");
    append_json(store, "item.added", 2, "{\"amount\":1}");
    append_json(store, "item.added", 2, "{\"amount\":1}");
    assert_ok(stele_type_sizes(store, print_size, text, &error), error);
    assert_string_equal(text, "item.added 2: 2, item.added 1: 1, ");
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(E2_cursors_see_new_shapes_only),
    support_test(E2_a_limit_counts_what_is_read_and_cuts_no_event),
    support_test(E2_types_are_selected_by_what_events_are_read_as),
    support_test(E2_single_events_are_found_as_what_they_are_read_as),
    support_test(E2_upcasting_changes_nothing_that_is_stored),
    support_test(a_step_that_fails_is_corrupt_and_reading_goes_on_behind_it),
    support_test(a_table_that_is_not_in_order_does_not_open),
    support_test(E2_parts_stay_together_across_pages),
    support_test(reading_through_upcasters_survives_every_failing_allocation),
    support_test(a_step_that_was_out_of_memory_is_tried_again),
    support_test(stored_shapes_are_counted_the_largest_first),
};

CONTRACT_GROUP(contract_upcast_group, tests);
