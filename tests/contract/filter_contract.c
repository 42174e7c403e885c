/* Choosing events by type, category and time, and listing streams. */
#include "tests/contract/contract.h"

#include <stdio.h>
#include <string.h>

/*
 *   number  stream   type          time
 *   1       order-1  t.one         1000
 *   2       order-2  t.two         2000
 *   3       orders   t.two.deep    3000
 *   4       item-1   u             2500
 *   5       order-1  t.two         1500
 *   6       item-1   t.one         4000
 */
static void fill(stele_store *store)
{
    static const struct {
        const char *stream;
        const char *type;
        int64_t time;
    } events[] = {
        {"order-1", "t.one", 1000}, {"order-2", "t.two", 2000}, {"orders", "t.two.deep", 3000},
        {"item-1", "u", 2500},      {"order-1", "t.two", 1500}, {"item-1", "t.one", 4000},
    };
    stele_error *error = NULL;

    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
        stele_message *event;

        options.has_time = true;
        options.time = events[i].time;
        event = contract_event(events[i].type, (int64_t)i + 1, &options);
        assert_ok(stele_append(store, events[i].stream, stele_expect_any(), event, NULL, &error), error);
        stele_message_unref(event);
    }
}

static void types_are_chosen_by_name_and_by_pattern(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    fill(store);
    store = contract_reopen(store);
    assert_numbers(store, QUERY(.type = "t.two"), 2, 5);
    assert_numbers(store, QUERY(.type = "t.two", .backwards = true), 5, 2);
    assert_numbers(store, QUERY(.type = "t.*"), 1, 2, 5, 6);
    assert_numbers(store, QUERY(.type = "t.>"), 1, 2, 3, 5, 6);
    assert_numbers(store, QUERY(.type = "t.two.>"), 3);
    assert_numbers(store, QUERY(.type = "*"), 4);
    assert_numbers(store, QUERY(.type = ">"), 1, 2, 3, 4, 5, 6);
    assert_no_events(store, QUERY(.type = "t"));
    assert_no_events(store, QUERY(.type = "T.one"));
    assert_numbers(store, QUERY(.stream = "order-1", .type = "t.two"), 5);
    assert_numbers(store, QUERY(.stream = "order-1", .type = "t.*", .backwards = true, .limit = 1), 5);
    stele_store_close(store);
}

static void malformed_patterns_are_invalid(void **state)
{
    static const char *const patterns[] = {"", "a..b", ".a", "a.", "a.>.b", "a*", "*.b>"};
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        assert_failure(STELE_INVALID, stele_read(store, QUERY(.type = patterns[i]), &cursor, &error), error);
        assert_string_equal(stele_error_get(error, "argument"), "query.type");
        stele_error_free(error);
        error = NULL;
    }
    stele_store_close(store);
}

static void a_category_is_the_beginning_of_a_stream_name(void **state)
{
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    (void)state;
    fill(store);
    store = contract_reopen(store);
    assert_numbers(store, QUERY(.category = "order-"), 1, 2, 5);
    assert_numbers(store, QUERY(.category = "order"), 1, 2, 3, 5);
    assert_numbers(store, QUERY(.category = "order-1"), 1, 5);
    assert_numbers(store, QUERY(.category = "order-", .backwards = true), 5, 2, 1);
    assert_numbers(store, QUERY(.category = "order-", .type = "t.two"), 2, 5);
    assert_numbers(store, QUERY(.category = "order-", .limit = 2), 1, 2);
    assert_numbers(store, QUERY(.category = ""), 1, 2, 3, 4, 5, 6);
    assert_no_events(store, QUERY(.category = "rder"));
    assert_no_events(store, QUERY(.category = "ORDER"));
    assert_no_events(store, QUERY(.category = "%"));
    assert_no_events(store, QUERY(.category = "order_"));
    assert_no_events(store, QUERY(.category = "order*"));
    assert_status(STELE_INVALID, stele_read(store, QUERY(.category = "a", .stream = "a"), &cursor, &error), error);
    stele_store_close(store);
}

static void a_category_of_the_highest_characters_has_no_end(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    contract_append(store, "\xf4\x8f\xbf\xbf", 1); /* U+10FFFF */
    contract_append(store, "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf", 2);
    contract_append(store, "\xc3\xbf", 3); /* U+00FF */
    contract_append(store, "\xc4\x80", 4); /* U+0100: its first byte follows */
    assert_numbers(store, QUERY(.category = "\xf4\x8f\xbf\xbf"), 1, 2);
    assert_numbers(store, QUERY(.category = "\xc3\xbf"), 3);
    stele_store_close(store);
}

static void until_time_is_inclusive_and_looks_at_each_event(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    fill(store);
    assert_numbers(store, QUERY(.has_until_time = true, .until_time = 2000), 1, 2, 5);
    assert_numbers(store, QUERY(.has_until_time = true, .until_time = 1999), 1, 5);
    assert_numbers(store, QUERY(.has_until_time = true, .until_time = 2500, .backwards = true), 5, 4, 2, 1);
    assert_numbers(store, QUERY(.stream = "order-1", .has_until_time = true, .until_time = 1499), 1);
    assert_no_events(store, QUERY(.has_until_time = true, .until_time = 0));
    assert_no_events(store, QUERY(.has_until_time = true, .until_time = INT64_MIN));
    assert_numbers(store, QUERY(.has_until_time = true, .until_time = INT64_MAX, .type = "u"), 4);
    stele_store_close(store);
}

static void filters_that_match_rarely_cross_pages(void **state)
{
    stele_store *store = contract_open();
    struct stele_batch batch = {.writes = NULL};
    stele_message *events[1000];
    struct stele_write writes[1000];
    struct stele_head head;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        events[i] = contract_event(i % 333 == 7 ? "rare" : "common", (int64_t)i, NULL);
        writes[i] = (struct stele_write){i % 500 == 9 ? "b" : "a", events[i]};
    }
    batch.writes = writes;
    batch.write_count = 1000;
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_numbers(store, QUERY(.type = "rare"), 7, 340, 673);
    assert_numbers(store, QUERY(.type = "rare", .backwards = true), 673, 340, 7);
    assert_numbers(store, QUERY(.category = "b"), 9, 509);
    assert_int_equal(contract_read(store, QUERY(.type = "rare", .limit = 2), NULL, 0, &head), 2);
    assert_numbers(store, QUERY(.type = "rare", .after = head.position), 673);
    for (size_t i = 0; i < 1000; i++)
        stele_message_unref(events[i]);
    stele_store_close(store);
}

/* --- Listing streams ---------------------------------------------------------------- */

struct listing {
    char names[256];
    struct stele_stream last;
    size_t count;
    size_t stop_at;
};

static bool list_stream(void *context, const struct stele_stream *stream)
{
    struct listing *listing = context;
    const size_t length = strlen(listing->names);

    snprintf(listing->names + length, sizeof(listing->names) - length, "%.*s ", STELE_SLICE(stream->name));
    listing->last = *stream;
    listing->last.name = support_slice(NULL);
    return ++listing->count != listing->stop_at;
}

static void assert_streams(stele_store *store, const struct stele_stream_query *query, const char *names)
{
    struct listing listing = {.count = 0};
    stele_error *error = NULL;

    assert_ok(stele_streams(store, query, list_stream, &listing, &error), error);
    assert_string_equal(listing.names, names);
}

#define STREAMS(...) (&(const struct stele_stream_query){.size = sizeof(struct stele_stream_query), __VA_ARGS__})

static void streams_are_listed_by_name(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    assert_streams(store, NULL, "");
    fill(store);
    contract_append(store, "Zebra", 7);
    contract_append(store, "\xc3\xa9", 8);
    store = contract_reopen(store);
    assert_streams(store, NULL, "Zebra item-1 order-1 order-2 orders \xc3\xa9 ");
    assert_streams(store, STREAMS(.backwards = true), "\xc3\xa9 orders order-2 order-1 item-1 Zebra ");
    assert_streams(store, STREAMS(.category = "order"), "order-1 order-2 orders ");
    assert_streams(store, STREAMS(.category = "order-", .backwards = true), "order-2 order-1 ");
    assert_streams(store, STREAMS(.after = "order-1"), "order-2 orders \xc3\xa9 ");
    assert_streams(store, STREAMS(.after = "order-15"), "order-2 orders \xc3\xa9 ");
    assert_streams(store, STREAMS(.after = "order-1", .backwards = true), "item-1 Zebra ");
    assert_streams(store, STREAMS(.category = "order", .after = "order-2"), "orders ");
    assert_streams(store, STREAMS(.category = "order", .after = "a"), "order-1 order-2 orders ");
    assert_streams(store, STREAMS(.category = "order", .after = "z", .backwards = true), "orders order-2 order-1 ");
    assert_streams(store, STREAMS(.limit = 2), "Zebra item-1 ");
    assert_streams(store, STREAMS(.limit = 1, .backwards = true), "\xc3\xa9 ");
    assert_streams(store, STREAMS(.category = "", .after = ""), "Zebra item-1 order-1 order-2 orders \xc3\xa9 ");
    assert_streams(store, STREAMS(.category = "order%"), "");
    stele_store_close(store);
}

static void a_listed_stream_has_its_facts_and_the_visitor_may_stop(void **state)
{
    stele_store *store = contract_open();
    struct listing listing = {.stop_at = 2};
    struct contract_seen seen[8];
    stele_error *error = NULL;

    (void)state;
    fill(store);
    contract_read(store, NULL, seen, 8, NULL);
    assert_ok(stele_streams(store, NULL, list_stream, &listing, &error), error);
    assert_string_equal(listing.names, "item-1 order-1 ");
    assert_int_equal(listing.last.version, 2);
    assert_int_equal(listing.last.first_position, seen[0].position);
    assert_int_equal(listing.last.last_position, seen[4].position);
    assert_int_equal(listing.last.first_time, 1000);
    assert_int_equal(listing.last.last_time, 1500);
    assert_status(STELE_INVALID, stele_streams(store, NULL, NULL, NULL, &error), error);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(types_are_chosen_by_name_and_by_pattern),
    support_test(malformed_patterns_are_invalid),
    support_test(a_category_is_the_beginning_of_a_stream_name),
    support_test(a_category_of_the_highest_characters_has_no_end),
    support_test(until_time_is_inclusive_and_looks_at_each_event),
    support_test(filters_that_match_rarely_cross_pages),
    support_test(streams_are_listed_by_name),
    support_test(a_listed_stream_has_its_facts_and_the_visitor_may_stop),
};
CONTRACT_GROUP(contract_filter_group, tests);
