/* Names of every shape, limits at the limit and one past it, and what an event keeps. */
#include "tests/contract/contract.h"

#include <stdlib.h>
#include <string.h>

#include <stele/type.h>

/* `size` times `fill`, NUL-terminated; free(3) it. */
static char *long_text(char fill, size_t size)
{
    char *text = malloc(size + 1);

    assert_non_null(text);
    memset(text, fill, size);
    text[size] = '\0';
    return text;
}

/* --- Names ---------------------------------------------------------------------------- */

static void odd_but_legal_stream_names_are_streams_of_their_own(void **state)
{
    static const char *const names[] = {
        "'; DROP TABLE event; --",
        "\"quoted\"",
        "a b",
        " a",
        "a ",
        "a",
        "A",
        "%",
        "_",
        "*",
        "a\\b",
        "a/b/../c",
        "?x=1&y=2#z",
        "a$b",
        "123",
        "NULL",
        "-1",
        "\xc3\xa9",                 /* e with acute, composed */
        "e\xcc\x81",                /* the same, decomposed: another name */
        "\xe5\x8f\xa3\xe5\xba\xa7", /* two ideographs */
        "\xf0\x9f\x8f\xa6",         /* beyond the basic plane */
        "\xd7\x90\xe2\x80\x8f",     /* right to left */
    };
    const size_t count = sizeof(names) / sizeof(names[0]);
    stele_store *store = contract_open();
    struct stele_stats stats;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        contract_append(store, names[i], (int64_t)i);
        assert_status(STELE_CONFLICT, contract_try(store, names[i], stele_expect_no_stream(), 0, &error), error);
    }
    store = contract_reopen(store);
    for (size_t i = 0; i < count; i++) {
        assert_numbers(store, QUERY(.stream = names[i]), (int64_t)i);
        assert_int_equal(contract_version(store, names[i]), 1);
    }
    assert_ok(stele_stats(store, &stats, &error), error);
    assert_int_equal(stats.streams, count);
    stele_store_close(store);
}

static void malformed_stream_names_are_invalid(void **state)
{
    static const char *const names[] = {
        "",
        "a\nb",
        "\x01",
        "a\x7f",
        "\xc2\x85",     /* U+0085, a control character */
        "\xff",         /* no UTF-8 */
        "a\xc3",        /* cut short */
        "\xc0\xaf",     /* overlong */
        "\xed\xa0\x80", /* a surrogate */
    };
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_failure(STELE_INVALID, contract_try(store, names[i], stele_expect_any(), 1, &error), error);
        assert_message(error, "stream");
        stele_error_free(error);
        error = NULL;
        assert_status(STELE_INVALID, stele_read(store, QUERY(.stream = names[i]), &cursor, &error), error);
    }
    assert_status(STELE_INVALID, contract_try(store, NULL, stele_expect_any(), 1, &error), error);
    assert_int_equal(contract_count(store, NULL), 0);
    stele_store_close(store);
}

static void a_stream_name_has_at_most_1024_bytes(void **state)
{
    char *fits = long_text('s', STELE_STREAM_MAX);
    char *beyond = long_text('s', STELE_STREAM_MAX + 1);
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(contract_try(store, fits, stele_expect_no_stream(), 1, &error), error);
    assert_failure(STELE_LIMIT, contract_try(store, beyond, stele_expect_any(), 2, &error), error);
    assert_string_equal(stele_error_get(error, "limit"), "1024");
    assert_string_equal(stele_error_get(error, "actual"), "1025");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_LIMIT, stele_read(store, QUERY(.stream = beyond), &cursor, &error), error);
    assert_status(STELE_LIMIT, stele_read(store, QUERY(.category = beyond), &cursor, &error), error);
    store = contract_reopen(store);
    assert_int_equal(contract_version(store, fits), 1);
    assert_int_equal(contract_count(store, QUERY(.category = fits)), 1);
    free(fits);
    free(beyond);
    stele_store_close(store);
}

static void a_type_name_has_at_most_255_bytes(void **state)
{
    char *fits = long_text('t', STELE_TYPE_MAX);
    char *beyond = long_text('t', STELE_TYPE_MAX + 1);
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = beyond, .format = STELE_PAYLOAD_NONE};
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_message *event = NULL;
    stele_error *error = NULL;

    (void)state;
    contract_append_type(store, "a", fits, 1);
    assert_status(STELE_LIMIT, stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_status(STELE_LIMIT, stele_read(store, QUERY(.type = beyond), &cursor, &error), error);
    store = contract_reopen(store);
    assert_numbers(store, QUERY(.type = fits), 1);
    free(fits);
    free(beyond);
    stele_store_close(store);
}

static void streams_of_the_library_are_refused_for_writing_only(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, contract_try(store, "$ledger", stele_expect_any(), 1, &error), error);
    assert_message(error, "$ledger");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, contract_try(store, "$", stele_expect_any(), 1, &error), error);
    assert_no_events(store, QUERY(.stream = "$ledger"));
    assert_no_events(store, QUERY(.category = "$"));
    stele_store_close(store);
}

/* --- Sizes ----------------------------------------------------------------------------- */

static stele_message *event_of_size(size_t size)
{
    char *bytes = long_text('p', size);
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "large", .format = STELE_PAYLOAD_BYTES, .payload = {bytes, size}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *event = NULL;
    stele_error *error = NULL;

    options.payload_limit = STELE_PAYLOAD_MAX;
    assert_ok(stele_message_new_raw(&raw, &options, &event, &error), error);
    free(bytes);
    return event;
}

/* A payload of `limit` bytes is stored and read back, one of a byte more is refused. */
static void assert_payload_limit(stele_store *store, size_t limit)
{
    stele_message *fits = event_of_size(limit);
    stele_message *beyond = event_of_size(limit < STELE_PAYLOAD_MAX ? limit + 1 : limit);
    struct stele_appended result;
    stele_message *found = NULL;
    stele_error *error = NULL;

    assert_ok(stele_append(store, "a", stele_expect_any(), fits, &result, &error), error);
    if (limit < STELE_PAYLOAD_MAX) {
        assert_failure(STELE_LIMIT, stele_append(store, "a", stele_expect_any(), beyond, NULL, &error), error);
        assert_message(error, "payload");
        assert_int_equal(strtoull(stele_error_get(error, "limit"), NULL, 10), limit);
        assert_int_equal(strtoull(stele_error_get(error, "actual"), NULL, 10), limit + 1);
        stele_error_free(error);
        error = NULL;
    }
    assert_ok(stele_find_position(store, result.last_position, &found, &error), error);
    assert_int_equal(stele_message_payload(found).size, limit);
    assert_memory_equal(stele_message_payload(found).data, stele_message_payload(fits).data, limit);
    stele_message_unref(found);
    stele_message_unref(fits);
    stele_message_unref(beyond);
}

static void the_payload_limit_is_1_MiB_unless_the_store_says_otherwise(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = contract_open();

    (void)state;
    assert_payload_limit(store, STELE_PAYLOAD_DEFAULT);
    stele_store_close(store);
    options.payload_limit = 64;
    store = contract_open_with(&options);
    assert_payload_limit(store, 64);
    stele_store_close(store);
    options.payload_limit = STELE_PAYLOAD_MAX;
    store = contract_open_with(&options);
    assert_payload_limit(store, STELE_PAYLOAD_MAX);
    stele_store_close(store);
}

static void a_batch_has_at_most_10000_events(void **state)
{
    const size_t count = STELE_BATCH_EVENTS_MAX + 1;
    stele_message **events = calloc(count, sizeof(*events));
    struct stele_write *writes = calloc(count, sizeof(*writes));
    struct stele_appended result;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_non_null(events);
    assert_non_null(writes);
    for (size_t i = 0; i < count; i++) {
        events[i] = contract_event("t", (int64_t)i, NULL);
        writes[i] = (struct stele_write){"a", events[i]};
    }
    assert_failure(
        STELE_LIMIT,
        stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count}, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "limit"), "10000");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(contract_count(store, NULL), 0);
    assert_ok(
        stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count - 1}, &result, &error),
        error);
    assert_int_equal(result.version, STELE_BATCH_EVENTS_MAX);
    assert_int_equal(result.last_position - result.first_position, STELE_BATCH_EVENTS_MAX - 1);
    store = contract_reopen(store);
    assert_int_equal(contract_count(store, QUERY(.stream = "a")), STELE_BATCH_EVENTS_MAX);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(events[i]);
    free(events);
    free(writes);
    stele_store_close(store);
}

static void a_batch_has_at_most_32_MiB(void **state)
{
    enum { FULL = STELE_BATCH_BYTES_MAX / STELE_PAYLOAD_DEFAULT };
    stele_message *events[FULL + 1];
    struct stele_write writes[FULL + 1];
    stele_store *store = contract_open();
    stele_error *error = NULL;
    size_t bytes = 0;

    (void)state;
    /* An event's attributes count too: how many they are shows in the first refusal. */
    for (size_t i = 0; i <= FULL; i++) {
        events[i] = event_of_size(i < FULL ? STELE_PAYLOAD_DEFAULT : 1);
        writes[i] = (struct stele_write){"a", events[i]};
    }
    assert_failure(
        STELE_LIMIT,
        stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = FULL + 1}, NULL, &error),
        error);
    bytes = strtoull(stele_error_get(error, "actual"), NULL, 10) - STELE_BATCH_BYTES_MAX;
    assert_true(bytes > FULL + 1);
    stele_error_free(error);
    error = NULL;
    for (size_t i = FULL - 1; i <= FULL; i++)
        stele_message_unref(events[i]);
    events[FULL - 1] = event_of_size(STELE_PAYLOAD_DEFAULT - bytes); /* now exactly 32 MiB in all */
    events[FULL] = event_of_size(2);
    writes[FULL - 1].event = events[FULL - 1];
    writes[FULL].event = events[FULL];
    assert_failure(
        STELE_LIMIT,
        stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = FULL + 1}, NULL, &error),
        error);
    assert_int_equal(strtoull(stele_error_get(error, "actual"), NULL, 10), STELE_BATCH_BYTES_MAX + 1);
    stele_error_free(error);
    error = NULL;
    stele_message_unref(events[FULL]);
    events[FULL] = event_of_size(1);
    writes[FULL].event = events[FULL];
    assert_ok(stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = FULL + 1}, NULL, &error),
              error);
    assert_int_equal(contract_count(store, NULL), FULL + 1);
    for (size_t i = 0; i <= FULL; i++)
        stele_message_unref(events[i]);
    stele_store_close(store);
}

/* --- What an event keeps ------------------------------------------------------------------ */

static void assert_slice(struct stele_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static const struct stele_extension extensions[] = {
    {.name = "partition", .kind = STELE_EXTENSION_TEXT, .text = {"n\xc3\xb6rd", 5}},
    {.name = "attempt", .kind = STELE_EXTENSION_INTEGER, .integer = -2147483647 - 1},
    {.name = "sampled", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true},
};

static struct stele_message_options full_options(void)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.id = "0192f0c4-0000-7000-8000-0000000000aa";
    options.source = "/bank/teller?n=4";
    options.subject = "account 7 \xe2\x82\xac";
    options.has_time = true;
    options.time = -1234567890123456789;
    options.datacontenttype = "application/octet-stream";
    options.dataschema = "https://example.org/schema/1";
    options.correlationid = "corr-1";
    options.causationid = "cause-1";
    options.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    options.extensions = extensions;
    options.extension_count = sizeof(extensions) / sizeof(extensions[0]);
    return options;
}

static void assert_full_attributes(const stele_message *found, const struct stele_message_options *options)
{
    struct stele_extension extension;

    assert_int_equal(stele_message_kind(found), STELE_COMMAND);
    assert_slice(stele_message_id(found), options->id);
    assert_slice(stele_message_source(found), options->source);
    assert_slice(stele_message_type(found), "bank.money.\xc3\xa9mis");
    assert_int_equal(stele_message_type_version(found), 4000000000U);
    assert_slice(stele_message_subject(found), options->subject);
    assert_true(stele_message_time(found) == options->time);
    assert_slice(stele_message_datacontenttype(found), options->datacontenttype);
    assert_slice(stele_message_dataschema(found), options->dataschema);
    assert_slice(stele_message_correlationid(found), options->correlationid);
    assert_slice(stele_message_causationid(found), options->causationid);
    assert_slice(stele_message_traceparent(found), options->traceparent);
    for (size_t i = 0; i < options->extension_count; i++) {
        assert_true(stele_message_extension(found, i, &extension));
        assert_string_equal(extension.name, extensions[i].name);
        assert_int_equal(extension.kind, extensions[i].kind);
    }
    assert_false(stele_message_extension(found, options->extension_count, &extension));
    assert_true(stele_message_extension(found, 0, &extension));
    assert_slice(extension.text, "n\xc3\xb6rd");
    assert_true(stele_message_extension(found, 1, &extension));
    assert_int_equal(extension.integer, INT32_MIN);
}

static void ORX20_every_attribute_comes_back(void **state)
{
    static const char bytes[] = "\x00\xff\x00 any bytes";
    const struct stele_raw_message raw = {
        .kind = STELE_COMMAND,
        .type = "bank.money.\xc3\xa9mis",
        .type_version = 4000000000U,
        .format = STELE_PAYLOAD_BYTES,
        .payload = {bytes, sizeof(bytes)},
    };
    const struct stele_message_options options = full_options();
    stele_store *store = contract_open();
    stele_message *event = NULL, *found = NULL;
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_message_new_raw(&raw, &options, &event, &error), error);
    assert_ok(stele_append(store, "account-7", stele_expect_any(), event, &result, &error), error);
    stele_message_unref(event);
    store = contract_reopen(store);
    assert_ok(stele_find(store, options.id, &found, &error), error);
    assert_full_attributes(found, &options);
    assert_int_equal(stele_message_format(found), STELE_PAYLOAD_BYTES);
    assert_int_equal(stele_message_payload(found).size, sizeof(bytes));
    assert_memory_equal(stele_message_payload(found).data, bytes, sizeof(bytes));
    assert_slice(stele_message_stream(found), "account-7");
    assert_int_equal(stele_message_version(found), 1);
    assert_int_equal(stele_message_position(found), result.last_position);
    stele_message_unref(found);
    stele_store_close(store);
}

static void ORX20_absent_and_empty_payloads_stay_what_they_are(void **state)
{
    const struct stele_raw_message none = {.kind = STELE_EVENT, .type = "t", .format = STELE_PAYLOAD_NONE};
    const struct stele_raw_message empty = {
        .kind = STELE_EVENT, .type = "t", .format = STELE_PAYLOAD_BYTES, .payload = {"", 0}};
    stele_message *events[2] = {NULL, NULL};
    const stele_message *lent = NULL;
    stele_store *store = contract_open();
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_message_new_raw(&none, NULL, &events[0], &error), error);
    assert_ok(stele_message_new_raw(&empty, NULL, &events[1], &error), error);
    for (size_t i = 0; i < 2; i++)
        assert_ok(stele_append(store, "a", stele_expect_any(), events[i], NULL, &error), error);
    store = contract_reopen(store);
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    assert_int_equal(stele_message_format(lent), STELE_PAYLOAD_NONE);
    assert_null(stele_message_payload(lent).data);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    assert_int_equal(stele_message_format(lent), STELE_PAYLOAD_BYTES);
    assert_non_null(stele_message_payload(lent).data);
    assert_int_equal(stele_message_payload(lent).size, 0);
    assert_slice(stele_message_source(lent), "stele");
    assert_null(stele_message_subject(lent).data);
    stele_cursor_close(cursor);
    stele_message_unref(events[0]);
    stele_message_unref(events[1]);
    stele_store_close(store);
}

#define BASKET(FIELD, T) \
    FIELD(T, TEXT, customer) \
    FIELD(T, LIST(INT64), prices)
STELE_DECLARE(basket, BASKET);
STELE_DEFINE_EVENT(basket, "shop.basket.filled", 1, BASKET);

static void ORX20_a_payload_of_1000_items_and_unicode_comes_back(void **state)
{
    static int64_t prices[1000];
    const struct basket given = {.customer = "Zo\xc3\xab \xf0\x9f\x9b\x92", .prices = {prices, 1000}};
    struct basket taken;
    stele_message *event = NULL;
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_arena *arena = NULL;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (int64_t i = 0; i < 1000; i++)
        prices[i] = i * i * (i % 2 ? -1000003 : 1000003);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(basket_message(&given, NULL, &event, &error), error);
    assert_ok(stele_append(store, "basket-1", stele_expect_any(), event, NULL, &error), error);
    store = contract_reopen(store);
    assert_ok(stele_read(store, QUERY(.type = "shop.basket.*"), &cursor, &error), error);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    assert_ok(basket_read(lent, arena, &taken, &error), error);
    assert_string_equal(taken.customer, given.customer);
    assert_int_equal(taken.prices.count, 1000);
    assert_memory_equal(taken.prices.items, prices, sizeof(prices));
    stele_cursor_close(cursor);
    stele_message_unref(event);
    stele_arena_free(arena);
    stele_store_close(store);
}

static void an_event_read_here_can_be_appended_elsewhere(void **state)
{
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_store *other = NULL;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    contract_append(store, "b", 2);
    assert_ok(stele_store_open("memory:", NULL, &other, &error), error);
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (int i = 0; i < 2; i++) {
        assert_ok(stele_cursor_next(cursor, &lent, &error), error);
        assert_ok(stele_append(other, "copy", stele_expect_any(), lent, NULL, &error), error);
    }
    assert_numbers(other, QUERY(.stream = "copy"), 1, 2);
    stele_cursor_close(cursor);
    stele_store_close(other);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(odd_but_legal_stream_names_are_streams_of_their_own),
    support_test(malformed_stream_names_are_invalid),
    support_test(a_stream_name_has_at_most_1024_bytes),
    support_test(a_type_name_has_at_most_255_bytes),
    support_test(streams_of_the_library_are_refused_for_writing_only),
    support_test(the_payload_limit_is_1_MiB_unless_the_store_says_otherwise),
    support_test(a_batch_has_at_most_10000_events),
    support_test(a_batch_has_at_most_32_MiB),
    support_test(ORX20_every_attribute_comes_back),
    support_test(ORX20_absent_and_empty_payloads_stay_what_they_are),
    support_test(ORX20_a_payload_of_1000_items_and_unicode_comes_back),
    support_test(an_event_read_here_can_be_appended_elsewhere),
};
CONTRACT_GROUP(contract_limit_group, tests);
