/* Typed values through both codecs and stele_value_copy(): what goes in comes out, and what is wrong is named. */
#include "tests/support/support.h"

#include "samples.h"

#include <stele/limits.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMITS(FIELD, T) \
    FIELD(T, INT64, integer) \
    FIELD(T, OPTIONAL(UINT64), natural) \
    FIELD(T, OPTIONAL(DOUBLE), real) \
    FIELD(T, OPTIONAL(TEXT), text) \
    FIELD(T, OPTIONAL(BYTES), bytes) \
    FIELD(T, OPTIONAL(UUID), uuid) \
    FIELD(T, OPTIONAL(TIME), time) \
    FIELD(T, OPTIONAL(BOOL), yes) \
    FIELD(T, OPTIONAL(STRUCT(sample_part)), part) \
    FIELD(T, OPTIONAL(LIST(STRUCT(sample_part))), lines)
STELE_DECLARE_STRUCT(limits, LIMITS);
STELE_DEFINE_STRUCT(limits, LIMITS);

#define DEFAULTS(FIELD, T) \
    FIELD(T, INT64, integer, STELE_DEFAULT(-7)) \
    FIELD(T, UINT64, natural, STELE_DEFAULT_UINT(UINT64_MAX)) \
    FIELD(T, DOUBLE, real, STELE_DEFAULT_DOUBLE(0.25)) \
    FIELD(T, BOOL, yes, STELE_DEFAULT_BOOL(true)) \
    FIELD(T, TEXT, text, STELE_DEFAULT_TEXT("EUR")) \
    FIELD(T, TIME, time, STELE_DEFAULT(1000000000))
STELE_DECLARE_STRUCT(defaults, DEFAULTS);
STELE_DEFINE_STRUCT(defaults, DEFAULTS);

#define NOTHING(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE_STRUCT(nothing, NOTHING);
STELE_DEFINE_STRUCT(nothing, NOTHING);

#define TREE(FIELD, T) FIELD(T, OPTIONAL(STRUCT(tree)), child) FIELD(T, OPTIONAL(LIST(STRUCT(tree))), children)
STELE_DECLARE_STRUCT(tree, TREE);
STELE_DEFINE_STRUCT(tree, TREE);

#define BIG(FIELD, T) FIELD(T, BYTES, bytes)
STELE_DECLARE_STRUCT(big, BIG);
STELE_DEFINE_STRUCT(big, BIG);

struct fixture {
    stele_arena *arena;
    stele_error *error;
};

static int setup(void **state)
{
    static struct fixture fixture;

    support_setup(state);
    fixture.error = NULL;
    *state = &fixture;
    return stele_arena_new(&fixture.arena, NULL) == STELE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    stele_error_free(fixture->error);
    stele_arena_free(fixture->arena);
    return support_teardown(state);
}

#define value_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define bytes_of(literal) ((struct stele_slice){(literal), sizeof(literal) - 1})

static void assert_slice(struct stele_slice expected, struct stele_slice actual)
{
    assert_int_equal(expected.size, actual.size);
    assert_memory_equal(expected.data, actual.data, expected.size);
}

static void assert_fault(struct fixture *fixture, const char *field, const char *rule)
{
    if (field)
        assert_string_equal(field, stele_error_get(fixture->error, "field"));
    else
        assert_null(stele_error_get(fixture->error, "field"));
    assert_string_equal(rule, stele_error_get(fixture->error, "rule"));
    stele_error_free(fixture->error);
    fixture->error = NULL;
}

/* Every member of `sample_full`, as it must come out of a codec. */
static void assert_full(const struct sample_every *value)
{
    const struct sample_every *full = &sample_full;

    assert_true(value->yes && value->yes_optional.present && value->yes_optional.value);
    assert_int_equal(3, value->yes_list.count);
    assert_memory_equal(sample_yeses, value->yes_list.items, sizeof(sample_yeses));
    assert_int_equal(-5, value->integer);
    assert_true(value->integer_optional.present && value->integer_optional.value == INT64_MIN);
    assert_int_equal(SAMPLE_COUNT(sample_integers), value->integer_list.count);
    assert_memory_equal(sample_integers, value->integer_optional_list.items, sizeof(sample_integers));
    assert_true(value->natural_optional.present && value->natural_optional.value == UINT64_MAX);
    assert_memory_equal(sample_naturals, value->natural_list.items, sizeof(sample_naturals));
    /* By their bits: -0.0 is not 0.0 here. */
    assert_memory_equal(&full->real_optional.value, &value->real_optional.value, sizeof(double));
    assert_memory_equal(sample_reals, value->real_list.items, sizeof(sample_reals));
    assert_string_equal("text", value->text);
    assert_string_equal("", value->text_optional);
    for (size_t i = 0; i < SAMPLE_COUNT(sample_texts); i++)
        assert_string_equal(sample_texts[i], value->text_optional_list.items[i]);
    assert_slice(full->bytes, value->bytes);
    assert_non_null(value->bytes_optional.data);
    assert_int_equal(0, value->bytes_optional.size);
    for (size_t i = 0; i < SAMPLE_COUNT(sample_slices); i++)
        assert_slice(sample_slices[i], value->bytes_list.items[i]);
    assert_memory_equal(&full->uuid, &value->uuid, sizeof(full->uuid));
    assert_memory_equal(sample_uuids, value->uuid_list.items, sizeof(sample_uuids));
    assert_true(value->time_optional.present && value->time_optional.value == INT64_MIN);
    assert_memory_equal(sample_times, value->time_list.items, sizeof(sample_times));
    assert_int_equal(-7, value->part.number);
    assert_string_equal("seven", value->part.word);
    assert_int_equal(2, value->part_optional->number);
    assert_null(value->part_list.items[0].word);
    assert_string_equal("two", value->part_optional_list.items[1].word);
}

static void assert_least(const struct sample_every *value)
{
    assert_false(value->yes_optional.present || value->integer_optional.present || value->natural_optional.present);
    assert_false(value->real_optional.present || value->uuid_optional.present || value->time_optional.present);
    assert_null(value->text_optional);
    assert_null(value->bytes_optional.data);
    assert_null(value->part_optional);
    assert_int_equal(0, value->part_list.count);
    assert_null(value->part_optional_list.items);
    assert_null(value->integer_optional_list.items);
    assert_string_equal("", value->text);
    assert_non_null(value->bytes.data);
}

static void every_kind_and_shape_survives_msgpack(void **state)
{
    struct fixture *fixture = *state;
    struct sample_every value;
    struct stele_slice bytes;
    struct stele_slice again;

    assert_ok(stele_type_check(&sample_every_type, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_encode(&sample_every_type, &sample_full, fixture->arena, &bytes, &fixture->error),
              fixture->error);
    assert_ok(stele_msgpack_check(bytes, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_decode(&sample_every_type, bytes, fixture->arena, &value, &fixture->error), fixture->error);
    assert_full(&value);
    assert_ok(stele_msgpack_encode(&sample_every_type, &value, fixture->arena, &again, &fixture->error),
              fixture->error);
    assert_slice(bytes, again);
    assert_ok(stele_msgpack_encode(&sample_every_type, &sample_least, fixture->arena, &bytes, &fixture->error),
              fixture->error);
    assert_ok(stele_msgpack_decode(&sample_every_type, bytes, fixture->arena, &value, &fixture->error), fixture->error);
    assert_least(&value);
}

static void every_kind_and_shape_survives_json(void **state)
{
    struct fixture *fixture = *state;
    struct sample_every value;
    struct stele_slice text;
    struct stele_slice again;

    assert_ok(stele_json_encode(&sample_every_type, &sample_full, fixture->arena, &text, &fixture->error),
              fixture->error);
    assert_int_equal(text.size, strlen(text.data));
    assert_null(strchr(text.data, '\n'));
    assert_ok(stele_json_decode(&sample_every_type, text, fixture->arena, &value, &fixture->error), fixture->error);
    assert_full(&value);
    assert_ok(stele_json_encode(&sample_every_type, &value, fixture->arena, &again, &fixture->error), fixture->error);
    assert_string_equal(text.data, again.data);
    assert_ok(stele_json_encode(&sample_every_type, &sample_least, fixture->arena, &text, &fixture->error),
              fixture->error);
    assert_ok(stele_json_decode(&sample_every_type, text, fixture->arena, &value, &fixture->error), fixture->error);
    assert_least(&value);
}

static void a_copy_shares_nothing_with_its_original(void **state)
{
    struct fixture *fixture = *state;
    struct sample_every decoded;
    struct sample_every copy;
    struct stele_slice bytes;
    stele_arena *other;

    assert_ok(stele_arena_new(&other, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_encode(&sample_every_type, &sample_full, other, &bytes, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_decode(&sample_every_type, bytes, other, &decoded, &fixture->error), fixture->error);
    assert_ok(stele_value_copy(&sample_every_type, &decoded, fixture->arena, &copy, &fixture->error), fixture->error);
    /* With the original's memory gone (and poisoned), the copy is still whole. */
    stele_arena_free(other);
    assert_full(&copy);
    assert_ok(stele_value_copy(&sample_every_type, &sample_least, fixture->arena, &copy, &fixture->error),
              fixture->error);
    assert_least(&copy);
}

static void the_bytes_and_the_text_are_as_documented(void **state)
{
    struct fixture *fixture = *state;
    static const struct sample_part lines[] = {{1, "x"}};
    const struct limits value = {.integer = -1,
                                 .natural = {300, true},
                                 .real = {1.5, true},
                                 .text = "hi",
                                 .bytes = {"\x00\x01", 2},
                                 .uuid = {{{0xff}}, true},
                                 .time = {1000000000, true},
                                 .yes = {true, true},
                                 .part = &lines[0],
                                 .lines = {lines, 1}};
    struct stele_slice out;

    assert_ok(stele_msgpack_encode(&limits_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_slice(bytes_of("\x8a\xa7"
                          "integer\xff\xa7"
                          "natural\xcd\x01\x2c\xa4"
                          "real\xcb\x3f\xf8\0\0\0\0\0\0\xa4"
                          "text\xa2hi\xa5"
                          "bytes\xc4\x02\0\x01\xa4"
                          "uuid\xd9\x24"
                          "ff000000-0000-0000-0000-000000000000\xa4"
                          "time\xce\x3b\x9a\xca\0\xa3"
                          "yes\xc3\xa4"
                          "part\x82\xa6number\x01\xa4word\xa1x\xa5"
                          "lines\x91\x82\xa6number\x01\xa4word\xa1x"),
                 out);
    assert_ok(stele_json_encode(&limits_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_string_equal(
        "{\"integer\":-1,\"natural\":300,\"real\":1.5,\"text\":\"hi\",\"bytes\":\"AAE=\","
        "\"uuid\":\"ff000000-0000-0000-0000-000000000000\",\"time\":\"1970-01-01T00:00:01Z\","
        "\"yes\":true,\"part\":{\"number\":1,\"word\":\"x\"},\"lines\":[{\"number\":1,\"word\":\"x\"}]}",
        out.data);
}

static void a_type_without_fields_is_an_empty_map(void **state)
{
    struct fixture *fixture = *state;
    struct nothing value = {0};
    struct stele_slice out;

    assert_ok(stele_type_check(&nothing_type, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_encode(&nothing_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_slice(bytes_of("\x80"), out);
    assert_ok(stele_msgpack_decode(&nothing_type, bytes_of("\x81\xacstele_unused\x01"), fixture->arena, &value,
                                   &fixture->error),
              fixture->error);
    assert_ok(stele_json_encode(&nothing_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_string_equal("{}", out.data);
    assert_ok(stele_json_decode(&nothing_type, bytes_of("{\"a\":1}"), fixture->arena, &value, &fixture->error),
              fixture->error);
}

static void absent_fields_take_their_defaults(void **state)
{
    struct fixture *fixture = *state;
    struct defaults value[2];

    assert_ok(stele_type_check(&defaults_type, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_decode(&defaults_type, bytes_of("\x80"), fixture->arena, &value[0], &fixture->error),
              fixture->error);
    assert_ok(stele_json_decode(&defaults_type, bytes_of("{}"), fixture->arena, &value[1], &fixture->error),
              fixture->error);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(-7, value[i].integer);
        assert_true(value[i].natural == UINT64_MAX && value[i].real == 0.25 && value[i].yes);
        assert_string_equal("EUR", value[i].text);
        assert_int_equal(1000000000, value[i].time);
    }
}

static void an_absent_required_field_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;

    assert_failure(STELE_INVALID,
                   stele_msgpack_decode(&limits_type, bytes_of("\x80"), fixture->arena, &value, &fixture->error),
                   fixture->error);
    assert_string_equal("limits", stele_error_get(fixture->error, "type"));
    assert_fault(fixture, "integer", "required");
    assert_failure(STELE_INVALID,
                   stele_json_decode(&limits_type, bytes_of("{\"integer\":1,\"lines\":[{\"number\":1},{}]}"),
                                     fixture->arena, &value, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "lines[1].number", "required");
    assert_failure(STELE_INVALID,
                   stele_msgpack_decode(&limits_type,
                                        bytes_of("\x82\xa7integer\x01\xa5lines\x92\x81\xa6number\x01\x80"),
                                        fixture->arena, &value, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "lines[1].number", "required");
}

static void nil_and_null_are_absent_where_that_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;

    assert_ok(stele_msgpack_decode(&limits_type,
                                   bytes_of("\x86\xa7integer\x01\xa7natural\xc0\xa4text\xc0\xa5"
                                            "bytes\xc0\xa4part\xc0\xa5lines\xc0"),
                                   fixture->arena, &value, &fixture->error),
              fixture->error);
    assert_false(value.natural.present);
    assert_true(!value.text && !value.bytes.data && !value.part && !value.lines.items);
    assert_ok(stele_json_decode(&limits_type, bytes_of("{\"integer\":1,\"natural\":null,\"lines\":null,\"part\":null}"),
                                fixture->arena, &value, &fixture->error),
              fixture->error);
    assert_true(!value.natural.present && !value.part && !value.lines.items);
    assert_failure(
        STELE_INVALID,
        stele_msgpack_decode(&limits_type, bytes_of("\x81\xa7integer\xc0"), fixture->arena, &value, &fixture->error),
        fixture->error);
    assert_fault(fixture, "integer", "integer from -9223372036854775808 to 9223372036854775807");
}

static void unknown_fields_are_skipped_and_order_does_not_matter(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;

    assert_ok(stele_msgpack_decode(&limits_type,
                                   bytes_of("\x84\xa1x\x92\x81\xa1y\xc0\xc7\x01\x05z\xa4text\xa1t\xd9\x01q\xca\0\0\0\0"
                                            "\xa7integer\x07"),
                                   fixture->arena, &value, &fixture->error),
              fixture->error);
    assert_int_equal(7, value.integer);
    assert_string_equal("t", value.text);
    assert_ok(stele_json_decode(&limits_type, bytes_of("{\"x\":[{\"y\":null}],\"text\":\"t\",\"integer\":7}"),
                                fixture->arena, &value, &fixture->error),
              fixture->error);
    assert_int_equal(7, value.integer);
}

static void msgpack_key_twice_is_malformed(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;

    assert_failure(STELE_MALFORMED,
                   stele_msgpack_decode(&limits_type, bytes_of("\x82\xa7integer\x01\xa7integer\x02"), fixture->arena,
                                        &value, &fixture->error),
                   fixture->error);
    assert_string_equal("10", stele_error_get(fixture->error, "offset"));
}

struct wrong {
    struct stele_slice bytes;
    const char *field;
    const char *rule;
};

static void msgpack_of_a_wrong_kind_names_field_and_rule(void **state)
{
    static const char *const int64_rule = "integer from -9223372036854775808 to 9223372036854775807";
    static const char *const uint64_rule = "integer from 0 to 18446744073709551615";
    const struct wrong cases[] = {
        {bytes_of("\x93\x01\x02\x03"), NULL, "map of fields"},
        {bytes_of("\x01"), NULL, "map of fields"},
        {bytes_of("\x81\x01\x02"), NULL, "keys are text"},
        {bytes_of("\x81\xc4\x01z\x02"), NULL, "keys are text"},
        {bytes_of("\x81\xa7integer\xa1x"), "integer", int64_rule},
        {bytes_of("\x81\xa7integer\xc3"), "integer", int64_rule},
        {bytes_of("\x81\xa7integer\xcb\x3f\xf0\0\0\0\0\0\0"), "integer", int64_rule},
        {bytes_of("\x81\xa7integer\xcf\x80\0\0\0\0\0\0\0"), "integer", int64_rule},
        {bytes_of("\x81\xa7natural\xff"), "natural", uint64_rule},
        {bytes_of("\x81\xa7natural\xcb\x3f\xf0\0\0\0\0\0\0"), "natural", uint64_rule},
        {bytes_of("\x81\xa4real\xa1x"), "real", "finite number"},
        {bytes_of("\x81\xa4real\xcb\x7f\xf0\0\0\0\0\0\0"), "real", "finite number"},
        {bytes_of("\x81\xa4real\xca\x7f\xc0\0\0"), "real", "finite number"},
        {bytes_of("\x81\xa4text\x01"), "text", "text"},
        {bytes_of("\x81\xa4text\xc4\x01x"), "text", "text"},
        {bytes_of("\x81\xa4text\xa3x\0y"), "text", "text without U+0000"},
        {bytes_of("\x81\xa5"
                  "bytes\xa1x"),
         "bytes", "bytes"},
        {bytes_of("\x81\xa4uuid\xa1x"), "uuid", "UUID"},
        {bytes_of("\x81\xa4uuid\xc4\x02xy"), "uuid", "UUID"},
        {bytes_of("\x81\xa4time\xa1x"), "time", "time"},
        {bytes_of("\x81\xa3yes\x01"), "yes", "true or false"},
        {bytes_of("\x81\xa4part\x01"), "part", "map of fields"},
        {bytes_of("\x81\xa4part\x81\xa6number\xc3"), "part.number", int64_rule},
        {bytes_of("\x81\xa5lines\x01"), "lines", "list"},
        {bytes_of("\x81\xa5lines\x80"), "lines", "list"},
        {bytes_of("\x81\xa5lines\x92\x81\xa6number\x01\xc3"), "lines[1]", "map of fields"},
    };
    struct fixture *fixture = *state;
    struct limits value;

    for (size_t i = 0; i < SAMPLE_COUNT(cases); i++) {
        assert_failure(STELE_INVALID,
                       stele_msgpack_decode(&limits_type, cases[i].bytes, fixture->arena, &value, &fixture->error),
                       fixture->error);
        assert_string_equal("limits", stele_error_get(fixture->error, "type"));
        assert_fault(fixture, cases[i].field, cases[i].rule);
    }
}

static void json_of_a_wrong_kind_names_field_and_rule(void **state)
{
    static const char *const int64_rule = "integer from -9223372036854775808 to 9223372036854775807";
    const struct wrong cases[] = {
        {bytes_of("[1]"), NULL, "object of fields"},
        {bytes_of("null"), NULL, "object of fields"},
        {bytes_of("{\"integer\":\"1\"}"), "integer", int64_rule},
        {bytes_of("{\"integer\":1.0}"), "integer", int64_rule},
        {bytes_of("{\"integer\":9223372036854775808}"), "integer", int64_rule},
        {bytes_of("{\"integer\":1,\"natural\":-1}"), "natural", "integer from 0 to 18446744073709551615"},
        {bytes_of("{\"integer\":1,\"natural\":1.5}"), "natural", "integer from 0 to 18446744073709551615"},
        {bytes_of("{\"integer\":1,\"real\":\"1\"}"), "real", "finite number"},
        {bytes_of("{\"integer\":1,\"text\":1}"), "text", "text"},
        {bytes_of("{\"integer\":1,\"text\":\"a\\u0000b\"}"), "text", "text without U+0000"},
        {bytes_of("{\"integer\":1,\"bytes\":1}"), "bytes", "text in base64"},
        {bytes_of("{\"integer\":1,\"bytes\":\"AA\"}"), "bytes", "text in base64"},
        {bytes_of("{\"integer\":1,\"uuid\":\"x\"}"), "uuid", "UUID"},
        {bytes_of("{\"integer\":1,\"time\":\"x\"}"), "time", "time of RFC 3339 or integer of nanoseconds"},
        {bytes_of("{\"integer\":1,\"time\":1.5}"), "time", "time of RFC 3339 or integer of nanoseconds"},
        {bytes_of("{\"integer\":1,\"yes\":1}"), "yes", "true or false"},
        {bytes_of("{\"integer\":1,\"part\":[]}"), "part", "object of fields"},
        {bytes_of("{\"integer\":1,\"lines\":{}}"), "lines", "list"},
        {bytes_of("{\"integer\":1,\"lines\":[{\"number\":1},null]}"), "lines[1]", "object of fields"},
    };
    struct fixture *fixture = *state;
    struct limits value;

    for (size_t i = 0; i < SAMPLE_COUNT(cases); i++) {
        assert_failure(STELE_INVALID,
                       stele_json_decode(&limits_type, cases[i].bytes, fixture->arena, &value, &fixture->error),
                       fixture->error);
        assert_fault(fixture, cases[i].field, cases[i].rule);
    }
}

static void kinds_are_read_in_all_their_forms(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;

    assert_ok(
        stele_msgpack_decode(&limits_type,
                             bytes_of("\x84\xa7integer\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xa4real\x03\xa4uuid\xc4\x10"
                                      "0123456789abcdef\xa7natural\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
                             fixture->arena, &value, &fixture->error),
        fixture->error);
    assert_true(value.integer == INT64_MAX && value.natural.value == UINT64_MAX && value.real.value == 3.0);
    assert_memory_equal("0123456789abcdef", value.uuid.value.bytes, 16);
    assert_ok(stele_json_decode(&limits_type,
                                bytes_of("{\"integer\":-9223372036854775808,\"natural\":18446744073709551615,"
                                         "\"real\":18446744073709551615,\"time\":1500000000}"),
                                fixture->arena, &value, &fixture->error),
              fixture->error);
    assert_true(value.integer == INT64_MIN && value.natural.value == UINT64_MAX);
    assert_true(value.real.value == 18446744073709551616.0 && value.time.value == 1500000000);
}

static void invalid_utf8_in_msgpack_text_is_malformed(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;

    assert_failure(
        STELE_MALFORMED,
        stele_msgpack_decode(&limits_type, bytes_of("\x81\xa4text\xa3x\xc3y"), fixture->arena, &value, &fixture->error),
        fixture->error);
    assert_string_equal("8", stele_error_get(fixture->error, "offset"));
    stele_error_free(fixture->error);
    fixture->error = NULL;
    /* 0x7f is the last byte of ASCII, 0x80 never begins a character. */
    assert_ok(stele_msgpack_decode(&limits_type, bytes_of("\x82\xa7integer\x01\xa4text\xa1\x7f"), fixture->arena,
                                   &value, &fixture->error),
              fixture->error);
    assert_status(STELE_MALFORMED,
                  stele_msgpack_decode(&limits_type, bytes_of("\x82\xa7integer\x01\xa4text\xa1\x80"), fixture->arena,
                                       &value, &fixture->error),
                  fixture->error);
}

static void decoded_text_is_terminated_and_bytes_point_into_the_input(void **state)
{
    struct fixture *fixture = *state;
    const struct stele_slice input = bytes_of("\x83\xa7integer\x01\xa4text\xa3"
                                              "abc\xa5"
                                              "bytes\xc4\x02xy");
    struct limits value;

    assert_ok(stele_msgpack_decode(&limits_type, input, fixture->arena, &value, &fixture->error), fixture->error);
    assert_int_equal(3, strlen(value.text));
    assert_ptr_equal(input.data + input.size - 2, value.bytes.data);
}

static void a_value_of_numbers_needs_no_memory(void **state)
{
    struct fixture *fixture = *state;
    struct limits value;
    size_t before;

    stele_arena_reset(fixture->arena);
    before = support_allocations();
    assert_ok(stele_msgpack_decode(&limits_type, bytes_of("\x82\xa7integer\x01\xa4real\x02"), fixture->arena, &value,
                                   &fixture->error),
              fixture->error);
    assert_int_equal(before, support_allocations());
    assert_int_equal(0, stele_arena_used(fixture->arena));
}

static void every_truncation_of_a_payload_is_malformed(void **state)
{
    struct fixture *fixture = *state;
    struct sample_every value;
    struct stele_slice bytes;

    assert_ok(stele_msgpack_encode(&sample_every_type, &sample_full, fixture->arena, &bytes, &fixture->error),
              fixture->error);
    for (size_t size = 0; size < bytes.size; size++) {
        /* In a block of exactly that size, so that a read beyond it is seen. */
        char *cut = malloc(size ? size : 1);

        memcpy(cut, bytes.data, size);
        assert_status(STELE_MALFORMED,
                      stele_msgpack_decode(&sample_every_type, (struct stele_slice){cut, size}, fixture->arena, &value,
                                           &fixture->error),
                      fixture->error);
        assert_status(STELE_MALFORMED, stele_msgpack_check((struct stele_slice){cut, size}, &fixture->error),
                      fixture->error);
        free(cut);
    }
}

static void every_truncation_of_a_text_is_malformed(void **state)
{
    struct fixture *fixture = *state;
    struct sample_every value;
    struct stele_slice text;

    assert_ok(stele_json_encode(&sample_every_type, &sample_full, fixture->arena, &text, &fixture->error),
              fixture->error);
    for (size_t size = 0; size < text.size; size++) {
        char *cut = malloc(size ? size : 1);

        memcpy(cut, text.data, size);
        assert_status(STELE_MALFORMED,
                      stele_json_decode(&sample_every_type, (struct stele_slice){cut, size}, fixture->arena, &value,
                                        &fixture->error),
                      fixture->error);
        free(cut);
    }
}

static void bytes_behind_the_value_are_malformed(void **state)
{
    struct fixture *fixture = *state;
    struct nothing value;

    assert_failure(STELE_MALFORMED,
                   stele_msgpack_decode(&nothing_type, bytes_of("\x80\x80"), fixture->arena, &value, &fixture->error),
                   fixture->error);
    assert_string_equal("1", stele_error_get(fixture->error, "offset"));
    stele_error_free(fixture->error);
    fixture->error = NULL;
    assert_status(STELE_MALFORMED,
                  stele_json_decode(&nothing_type, bytes_of("{} {}"), fixture->arena, &value, &fixture->error),
                  fixture->error);
}

static void random_and_mutated_bytes_never_crash(void **state)
{
    struct fixture *fixture = *state;
    struct support_random random = support_seed();
    struct stele_slice bytes;
    struct sample_every value;
    size_t decoded = 0;

    assert_ok(stele_msgpack_encode(&sample_every_type, &sample_full, fixture->arena, &bytes, &fixture->error),
              fixture->error);
    for (size_t round = 0; round < 20000; round++) {
        const bool mutate = round % 4 != 0;
        const size_t size = mutate ? bytes.size : support_random_below(&random, 64);
        char *input = malloc(size ? size : 1);
        stele_arena *arena;

        assert_ok(stele_arena_new(&arena, &fixture->error), fixture->error);
        if (mutate)
            memcpy(input, bytes.data, size);
        else
            support_random_bytes(&random, input, size);
        for (size_t i = 0; mutate && i <= round % 3; i++)
            input[support_random_below(&random, size)] = (char)support_random_next(&random);
        decoded += stele_msgpack_decode(&sample_every_type, (struct stele_slice){input, size}, arena, &value, NULL) ==
                   STELE_OK;
        /* What is well-formed JSON-like MessagePack also prints. */
        if (stele_msgpack_is_json((struct stele_slice){input, size})) {
            struct stele_slice text;

            assert_ok(stele_json_from_msgpack((struct stele_slice){input, size}, arena, &text, &fixture->error),
                      fixture->error);
        }
        free(input);
        stele_arena_free(arena);
    }
    /* Mutations in numbers and texts leave a valid payload. */
    assert_true(decoded > 0);
}

static void random_and_mutated_texts_never_crash(void **state)
{
    static const char alphabet[] = "{}[]\",:\\0123456789-+.eEtrufalsn \x80\xff\x00";
    struct fixture *fixture = *state;
    struct support_random random = support_seed();
    struct stele_slice text;
    struct sample_every value;
    size_t decoded = 0;

    assert_ok(stele_json_encode(&sample_every_type, &sample_full, fixture->arena, &text, &fixture->error),
              fixture->error);
    for (size_t round = 0; round < 4000; round++) {
        char *input = malloc(text.size);
        stele_arena *arena;

        assert_ok(stele_arena_new(&arena, &fixture->error), fixture->error);
        memcpy(input, text.data, text.size);
        for (size_t i = 0; i <= round % 3; i++)
            input[support_random_below(&random, text.size)] = alphabet[support_random_below(&random, sizeof(alphabet))];
        decoded += stele_json_decode(&sample_every_type, (struct stele_slice){input, text.size}, arena, &value, NULL) ==
                   STELE_OK;
        free(input);
        stele_arena_free(arena);
    }
    assert_true(decoded > 0);
}

/* A tree of `levels` maps inside each other. */
static struct stele_slice nested_trees(stele_arena *arena, size_t levels)
{
    char *bytes = stele_arena_alloc(arena, levels * 7);
    size_t size = 0;

    for (size_t i = 1; i < levels; i++, size += 7)
        memcpy(bytes + size,
               "\x81\xa5"
               "child",
               7);
    bytes[size++] = '\x80';
    return (struct stele_slice){bytes, size};
}

static void nesting_is_64_deep_at_most(void **state)
{
    struct fixture *fixture = *state;
    struct tree value;
    struct tree copy;
    struct tree deeper = {.child = &value};
    struct stele_slice out;

    assert_ok(stele_type_check(&tree_type, &fixture->error), fixture->error);
    assert_ok(
        stele_msgpack_decode(&tree_type, nested_trees(fixture->arena, 64), fixture->arena, &value, &fixture->error),
        fixture->error);
    assert_ok(stele_value_check(&tree_type, &value, &fixture->error), fixture->error);
    assert_ok(stele_value_copy(&tree_type, &value, fixture->arena, &copy, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_encode(&tree_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_ok(stele_json_encode(&tree_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_ok(stele_json_decode(&tree_type, out, fixture->arena, &copy, &fixture->error), fixture->error);

    assert_status(STELE_LIMIT, stele_value_check(&tree_type, &deeper, &fixture->error), fixture->error);
    assert_status(STELE_LIMIT, stele_value_copy(&tree_type, &deeper, fixture->arena, &copy, &fixture->error),
                  fixture->error);
    assert_status(STELE_LIMIT, stele_msgpack_encode(&tree_type, &deeper, fixture->arena, &out, &fixture->error),
                  fixture->error);
    assert_status(STELE_LIMIT, stele_json_encode(&tree_type, &deeper, fixture->arena, &out, &fixture->error),
                  fixture->error);
    assert_failure(
        STELE_LIMIT,
        stele_msgpack_decode(&tree_type, nested_trees(fixture->arena, 65), fixture->arena, &value, &fixture->error),
        fixture->error);
    assert_string_equal("64", stele_error_get(fixture->error, "limit"));
    stele_error_free(fixture->error);
    fixture->error = NULL;
    assert_status(STELE_LIMIT,
                  stele_msgpack_decode(&tree_type, nested_trees(fixture->arena, 1000000), fixture->arena, &value,
                                       &fixture->error),
                  fixture->error);
}

static void a_list_is_a_level_too(void **state)
{
    struct fixture *fixture = *state;
    struct tree levels[64] = {{.child = NULL}};
    struct tree out;
    struct stele_slice bytes;

    for (size_t i = 0; i + 1 < SAMPLE_COUNT(levels); i++)
        levels[i].child = &levels[i + 1];
    assert_ok(stele_msgpack_encode(&tree_type, levels, fixture->arena, &bytes, &fixture->error), fixture->error);
    /* An empty list in the innermost of 64 maps is the 65th level. */
    levels[63].children.items = &out;
    assert_status(STELE_LIMIT, stele_msgpack_encode(&tree_type, levels, fixture->arena, &bytes, &fixture->error),
                  fixture->error);
    assert_status(STELE_LIMIT, stele_json_encode(&tree_type, levels, fixture->arena, &bytes, &fixture->error),
                  fixture->error);
    assert_status(STELE_LIMIT, stele_value_check(&tree_type, levels, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_encode(&tree_type, &levels[1], fixture->arena, &bytes, &fixture->error), fixture->error);
    assert_ok(stele_msgpack_decode(&tree_type, bytes, fixture->arena, &out, &fixture->error), fixture->error);
}

static void unknown_fields_count_as_levels_too(void **state)
{
    struct fixture *fixture = *state;
    struct nothing value;
    char bytes[70] = "\x81\xa1x";

    /* The map, and 63 lists in its unknown field. */
    memset(bytes + 3, '\x91', 62);
    bytes[65] = '\x90';
    assert_ok(
        stele_msgpack_decode(&nothing_type, (struct stele_slice){bytes, 66}, fixture->arena, &value, &fixture->error),
        fixture->error);
    bytes[65] = '\x91';
    bytes[66] = '\x90';
    assert_status(
        STELE_LIMIT,
        stele_msgpack_decode(&nothing_type, (struct stele_slice){bytes, 67}, fixture->arena, &value, &fixture->error),
        fixture->error);
}

static void announced_counts_beyond_the_input_cost_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct stele_slice list = bytes_of("\x81\xa5lines\xdd\xff\xff\xff\xff\x80\x80\x80\x80\x80");
    const struct stele_slice map = bytes_of("\xdf\x80\x00\x00\x00\xa1x\x01");
    struct limits value;
    const size_t before = support_allocations();

    assert_int_equal(STELE_MALFORMED, stele_msgpack_decode(&limits_type, list, fixture->arena, &value, NULL));
    assert_int_equal(STELE_MALFORMED, stele_msgpack_decode(&limits_type, map, fixture->arena, &value, NULL));
    assert_int_equal(before, support_allocations());
}

static void a_decoded_list_is_bounded_in_memory(void **state)
{
    struct fixture *fixture = *state;
    const size_t count = 12 * 1024 * 1024; /* of 32 bytes each, 384 MiB, from 12 MiB of input */
    char *bytes = malloc(count + 16);
    struct tree value;

    memcpy(bytes,
           "\x81\xa8"
           "children\xdd\x00\xc0\x00\x00",
           15);
    memset(bytes + 15, '\x80', count);
    assert_failure(STELE_LIMIT,
                   stele_msgpack_decode(&tree_type, (struct stele_slice){bytes, count + 15}, fixture->arena, &value,
                                        &fixture->error),
                   fixture->error);
    assert_string_equal("268435456", stele_error_get(fixture->error, "limit"));
    free(bytes);
}

static void a_payload_is_16_mib_at_most(void **state)
{
    struct fixture *fixture = *state;
    /* A map of one pair, a key of five, a bin of 32 bits of length: 12 bytes of frame. */
    const size_t most = STELE_PAYLOAD_MAX - 12;
    char *content = calloc(1, STELE_PAYLOAD_MAX + 1);
    struct big value = {.bytes = {content, most}};
    struct stele_slice out;

    assert_ok(stele_msgpack_encode(&big_type, &value, fixture->arena, &out, &fixture->error), fixture->error);
    assert_int_equal(STELE_PAYLOAD_MAX, out.size);
    assert_ok(stele_msgpack_decode(&big_type, out, fixture->arena, &value, &fixture->error), fixture->error);
    value.bytes = (struct stele_slice){content, most + 1};
    assert_failure(STELE_LIMIT, stele_msgpack_encode(&big_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_string_equal("16777216", stele_error_get(fixture->error, "limit"));
    assert_string_equal("16777217", stele_error_get(fixture->error, "actual"));
    stele_error_free(fixture->error);
    fixture->error = NULL;
    out = (struct stele_slice){content, STELE_PAYLOAD_MAX + 1};
    assert_status(STELE_LIMIT, stele_msgpack_decode(&big_type, out, fixture->arena, &value, &fixture->error),
                  fixture->error);
    assert_status(STELE_LIMIT, stele_json_decode(&big_type, out, fixture->arena, &value, &fixture->error),
                  fixture->error);
    free(content);
}

static void what_cannot_be_encoded_is_named(void **state)
{
    struct fixture *fixture = *state;
    static const char *const nulls[] = {"a", NULL};
    struct sample_every value = sample_least;
    struct stele_slice out;

    value.text = NULL;
    assert_failure(STELE_INVALID,
                   stele_msgpack_encode(&sample_every_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "text", "required");
    value.text = "\xff";
    assert_failure(STELE_INVALID, stele_json_encode(&sample_every_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "text", "valid UTF-8");
    value = sample_least;
    value.bytes.data = NULL;
    assert_failure(STELE_INVALID,
                   stele_msgpack_encode(&sample_every_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "bytes", "required");
    value = sample_least;
    value.real = 1e308 * 10;
    assert_failure(STELE_INVALID, stele_json_encode(&sample_every_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_string_equal("inf", stele_error_get(fixture->error, "value"));
    assert_fault(fixture, "real", "finite number");
    value = sample_least;
    value.text_list.items = nulls;
    value.text_list.count = 2;
    assert_failure(STELE_INVALID,
                   stele_msgpack_encode(&sample_every_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "text_list[1]", "required");
    value.text_list.items = NULL;
    assert_failure(STELE_INVALID,
                   stele_msgpack_encode(&sample_every_type, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_fault(fixture, "text_list", "required");
}

static void missing_arguments_are_named(void **state)
{
    struct fixture *fixture = *state;
    struct nothing value = {0};
    struct stele_slice out;

    assert_failure(STELE_INVALID, stele_msgpack_encode(NULL, &value, fixture->arena, &out, &fixture->error),
                   fixture->error);
    assert_string_equal("type", stele_error_get(fixture->error, "argument"));
    stele_error_free(fixture->error);
    fixture->error = NULL;
    assert_status(STELE_INVALID, stele_json_encode(&nothing_type, NULL, fixture->arena, &out, &fixture->error),
                  fixture->error);
    assert_status(STELE_INVALID, stele_msgpack_decode(&nothing_type, bytes_of("\x80"), NULL, &value, &fixture->error),
                  fixture->error);
    assert_status(
        STELE_INVALID,
        stele_json_decode(&nothing_type, (struct stele_slice){NULL, 0}, fixture->arena, &value, &fixture->error),
        fixture->error);
    assert_status(STELE_INVALID, stele_value_copy(&nothing_type, &value, fixture->arena, NULL, &fixture->error),
                  fixture->error);
}

/* --- Out of memory ------------------------------------------------------------- */

struct attempt {
    struct stele_slice msgpack;
    struct stele_slice json;
    int which;
};

static stele_status run(const struct attempt *attempt, stele_arena *arena, stele_error **error)
{
    struct sample_every value;
    struct stele_slice out;

    switch (attempt->which) {
    case 0: return stele_msgpack_encode(&sample_every_type, &sample_full, arena, &out, error);
    case 1: return stele_json_encode(&sample_every_type, &sample_full, arena, &out, error);
    case 2: return stele_msgpack_decode(&sample_every_type, attempt->msgpack, arena, &value, error);
    case 3: return stele_json_decode(&sample_every_type, attempt->json, arena, &value, error);
    default: return stele_value_copy(&sample_every_type, &sample_full, arena, &value, error);
    }
}

static stele_status attempt_once(void *context, stele_error **error)
{
    stele_arena *arena;
    stele_status status = stele_arena_new(&arena, error);

    if (status != STELE_OK)
        return status;
    status = run(context, arena, error);
    stele_arena_free(arena);
    return status;
}

static void every_call_survives_running_out_of_memory(void **state)
{
    struct fixture *fixture = *state;
    struct attempt attempt;

    assert_ok(stele_msgpack_encode(&sample_every_type, &sample_full, fixture->arena, &attempt.msgpack, &fixture->error),
              fixture->error);
    assert_ok(stele_json_encode(&sample_every_type, &sample_full, fixture->arena, &attempt.json, &fixture->error),
              fixture->error);
    for (attempt.which = 0; attempt.which < 5; attempt.which++)
        assert_true(support_every_allocation_fails(attempt_once, &attempt) >= 2);
}

static stele_status attempt_fault(void *context, stele_error **error)
{
    struct limits value;
    const stele_status status =
        stele_msgpack_decode(&limits_type, bytes_of("\x81\xa7integer\xc3"), context, &value, error);

    /* The fault itself is the success here; running out of memory is told as such. */
    if (status != STELE_INVALID)
        return status;
    if (error) {
        stele_error_free(*error);
        *error = NULL;
    }
    return STELE_OK;
}

static void a_fault_survives_running_out_of_memory(void **state)
{
    struct fixture *fixture = *state;

    assert_true(support_every_allocation_fails(attempt_fault, fixture->arena) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        value_test(every_kind_and_shape_survives_msgpack),
        value_test(every_kind_and_shape_survives_json),
        value_test(a_copy_shares_nothing_with_its_original),
        value_test(the_bytes_and_the_text_are_as_documented),
        value_test(a_type_without_fields_is_an_empty_map),
        value_test(absent_fields_take_their_defaults),
        value_test(an_absent_required_field_is_named),
        value_test(nil_and_null_are_absent_where_that_is_allowed),
        value_test(unknown_fields_are_skipped_and_order_does_not_matter),
        value_test(msgpack_key_twice_is_malformed),
        value_test(msgpack_of_a_wrong_kind_names_field_and_rule),
        value_test(json_of_a_wrong_kind_names_field_and_rule),
        value_test(kinds_are_read_in_all_their_forms),
        value_test(invalid_utf8_in_msgpack_text_is_malformed),
        value_test(decoded_text_is_terminated_and_bytes_point_into_the_input),
        value_test(a_value_of_numbers_needs_no_memory),
        value_test(every_truncation_of_a_payload_is_malformed),
        value_test(every_truncation_of_a_text_is_malformed),
        value_test(bytes_behind_the_value_are_malformed),
        value_test(random_and_mutated_bytes_never_crash),
        value_test(random_and_mutated_texts_never_crash),
        value_test(nesting_is_64_deep_at_most),
        value_test(a_list_is_a_level_too),
        value_test(unknown_fields_count_as_levels_too),
        value_test(announced_counts_beyond_the_input_cost_nothing),
        value_test(a_decoded_list_is_bounded_in_memory),
        value_test(a_payload_is_16_mib_at_most),
        value_test(what_cannot_be_encoded_is_named),
        value_test(missing_arguments_are_named),
        value_test(every_call_survives_running_out_of_memory),
        value_test(a_fault_survives_running_out_of_memory),
    };

    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
