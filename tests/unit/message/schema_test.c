/* JSON Schema of types, against texts written by hand. */
#include "tests/support/support.h"

#include <stele/type.h>

#include <string.h>

#define HEAD "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":"
#define INT64_BOUNDS "\"minimum\":-9223372036854775808,\"maximum\":9223372036854775807"

static bool any_int(int64_t value)
{
    return value != 7;
}

static void assert_schema(const struct stele_type *type, const char *expected)
{
    struct stele_slice text;
    stele_arena *arena;
    stele_error *error = NULL;

    assert_ok(stele_type_check(type, &error), error);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_json_schema(type, arena, &text, &error), error);
    assert_string_equal(expected, text.data);
    assert_int_equal(strlen(expected), text.size);
    stele_arena_free(arena);
}

#define WITHDRAWN(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, OPTIONAL(TEXT), reference, STELE_MAX_LENGTH(35))
STELE_DECLARE_STRUCT(withdrawn, WITHDRAWN);
STELE_DEFINE_EVENT(withdrawn, "bank.money.withdrawn", 1, WITHDRAWN);

static void a_type_is_an_object_with_its_required_fields(void **state)
{
    (void)state;
    assert_schema(&withdrawn_type,
                  HEAD "\"bank.money.withdrawn\",\"type\":\"object\",\"properties\":{"
                       "\"amount\":{\"type\":\"integer\",\"exclusiveMinimum\":0,\"maximum\":9223372036854775807},"
                       "\"reference\":{\"type\":\"string\",\"maxLength\":35}},\"required\":[\"amount\"]}");
}

#define KINDS(FIELD, T) \
    FIELD(T, BOOL, yes) \
    FIELD(T, INT64, integer) \
    FIELD(T, UINT64, natural) \
    FIELD(T, DOUBLE, real) \
    FIELD(T, TEXT, text) \
    FIELD(T, BYTES, bytes) \
    FIELD(T, UUID, uuid) \
    FIELD(T, TIME, time)
STELE_DECLARE_STRUCT(kinds, KINDS);
STELE_DEFINE_STRUCT(kinds, KINDS);

static void every_kind_has_its_type_and_bounds(void **state)
{
    (void)state;
    assert_schema(&kinds_type,
                  HEAD "\"kinds\",\"type\":\"object\",\"properties\":{"
                       "\"yes\":{\"type\":\"boolean\"},"
                       "\"integer\":{\"type\":\"integer\"," INT64_BOUNDS "},"
                       "\"natural\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":18446744073709551615},"
                       "\"real\":{\"type\":\"number\"},"
                       "\"text\":{\"type\":\"string\"},"
                       "\"bytes\":{\"type\":\"string\",\"contentEncoding\":\"base64\"},"
                       "\"uuid\":{\"type\":\"string\",\"format\":\"uuid\"},"
                       "\"time\":{\"type\":\"string\",\"format\":\"date-time\"}},"
                       "\"required\":[\"yes\",\"integer\",\"natural\",\"real\",\"text\",\"bytes\",\"uuid\",\"time\"]}");
}

#define NUMBERS(FIELD, T) \
    FIELD(T, INT64, a, STELE_MIN(-5), STELE_MAX(5)) \
    FIELD(T, INT64, b, STELE_NON_NEGATIVE) \
    FIELD(T, INT64, c, STELE_NON_NEGATIVE, STELE_MIN(-1)) \
    FIELD(T, INT64, d, STELE_POSITIVE, STELE_MIN(3)) \
    FIELD(T, UINT64, e, STELE_POSITIVE) \
    FIELD(T, UINT64, f, STELE_MIN_UINT(1), STELE_MAX_UINT(2)) \
    FIELD(T, DOUBLE, g, STELE_POSITIVE, STELE_MAX_DOUBLE(0.5)) \
    FIELD(T, DOUBLE, h, STELE_NON_NEGATIVE) \
    FIELD(T, DOUBLE, i, STELE_MIN_DOUBLE(-1.5)) \
    FIELD(T, TIME, j, STELE_MIN(0), STELE_MAX(1000000000)) \
    FIELD(T, INT64, k, STELE_CHECK_INT64(any_int, "anything but \"7\""))
STELE_DECLARE_STRUCT(numbers, NUMBERS);
STELE_DEFINE_STRUCT(numbers, NUMBERS);

static void ORX06_rules_of_numbers_are_keywords(void **state)
{
    (void)state;
    assert_schema(&numbers_type, HEAD
                  "\"numbers\",\"type\":\"object\",\"properties\":{"
                  "\"a\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":5},"
                  "\"b\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9223372036854775807},"
                  "\"c\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9223372036854775807},"
                  "\"d\":{\"type\":\"integer\",\"exclusiveMinimum\":0,\"minimum\":3,\"maximum\":9223372036854775807},"
                  "\"e\":{\"type\":\"integer\",\"exclusiveMinimum\":0,\"maximum\":18446744073709551615},"
                  "\"f\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2},"
                  "\"g\":{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":0.5},"
                  "\"h\":{\"type\":\"number\",\"minimum\":0},"
                  "\"i\":{\"type\":\"number\",\"minimum\":-1.5},"
                  "\"j\":{\"type\":\"string\",\"format\":\"date-time\","
                  "\"description\":\"at least 1970-01-01T00:00:00Z; at most 1970-01-01T00:00:01Z\"},"
                  "\"k\":{\"type\":\"integer\"," INT64_BOUNDS ",\"description\":\"anything but \\\"7\\\"\"}},"
                  "\"required\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\"]}");
}

#define TEXTS(FIELD, T) \
    FIELD(T, TEXT, a, STELE_NON_EMPTY, STELE_MIN_LENGTH(2), STELE_MAX_LENGTH(3)) \
    FIELD(T, TEXT, b, STELE_ONE_OF("EUR", "a\"b")) \
    FIELD(T, BYTES, c, STELE_MIN_LENGTH(1), STELE_MAX_LENGTH(4)) \
    FIELD(T, BYTES, d, STELE_NON_EMPTY) \
    FIELD(T, UUID, e, STELE_NON_EMPTY) \
    FIELD(T, LIST(TEXT), f, STELE_NON_EMPTY, STELE_ONE_OF("x")) \
    FIELD(T, OPTIONAL(LIST(INT64)), g, STELE_MIN_LENGTH(2), STELE_MAX_LENGTH(9), STELE_POSITIVE)
STELE_DECLARE_STRUCT(texts, TEXTS);
STELE_DEFINE_STRUCT(texts, TEXTS);

static void ORX06_rules_of_text_and_lists_are_keywords(void **state)
{
    (void)state;
    /* In base64, 1 byte is 4 characters and 4 bytes are 8. */
    assert_schema(&texts_type,
                  HEAD "\"texts\",\"type\":\"object\",\"properties\":{"
                       "\"a\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3,\"pattern\":\"\\\\S\"},"
                       "\"b\":{\"type\":\"string\",\"enum\":[\"EUR\",\"a\\\"b\"]},"
                       "\"c\":{\"type\":\"string\",\"contentEncoding\":\"base64\",\"minLength\":4,\"maxLength\":8},"
                       "\"d\":{\"type\":\"string\",\"contentEncoding\":\"base64\",\"minLength\":4},"
                       "\"e\":{\"type\":\"string\",\"format\":\"uuid\","
                       "\"not\":{\"const\":\"00000000-0000-0000-0000-000000000000\"}},"
                       "\"f\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"x\"]},\"minItems\":1},"
                       "\"g\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"exclusiveMinimum\":0,"
                       "\"maximum\":9223372036854775807},\"minItems\":2,\"maxItems\":9}},"
                       "\"required\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]}");
}

#define DEFAULTS(FIELD, T) \
    FIELD(T, BOOL, a, STELE_DEFAULT_BOOL(false)) \
    FIELD(T, INT64, b, STELE_DEFAULT(-1), STELE_MIN(-1), STELE_MAX(1)) \
    FIELD(T, UINT64, c, STELE_DEFAULT_UINT(18446744073709551615U)) \
    FIELD(T, DOUBLE, d, STELE_DEFAULT_DOUBLE(0.5)) \
    FIELD(T, TEXT, e, STELE_DEFAULT_TEXT("EUR")) \
    FIELD(T, TIME, f, STELE_DEFAULT(1000000000))
STELE_DECLARE_STRUCT(defaults, DEFAULTS);
STELE_DEFINE_STRUCT(defaults, DEFAULTS);

static void fields_with_a_default_are_not_required(void **state)
{
    (void)state;
    assert_schema(&defaults_type,
                  HEAD "\"defaults\",\"type\":\"object\",\"properties\":{"
                       "\"a\":{\"type\":\"boolean\",\"default\":false},"
                       "\"b\":{\"type\":\"integer\",\"minimum\":-1,\"maximum\":1,\"default\":-1},"
                       "\"c\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":18446744073709551615,"
                       "\"default\":18446744073709551615},"
                       "\"d\":{\"type\":\"number\",\"default\":0.5},"
                       "\"e\":{\"type\":\"string\",\"default\":\"EUR\"},"
                       "\"f\":{\"type\":\"string\",\"format\":\"date-time\",\"default\":\"1970-01-01T00:00:01Z\"}},"
                       "\"required\":[]}");
}

#define NOTHING(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE_STRUCT(nothing, NOTHING);
STELE_DEFINE_QUERY(nothing, "bank.accounts", 1, NOTHING);

static void a_type_without_fields_is_any_object(void **state)
{
    (void)state;
    assert_schema(&nothing_type, HEAD "\"bank.accounts\",\"type\":\"object\",\"properties\":{},\"required\":[]}");
}

#define MONEY(FIELD, T) FIELD(T, BOOL, yes)
STELE_DECLARE_STRUCT(money, MONEY);
STELE_DEFINE_EVENT(money, "a/b~c d", 1, MONEY);
#define LINE(FIELD, T) FIELD(T, STRUCT(money), money) FIELD(T, OPTIONAL(STRUCT(line)), next)
STELE_DECLARE_STRUCT(line, LINE);
STELE_DEFINE_STRUCT(line, LINE);
#define ORDER(FIELD, T) \
    FIELD(T, LIST(STRUCT(line)), lines) \
    FIELD(T, OPTIONAL(STRUCT(money)), total) \
    FIELD(T, OPTIONAL(LIST(STRUCT(order))), parts)
STELE_DECLARE_STRUCT(order, ORDER);
STELE_DEFINE_COMMAND(order, "shop.order", 2, ORDER);

static void nested_types_are_defined_once_and_referred_to(void **state)
{
    (void)state;
    assert_schema(&order_type,
                  HEAD "\"shop.order\",\"type\":\"object\",\"properties\":{"
                       "\"lines\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/line\"}},"
                       "\"total\":{\"$ref\":\"#/$defs/a~1b~0c%20d\"},"
                       "\"parts\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}},"
                       "\"required\":[\"lines\"],"
                       "\"$defs\":{\"line\":{\"type\":\"object\",\"properties\":{"
                       "\"money\":{\"$ref\":\"#/$defs/a~1b~0c%20d\"},\"next\":{\"$ref\":\"#/$defs/line\"}},"
                       "\"required\":[\"money\"]},"
                       "\"a/b~c d\":{\"type\":\"object\",\"properties\":{\"yes\":{\"type\":\"boolean\"}},"
                       "\"required\":[\"yes\"]}}}");
}

static void two_types_of_one_name_are_refused(void **state)
{
    static const struct stele_type one = {.name = "same", .version = 1, .size = 1};
    static const struct stele_type other = {.name = "same", .version = 1, .size = 1};
    static const struct stele_field fields[] = {{.name = "a", .kind = STELE_KIND_STRUCT, .type = &one},
                                                {.name = "b", .kind = STELE_KIND_STRUCT, .type = &other}};
    static const struct stele_type both = {.name = "both", .version = 1, .size = 1, .fields = fields, .field_count = 2};
    struct stele_slice text;
    stele_arena *arena;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_failure(STELE_INVALID, stele_json_schema(&both, arena, &text, &error), error);
    assert_message(error, "two types in it are named same");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_json_schema(NULL, arena, &text, &error), error);
    stele_arena_free(arena);
}

static stele_status attempt_schema(void *context, stele_error **error)
{
    struct stele_slice text;
    stele_arena *arena;
    stele_status status = stele_arena_new(&arena, error);

    if (status != STELE_OK)
        return status;
    status = stele_json_schema(context ? &numbers_type : &order_type, arena, &text, error);
    stele_arena_free(arena);
    return status;
}

static void a_schema_survives_running_out_of_memory(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt_schema, NULL) >= 3);
    assert_true(support_every_allocation_fails(attempt_schema, &(int){1}) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_type_is_an_object_with_its_required_fields),
        support_test(every_kind_has_its_type_and_bounds),
        support_test(ORX06_rules_of_numbers_are_keywords),
        support_test(ORX06_rules_of_text_and_lists_are_keywords),
        support_test(fields_with_a_default_are_not_required),
        support_test(a_type_without_fields_is_any_object),
        support_test(nested_types_are_defined_once_and_referred_to),
        support_test(two_types_of_one_name_are_refused),
        support_test(a_schema_survives_running_out_of_memory),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
