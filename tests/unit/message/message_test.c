/* Messages: defaults, overrides, causes, references, loans, and what cannot become one. */
#include "tests/support/support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/clock.h>
#include <stele/message.h>

#include "base/text.h"
#include "message/message.h"

#define MONEY_WITHDRAWN(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, OPTIONAL(TEXT), reference, STELE_MAX_LENGTH(35))
STELE_DECLARE(money_withdrawn, MONEY_WITHDRAWN);
STELE_DEFINE_EVENT(money_withdrawn, "bank.money.withdrawn", 1, MONEY_WITHDRAWN);

#define WITHDRAW(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
STELE_DECLARE(withdraw, WITHDRAW);
STELE_DEFINE_COMMAND(withdraw, "bank.withdraw", 3, WITHDRAW);

#define BALANCE(FIELD, T) FIELD(T, INT64, balance)
STELE_DECLARE(balance, BALANCE);
STELE_DEFINE_STATE(balance, "bank.balance", 1, BALANCE);

#define NOTE(FIELD, T) FIELD(T, TEXT, text)
STELE_DECLARE(note, NOTE);
STELE_DEFINE_EVENT(note, "bank.note", 1, NOTE);

#define NOTHING(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(question, NOTHING);
STELE_DEFINE_QUERY(question, "bank.question", 1, NOTHING);
STELE_DECLARE(answer, NOTHING);
STELE_DEFINE_REPLY(answer, "bank.answer", 1, NOTHING);

static const struct money_withdrawn fifty = {.amount = 50};

static void assert_slice(const char *expected, struct stele_slice actual)
{
    assert_non_null(actual.data);
    assert_int_equal(strlen(expected), actual.size);
    assert_memory_equal(expected, actual.data, actual.size);
}

static stele_message *make(const struct stele_message_options *options)
{
    stele_message *message = NULL;
    stele_error *error = NULL;

    assert_ok(money_withdrawn_message(&fifty, options, &message, &error), error);
    return message;
}

static stele_status make_raw(enum stele_payload_format format, struct stele_slice payload, size_t payload_limit,
                             stele_message **out, stele_error **error)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "t", .format = format, .payload = payload};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.payload_limit = payload_limit;
    return stele_message_new_raw(&raw, &options, out, error);
}

static void ORX01_defaults_are_present_and_ids_unique(void **state)
{
    const int64_t before = stele_time_now();
    stele_message *one = make(NULL);
    stele_message *other = make(NULL);
    const int64_t after = stele_time_now();
    struct stele_uuid one_id, other_id;
    char text[STELE_UUID_TEXT_SIZE];

    (void)state;
    assert_true(stele_message_uuid(one, &one_id));
    assert_true(stele_message_uuid(other, &other_id));
    assert_true(stele_uuid_compare(&one_id, &other_id) < 0);
    assert_int_equal(0x70, one_id.bytes[6] & 0xF0);
    stele_uuid_print(&one_id, text);
    assert_slice(text, stele_message_id(one));
    assert_slice("stele", stele_message_source(one));
    assert_slice("bank.money.withdrawn", stele_message_type(one));
    assert_int_equal(1, stele_message_type_version(one));
    assert_true(stele_message_time(one) >= before && stele_message_time(one) <= after);
    stele_message_unref(one);
    stele_message_unref(other);
}

static void ORX01_optional_attributes_are_absent_by_default(void **state)
{
    stele_message *message = make(NULL);
    struct stele_extension extension;

    (void)state;
    assert_null(stele_message_subject(message).data);
    assert_null(stele_message_datacontenttype(message).data);
    assert_null(stele_message_dataschema(message).data);
    assert_null(stele_message_correlationid(message).data);
    assert_null(stele_message_causationid(message).data);
    assert_null(stele_message_traceparent(message).data);
    assert_null(stele_message_stream(message).data);
    assert_int_equal(0, stele_message_version(message));
    assert_int_equal(0, stele_message_position(message));
    assert_false(stele_message_extension(message, 0, &extension));
    stele_message_unref(message);
}

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void ORX01_overrides_are_kept(void **state)
{
    const struct stele_extension extensions[] = {
        {.name = "tenant", .kind = STELE_EXTENSION_TEXT, .text = {"north", 5}},
        {.name = "rank", .kind = STELE_EXTENSION_INTEGER, .integer = INT32_MIN},
        {.name = "urgent", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true},
        {.name = "a2345678901234567890", .kind = STELE_EXTENSION_TEXT, .text = {"", 0}},
    };
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_extension extension;
    struct stele_uuid uuid;
    stele_message *message;

    (void)state;
    options.id = "order 17 of 2026";
    options.source = "/bank/branch-3";
    options.subject = "account-17";
    options.has_time = true;
    options.time = -1;
    options.datacontenttype = "application/json; charset=\"utf-8\"";
    options.dataschema = "https://example.com/withdrawn.json";
    options.correlationid = "c";
    options.causationid = "d";
    options.traceparent = TRACEPARENT;
    options.extensions = extensions;
    options.extension_count = 4;
    message = make(&options);
    assert_slice("order 17 of 2026", stele_message_id(message));
    assert_false(stele_message_uuid(message, &uuid));
    assert_slice("/bank/branch-3", stele_message_source(message));
    assert_slice("account-17", stele_message_subject(message));
    assert_int_equal(-1, stele_message_time(message));
    assert_slice("application/json; charset=\"utf-8\"", stele_message_datacontenttype(message));
    assert_slice("https://example.com/withdrawn.json", stele_message_dataschema(message));
    assert_slice("c", stele_message_correlationid(message));
    assert_slice("d", stele_message_causationid(message));
    assert_slice(TRACEPARENT, stele_message_traceparent(message));
    assert_true(stele_message_extension(message, 0, &extension));
    assert_string_equal("tenant", extension.name);
    assert_int_equal(STELE_EXTENSION_TEXT, extension.kind);
    assert_slice("north", extension.text);
    assert_true(stele_message_extension(message, 1, &extension));
    assert_string_equal("rank", extension.name);
    assert_int_equal(STELE_EXTENSION_INTEGER, extension.kind);
    assert_int_equal(INT32_MIN, extension.integer);
    assert_true(stele_message_extension(message, 2, &extension));
    assert_string_equal("urgent", extension.name);
    assert_int_equal(STELE_EXTENSION_BOOLEAN, extension.kind);
    assert_true(extension.boolean);
    assert_true(stele_message_extension(message, 3, &extension));
    assert_string_equal("a2345678901234567890", extension.name);
    assert_slice("", extension.text);
    assert_false(stele_message_extension(message, 4, &extension));
    stele_message_unref(message);
}

static void ORX01_a_time_of_0_is_a_time(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message;

    (void)state;
    options.has_time = true;
    message = make(&options);
    assert_int_equal(0, stele_message_time(message));
    stele_message_unref(message);
}

static void ORX02_a_message_does_not_change_with_what_it_was_made_of(void **state)
{
    struct money_withdrawn payload = {.amount = 7};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct money_withdrawn read;
    stele_message *message = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    char subject[] = "before";
    char reference[] = "invoice";

    (void)state;
    payload.reference = reference;
    options.subject = subject;
    assert_ok(money_withdrawn_message(&payload, &options, &message, &error), error);
    memcpy(subject, "AFTER!", 6);
    memcpy(reference, "INVOICE", 7);
    payload.amount = 8;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(money_withdrawn_read(message, arena, &read, &error), error);
    assert_int_equal(7, read.amount);
    assert_string_equal("invoice", read.reference);
    assert_slice("before", stele_message_subject(message));
    stele_arena_free(arena);
    stele_message_unref(message);
}

static void ORX03_the_kind_is_that_of_the_type(void **state)
{
    const struct withdraw command = {.amount = 1};
    const struct question query = {0};
    const struct answer reply = {0};
    stele_message *messages[4] = {make(NULL)};
    stele_error *error = NULL;

    (void)state;
    assert_ok(withdraw_message(&command, NULL, &messages[1], &error), error);
    assert_ok(question_message(&query, NULL, &messages[2], &error), error);
    assert_ok(answer_message(&reply, NULL, &messages[3], &error), error);
    assert_int_equal(STELE_EVENT, stele_message_kind(messages[0]));
    assert_int_equal(STELE_COMMAND, stele_message_kind(messages[1]));
    assert_int_equal(3, stele_message_type_version(messages[1]));
    assert_int_equal(STELE_QUERY, stele_message_kind(messages[2]));
    assert_int_equal(STELE_REPLY, stele_message_kind(messages[3]));
    for (int i = 0; i < 4; i++)
        stele_message_unref(messages[i]);
}

static void ORX03_a_state_is_no_message(void **state)
{
    const struct balance payload = {.balance = 1};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, balance_message(&payload, NULL, &message, &error), error);
    assert_string_equal("type", stele_error_get(error, "attribute"));
    assert_null(message);
    stele_error_free(error);
}

static void ORX04_three_generations_are_chained(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *first, *second, *third;

    (void)state;
    options.traceparent = TRACEPARENT;
    options.id = "first";
    first = make(&options);
    options.traceparent = NULL;
    options.id = "second";
    options.cause = first;
    second = make(&options);
    options.id = NULL;
    options.cause = second;
    third = make(&options);
    assert_null(stele_message_correlationid(first).data);
    assert_slice("first", stele_message_correlationid(second));
    assert_slice("first", stele_message_causationid(second));
    assert_slice(TRACEPARENT, stele_message_traceparent(second));
    assert_slice("first", stele_message_correlationid(third));
    assert_slice("second", stele_message_causationid(third));
    assert_slice(TRACEPARENT, stele_message_traceparent(third));
    stele_message_unref(first);
    stele_message_unref(second);
    stele_message_unref(third);
}

static void ORX04_what_is_said_comes_before_what_is_inherited(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *cause = make(NULL);
    stele_message *message;

    (void)state;
    options.cause = cause;
    options.correlationid = "mine";
    message = make(&options);
    assert_slice("mine", stele_message_correlationid(message));
    assert_int_equal(36, stele_message_causationid(message).size);
    stele_message_unref(message);
    stele_message_unref(cause);
}

static void an_id_is_a_uuid_only_in_its_canonical_text(void **state)
{
    static const struct {
        const char *id;
        bool is_uuid;
    } cases[] = {
        {"01890a5d-ac96-774b-bcce-b302099a8057", true},   {"01890A5D-ac96-774b-bcce-b302099a8057", false},
        {"01890a5dac96774bbcceb302099a8057", false},      {"01890a5d-ac96-774b-bcce-b302099a805g", false},
        {"01890a5d-ac96-774b-bcce-b302099a80570", false}, {"x", false},
    };
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_uuid uuid;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_message *message;

        options.id = cases[i].id;
        message = make(&options);
        assert_slice(cases[i].id, stele_message_id(message));
        assert_int_equal(cases[i].is_uuid, stele_message_uuid(message, &uuid));
        stele_message_unref(message);
    }
}

static void a_payload_is_read_back(void **state)
{
    const struct money_withdrawn payload = {.amount = INT64_MAX, .reference = "rent"};
    struct money_withdrawn read;
    stele_message *message = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(money_withdrawn_message(&payload, NULL, &message, &error), error);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_true(stele_message_is(message, &money_withdrawn_type));
    assert_int_equal(STELE_PAYLOAD_MSGPACK, stele_message_format(message));
    assert_ok(money_withdrawn_read(message, arena, &read, &error), error);
    assert_true(read.amount == INT64_MAX);
    assert_string_equal("rent", read.reference);
    stele_arena_free(arena);
    stele_message_unref(message);
}

static void a_broken_rule_makes_no_message(void **state)
{
    const struct money_withdrawn payload = {.amount = 0};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, money_withdrawn_message(&payload, NULL, &message, &error), error);
    assert_string_equal("bank.money.withdrawn", stele_error_get(error, "type"));
    assert_string_equal("amount", stele_error_get(error, "field"));
    assert_string_equal("0", stele_error_get(error, "value"));
    assert_non_null(stele_error_get(error, "rule"));
    assert_null(message);
    stele_error_free(error);
}

static void reading_as_another_type_or_version_is_refused(void **state)
{
    struct stele_type newer = money_withdrawn_type;
    struct money_withdrawn read;
    stele_message *message = make(NULL);
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    newer.version = 2;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_false(stele_message_is(message, &withdraw_type));
    assert_false(stele_message_is(message, &newer));
    assert_failure(STELE_INVALID, stele_message_read(message, &withdraw_type, arena, &read, &error), error);
    assert_message(error, "bank.money.withdrawn");
    assert_message(error, "bank.withdraw of version 3");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_message_read(message, &newer, arena, &read, &error), error);
    stele_arena_free(arena);
    stele_message_unref(message);
}

static void reading_bytes_as_a_type_is_refused(void **state)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "bank.money.withdrawn", .format = STELE_PAYLOAD_BYTES, .payload = {"x", 1}};
    struct money_withdrawn read;
    stele_message *message = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_message_new_raw(&raw, NULL, &message, &error), error);
    assert_status(STELE_INVALID, money_withdrawn_read(message, arena, &read, &error), error);
    stele_arena_free(arena);
    stele_message_unref(message);
}

static void a_raw_message_keeps_kind_type_version_and_payload(void **state)
{
    struct stele_raw_message raw = {.type = "foreign", .format = STELE_PAYLOAD_BYTES, .payload = {"\0\xFF", 2}};
    stele_error *error = NULL;

    (void)state;
    for (enum stele_message_kind kind = STELE_EVENT; kind <= STELE_REPLY; kind++) {
        stele_message *message = NULL;

        raw.kind = kind;
        raw.type_version = (uint32_t)kind - 1; /* 0 is 1 */
        assert_ok(stele_message_new_raw(&raw, NULL, &message, &error), error);
        assert_int_equal(kind, stele_message_kind(message));
        assert_slice("foreign", stele_message_type(message));
        assert_int_equal(kind == STELE_EVENT ? 1 : kind - 1, stele_message_type_version(message));
        assert_int_equal(STELE_PAYLOAD_BYTES, stele_message_format(message));
        assert_int_equal(2, stele_message_payload(message).size);
        assert_memory_equal("\0\xFF", stele_message_payload(message).data, 2);
        stele_message_unref(message);
    }
}

static void no_payload_and_an_empty_one_differ(void **state)
{
    const struct stele_slice nothing = {NULL, 0};
    stele_message *none = NULL;
    stele_message *empty = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(make_raw(STELE_PAYLOAD_NONE, nothing, 0, &none, &error), error);
    assert_ok(make_raw(STELE_PAYLOAD_BYTES, nothing, 0, &empty, &error), error);
    assert_int_equal(STELE_PAYLOAD_NONE, stele_message_format(none));
    assert_null(stele_message_payload(none).data);
    assert_int_equal(STELE_PAYLOAD_BYTES, stele_message_format(empty));
    assert_slice("", stele_message_payload(empty));
    stele_message_unref(none);
    stele_message_unref(empty);
}

static void raw_payloads_that_are_not_what_they_say_are_refused(void **state)
{
    const struct stele_slice bytes = {"\x92\x01", 2}; /* a list of two, one of them missing */
    const struct stele_slice behind = {"\x01\x02", 2};
    const struct stele_slice lost = {NULL, 2};
    const struct stele_slice nothing = {NULL, 0};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_MALFORMED, make_raw(STELE_PAYLOAD_MSGPACK, bytes, 0, &message, &error), error);
    assert_status(STELE_MALFORMED, make_raw(STELE_PAYLOAD_MSGPACK, behind, 0, &message, &error), error);
    assert_status(STELE_INVALID, make_raw(STELE_PAYLOAD_MSGPACK, nothing, 0, &message, &error), error);
    assert_status(STELE_INVALID, make_raw(STELE_PAYLOAD_NONE, bytes, 0, &message, &error), error);
    assert_int_equal(STELE_MALFORMED, make_raw(STELE_PAYLOAD_MSGPACK, bytes, 0, &message, NULL));
    assert_status(STELE_INVALID, make_raw(STELE_PAYLOAD_BYTES, lost, 0, &message, &error), error);
    assert_status(STELE_INVALID, make_raw((enum stele_payload_format)9, bytes, 0, &message, &error), error);
    assert_null(message);
}

static void a_raw_payload_with_a_key_twice_is_refused(void **state)
{
    static const char *const refused[] = {
        "\x82\xA1"
        "a\x01\xA1"
        "a\x02", /* {a: 1, a: 2} */
        "\x83\xA1"
        "a\x01\xA1"
        "b\x01\xA1"
        "a\x01", /* not next to each other */
        "\x91\x81\xA1"
        "k\x82\xA1"
        "a\xC0\xA1"
        "a\xC0", /* [{k: {a: nil, a: nil}}] */
        "\x82\xA1"
        "a\x81\xA1"
        "b\x01\xA1"
        "a\x01", /* {a: {b: 1}, a: 1} */
    };
    static const char *const accepted[] = {
        "\x82\xA1"
        "a\x81\xA1"
        "a\x01\xA1"
        "b\x81\xA1"
        "a\x01", /* {a: {a: 1}, b: {a: 1}} */
        "\x92\x81\xA1"
        "a\x01\x81\xA1"
        "a\x01", /* [{a: 1}, {a: 1}] */
        "\x82\xA1"
        "a\x01\xA2"
        "aa\x01", /* {a: 1, aa: 1} */
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        stele_message *message = NULL;

        assert_failure(STELE_MALFORMED, make_raw(STELE_PAYLOAD_MSGPACK, stele__slice(refused[i]), 0, &message, &error),
                       error);
        assert_non_null(stele_error_get(error, "offset"));
        stele_error_free(error);
        error = NULL;
    }
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        stele_message *message = NULL;

        assert_ok(make_raw(STELE_PAYLOAD_MSGPACK, stele__slice(accepted[i]), 0, &message, &error), error);
        stele_message_unref(message);
    }
}

static void a_payload_may_reach_its_limit_but_not_pass_it(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    char *room = calloc(1, STELE_PAYLOAD_MAX + 1);
    struct stele_slice bytes = {room, 0};
    stele_message *message = NULL;
    stele_error *error = NULL;
    static const struct {
        size_t limit, most;
    } cases[] = {{10, 10}, {0, STELE_PAYLOAD_DEFAULT}, {STELE_PAYLOAD_MAX, STELE_PAYLOAD_MAX}};

    (void)state;
    assert_non_null(room);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes.size = cases[i].most;
        assert_ok(make_raw(STELE_PAYLOAD_BYTES, bytes, cases[i].limit, &message, &error), error);
        stele_message_unref(message);
        bytes.size++;
        assert_failure(STELE_LIMIT, make_raw(STELE_PAYLOAD_BYTES, bytes, cases[i].limit, &message, &error), error);
        assert_string_equal("payload", stele_error_get(error, "field"));
        stele_error_free(error);
        error = NULL;
    }
    assert_status(STELE_LIMIT, make_raw(STELE_PAYLOAD_BYTES, bytes, STELE_PAYLOAD_MAX + 1, &message, &error), error);
    /* {"amount":50} is 1 + 7 + 1 bytes of MessagePack. */
    options.payload_limit = 9;
    assert_ok(money_withdrawn_message(&fifty, &options, &message, &error), error);
    stele_message_unref(message);
    options.payload_limit = 8;
    assert_status(STELE_LIMIT, money_withdrawn_message(&fifty, &options, &message, &error), error);
    free(room);
}

static void missing_arguments_are_named(void **state)
{
    struct stele_message_options small = {.size = 8};
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "t"};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_message_new(NULL, &fifty, NULL, &message, &error), error);
    assert_string_equal("type", stele_error_get(error, "argument"));
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, money_withdrawn_message(NULL, NULL, &message, &error), error);
    assert_status(STELE_INVALID, money_withdrawn_message(&fifty, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, money_withdrawn_message(&fifty, &small, &message, &error), error);
    assert_status(STELE_INVALID, stele_message_new_raw(NULL, NULL, &message, &error), error);
    assert_status(STELE_INVALID, stele_message_new_raw(&raw, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_message_read(NULL, &withdraw_type, NULL, NULL, &error), error);
    message = make(NULL);
    assert_status(STELE_INVALID, stele_message_read(message, NULL, NULL, NULL, &error), error);
    stele_message_unref(message);
    stele_message_unref(NULL);
}

static void a_message_lives_until_its_last_reference(void **state)
{
    const size_t before = stele_memory_in_use();
    stele_message *message = make(NULL);
    stele_message *same = stele_message_ref(message);

    (void)state;
    assert_ptr_equal(message, same);
    stele_message_unref(message);
    assert_slice("bank.money.withdrawn", stele_message_type(same));
    stele_message_unref(same);
    assert_int_equal(before, stele_memory_in_use());
}

static void *reference_often(void *message)
{
    for (int i = 0; i < 20000; i++)
        stele_message_unref(stele_message_ref(message));
    stele_message_unref(message);
    return NULL;
}

static void references_are_counted_across_threads(void **state)
{
    const size_t before = stele_memory_in_use();
    stele_message *message = make(NULL);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, reference_often, stele_message_ref(message)));
    stele_message_unref(message);
    for (int i = 0; i < 4; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    assert_int_equal(before, stele_memory_in_use());
}

/* A message as a cursor lends it. */
static void lend(struct stele_message *row)
{
    static const struct stele_uuid uuid = {
        {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, 0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57}};

    memset(row, 0, sizeof(*row));
    row->self = row;
    row->id_is_uuid = true;
    row->uuid = uuid;
    row->type_version = 2;
    row->type = stele__slice("bank.money.withdrawn");
    row->time = 42;
    row->payload = stele__slice("\xC0");
    row->stream = stele__slice("account-17");
    row->version = 3;
    row->position = 99;
}

static void a_lent_message_prints_its_id_when_asked(void **state)
{
    struct stele_message row;
    stele_error *error = NULL;

    (void)state;
    lend(&row);
    assert_ok(stele__message_open_meta(&row, &error), error);
    assert_slice("01890a5d-ac96-774b-bcce-b302099a8057", stele_message_id(&row));
    assert_slice("stele", stele_message_source(&row));
    assert_int_equal(STELE_EVENT, stele_message_kind(&row));
}

static void a_reference_to_a_lent_message_is_a_copy(void **state)
{
    struct stele_message row;
    stele_message *kept, *again;
    stele_error *error = NULL;

    (void)state;
    lend(&row);
    assert_ok(stele__message_open_meta(&row, &error), error);
    kept = stele_message_ref(&row);
    memset(&row, 0, sizeof(row));
    again = stele_message_ref(kept);
    assert_ptr_equal(kept, again);
    assert_slice("01890a5d-ac96-774b-bcce-b302099a8057", stele_message_id(kept));
    assert_slice("bank.money.withdrawn", stele_message_type(kept));
    assert_int_equal(2, stele_message_type_version(kept));
    assert_int_equal(42, stele_message_time(kept));
    assert_slice("\xC0", stele_message_payload(kept));
    assert_slice("account-17", stele_message_stream(kept));
    assert_int_equal(3, stele_message_version(kept));
    assert_int_equal(99, stele_message_position(kept));
    stele_message_unref(again);
    stele_message_unref(kept);
}

static void a_lent_message_with_a_foreign_id_is_copied_whole(void **state)
{
    struct stele_message row;
    stele_message *kept;

    (void)state;
    lend(&row);
    stele__message_set_id(&row, stele__slice("order 17"));
    row.format = STELE_PAYLOAD_MSGPACK;
    assert_slice("order 17", stele_message_id(&row));
    kept = stele_message_ref(&row);
    assert_slice("order 17", stele_message_id(kept));
    assert_int_equal('\0', stele_message_id(kept).data[8]);
    stele_message_unref(kept);
}

/* What a store gave as an id was not checked; as that of a cause it is. */
static void a_foreign_id_is_checked_before_it_becomes_an_attribute(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_message row;
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    lend(&row);
    stele__message_set_id(&row, stele__slice("order\n17"));
    options.cause = &row;
    assert_failure(STELE_INVALID, money_withdrawn_message(&fifty, &options, &message, &error), error);
    assert_string_equal("correlationid", stele_error_get(error, "attribute"));
    stele_error_free(error);
}

static void what_is_said_in_place_of_what_is_inherited_is_checked(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *cause = make(NULL);
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    options.cause = cause;
    options.causationid = "a\nb";
    assert_failure(STELE_INVALID, money_withdrawn_message(&fifty, &options, &message, &error), error);
    assert_string_equal("causationid", stele_error_get(error, "attribute"));
    stele_error_free(error);
    stele_message_unref(cause);
}

/* --- Extensions of the cause -------------------------------------------------------- */

static stele_message *make_extended(const struct stele_extension *extensions, size_t count)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.extensions = extensions;
    options.extension_count = count;
    return make(&options);
}

static void a_message_that_follows_takes_over_the_extensions_it_has_not_itself(void **state)
{
    const struct stele_extension inherited[] = {{.name = "tenant", .text = {"north", 5}},
                                                {.name = "attempt", .kind = STELE_EXTENSION_INTEGER, .integer = -3},
                                                {.name = "replayed", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true}};
    const struct stele_extension own[] = {{.name = "attempt", .kind = STELE_EXTENSION_INTEGER, .integer = 4}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *cause = make_extended(inherited, 3);
    struct stele_extension extension;
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    options.cause = cause;
    options.extensions = own;
    options.extension_count = 1;
    assert_ok(stele__message_follow(&money_withdrawn_type, &fifty, &options, &message, &error), error);
    stele_message_unref(cause);
    assert_true(stele_message_extension(message, 0, &extension));
    assert_string_equal("attempt", extension.name);
    assert_int_equal(4, extension.integer);
    assert_true(stele_message_extension(message, 1, &extension));
    assert_string_equal("tenant", extension.name);
    assert_slice("north", extension.text);
    assert_true(stele_message_extension(message, 2, &extension));
    assert_string_equal("replayed", extension.name);
    assert_true(extension.boolean);
    assert_false(stele_message_extension(message, 3, &extension));
    stele_message_unref(message);
}

static void extensions_taken_over_count_towards_the_limit(void **state)
{
    struct stele_extension extensions[STELE_EXTENSIONS_MAX + 1];
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *cause;
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i <= STELE_EXTENSIONS_MAX; i++) {
        extensions[i] = (struct stele_extension){.kind = STELE_EXTENSION_INTEGER};
        snprintf(extensions[i].name, sizeof(extensions[i].name), "e%d", i);
    }
    cause = make_extended(extensions, STELE_EXTENSIONS_MAX - 1);
    options.cause = cause;
    options.extensions = &extensions[STELE_EXTENSIONS_MAX - 1];
    options.extension_count = 1;
    assert_ok(stele__message_follow(&money_withdrawn_type, &fifty, &options, &message, &error), error);
    stele_message_unref(message);
    options.extension_count = 2;
    assert_failure(STELE_LIMIT, stele__message_follow(&money_withdrawn_type, &fifty, &options, &message, &error),
                   error);
    stele_error_free(error);
    error = NULL;
    /* A message that only names a cause takes nothing over. */
    assert_ok(stele_message_new(&money_withdrawn_type, &fifty, &options, &message, &error), error);
    assert_false(stele_message_extension(message, 2, &extensions[0]));
    stele_message_unref(message);
    stele_message_unref(cause);
}

/* --- Out of memory -------------------------------------------------------------------- */

/* Payload and attributes beyond what fits on the stack. */
static stele_status make_long(void *context, stele_error **error)
{
    const struct note payload = {.text = context};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct note read = {0};
    stele_arena *arena = NULL;
    stele_message *message = NULL;
    stele_status status;

    options.subject = context;
    status = note_message(&payload, &options, &message, error);
    if (!status)
        status = stele_arena_new(&arena, error);
    if (!status)
        status = note_read(message, arena, &read, error);
    if (!status) {
        assert_string_equal(context, read.text);
        assert_slice(context, stele_message_subject(message));
    }
    stele_message_unref(message);
    stele_arena_free(arena);
    return status;
}

static stele_status make_full(void *context, stele_error **error)
{
    const struct money_withdrawn payload = {.amount = 1, .reference = "rent"};
    const struct stele_extension extension = {.name = "tenant", .text = {"north", 5}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_status status;

    (void)context;
    options.subject = "account-17";
    options.extensions = &extension;
    options.extension_count = 1;
    status = money_withdrawn_message(&payload, &options, &message, error);
    if (status)
        assert_null(message);
    stele_message_unref(message);
    return status;
}

static stele_status make_full_raw(void *context, stele_error **error)
{
    const struct stele_slice payload = {"\x93\x01\x02\x03", 4};
    stele_message *message = NULL;
    const stele_status status = make_raw(STELE_PAYLOAD_MSGPACK, payload, 0, &message, error);

    (void)context;
    stele_message_unref(message);
    return status;
}

static void making_a_message_survives_every_failed_allocation(void **state)
{
    char text[1001];
    struct stele_message row;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    /* The payload, the attributes, the message, the arena and its block. */
    assert_int_equal(5, support_every_allocation_fails(make_long, text));
    assert_true(support_every_allocation_fails(make_full, NULL) > 0);
    assert_true(support_every_allocation_fails(make_full_raw, NULL) > 0);
    lend(&row);
    support_fail_allocation(1);
    assert_null(stele_message_ref(&row));
    support_fail_allocation(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX01_defaults_are_present_and_ids_unique),
        support_test(ORX01_optional_attributes_are_absent_by_default),
        support_test(ORX01_overrides_are_kept),
        support_test(ORX01_a_time_of_0_is_a_time),
        support_test(ORX02_a_message_does_not_change_with_what_it_was_made_of),
        support_test(ORX03_the_kind_is_that_of_the_type),
        support_test(ORX03_a_state_is_no_message),
        support_test(ORX04_three_generations_are_chained),
        support_test(ORX04_what_is_said_comes_before_what_is_inherited),
        support_test(a_foreign_id_is_checked_before_it_becomes_an_attribute),
        support_test(what_is_said_in_place_of_what_is_inherited_is_checked),
        support_test(a_message_that_follows_takes_over_the_extensions_it_has_not_itself),
        support_test(extensions_taken_over_count_towards_the_limit),
        support_test(an_id_is_a_uuid_only_in_its_canonical_text),
        support_test(a_payload_is_read_back),
        support_test(a_broken_rule_makes_no_message),
        support_test(reading_as_another_type_or_version_is_refused),
        support_test(reading_bytes_as_a_type_is_refused),
        support_test(a_raw_message_keeps_kind_type_version_and_payload),
        support_test(no_payload_and_an_empty_one_differ),
        support_test(raw_payloads_that_are_not_what_they_say_are_refused),
        support_test(a_raw_payload_with_a_key_twice_is_refused),
        support_test(a_payload_may_reach_its_limit_but_not_pass_it),
        support_test(missing_arguments_are_named),
        support_test(a_message_lives_until_its_last_reference),
        support_test(references_are_counted_across_threads),
        support_test(a_lent_message_prints_its_id_when_asked),
        support_test(a_reference_to_a_lent_message_is_a_copy),
        support_test(a_lent_message_with_a_foreign_id_is_copied_whole),
        support_test(making_a_message_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
