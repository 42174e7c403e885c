/* JSON of any shape: parsing, the integers beyond jansson's, writing, and the way to MessagePack and back. */
#include "tests/support/support.h"

#include "base/buffer.h"
#include "message/json.h"

#include <stele/limits.h>
#include <stele/type.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define bytes_of(literal) ((struct stele_slice){(literal), sizeof(literal) - 1})
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* JSON to MessagePack; the arena lives until the next call. */
static stele_arena *arena;

static int setup(void **state)
{
    support_setup(state);
    return stele_arena_new(&arena, NULL) == STELE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    stele_arena_free(arena);
    return support_teardown(state);
}

#define json_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static struct stele_slice to_msgpack(struct stele_slice text)
{
    struct stele_slice bytes = {NULL, 0};
    stele_error *error = NULL;

    assert_ok(stele_msgpack_from_json(text, arena, &bytes, &error), error);
    assert_ok(stele_msgpack_check(bytes, &error), error);
    assert_true(stele_msgpack_is_json(bytes));
    return bytes;
}

static struct stele_slice to_json(struct stele_slice bytes)
{
    struct stele_slice text = {NULL, 0};
    stele_error *error = NULL;

    assert_ok(stele_json_from_msgpack(bytes, arena, &text, &error), error);
    assert_int_equal('\0', text.data[text.size]);
    return text;
}

static void assert_text(const char *expected, struct stele_slice actual)
{
    assert_int_equal(strlen(expected), actual.size);
    assert_memory_equal(expected, actual.data, actual.size);
}

static void assert_round_trip(const char *text)
{
    assert_text(text, to_json(to_msgpack(support_slice(text))));
}

static void assert_refused(stele_status status, struct stele_slice text, const char *offset)
{
    struct stele_slice bytes;
    stele_error *error = NULL;

    assert_failure(status, stele_msgpack_from_json(text, arena, &bytes, &error), error);
    if (offset)
        assert_string_equal(offset, stele_error_get(error, "offset"));
    else
        assert_non_null(stele_error_get(error, "offset"));
    stele_error_free(error);
}

/* --- There and back ----------------------------------------------------------------- */

static void values_of_any_shape_survive(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "\"\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{\"a\":{}}",
        "[null,true,[false,[]],{}]",
        "{\"b\":1,\"a\":{\"z\":[1,2,{\"y\":\"x\"}],\"w\":null},\"c\":[[],[[]]]}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_round_trip(texts[i]);
}

static void the_order_of_keys_is_kept(void **state)
{
    (void)state;
    assert_round_trip("{\"z\":1,\"a\":2,\"m\":3,\"b\":4,\"y\":5,\"c\":6,\"\":7,\"10\":8,\"9\":9}");
}

static void integers_stay_integers_of_64_bits(void **state)
{
    (void)state;
    assert_round_trip("[0,-1,9223372036854775807,-9223372036854775808]");
    assert_int_equal(1, to_msgpack(support_slice("-1")).size);
    assert_memory_equal("\xd3\x80\0\0\0\0\0\0\0", to_msgpack(support_slice("-9223372036854775808")).data, 9);
}

static void integers_above_int64_stay_exact(void **state)
{
    (void)state;
    assert_round_trip("9223372036854775808");
    assert_round_trip("18446744073709551615");
    assert_round_trip("[1.5,18446744073709551615,-0.0,[9223372036854775808,2.25],18446744073709551614,1e+300]");
    assert_round_trip("{\"18446744073709551615\":\"18446744073709551615\",\"a\":0.5,\"b\":[18446744073709551615]}");
    assert_int_equal(9, to_msgpack(support_slice("18446744073709551615")).size);
    assert_memory_equal("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", to_msgpack(support_slice("18446744073709551615")).data,
                        9);
}

static void many_wide_integers_are_all_found(void **state)
{
    enum { WIDE = 5000 };
    char *text = malloc(WIDE * 32);
    size_t size = 0;

    (void)state;
    text[size++] = '[';
    for (uint64_t i = 0; i < WIDE; i++)
        size +=
            (size_t)sprintf(text + size, "%s%.1f,%llu", i ? "," : "", (double)i, (unsigned long long)(UINT64_MAX - i));
    text[size++] = ']';
    text[size] = '\0';
    assert_round_trip(text);
    free(text);
}

static void reals_stay_reals(void **state)
{
    (void)state;
    assert_round_trip("[0.0,-0.0,1.0,0.1,-2.5,1e+300]");
    assert_text("[1.0,100.0,-0.0]", to_json(to_msgpack(support_slice("[1.0,1e2,-0e0]"))));
}

static void text_keeps_every_character(void **state)
{
    (void)state;
    assert_round_trip("\"\\u0000\\u0001\\b\\t\\n\\f\\r\\u001f \\\"\\\\/\x7f\xc3\xbc\xe2\x82\xac\xf0\x9f\x8f\xa6\"");
    assert_text("\"/\xf0\x9f\x8f\xa6\"", to_json(to_msgpack(support_slice("\"\\/\\uD83C\\uDFE6\""))));
}

static void white_space_between_tokens_is_dropped(void **state)
{
    (void)state;
    assert_text("{\"a\":[1,2]}", to_json(to_msgpack(support_slice(" \t\r\n{ \"a\" : [ 1 ,\n2 ] } \n"))));
}

/* --- What is refused ------------------------------------------------------------------ */

static void what_is_not_json_is_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[",
        "\"",
        "{\"a\"}",
        "{\"a\":}",
        "[1,]",
        "{\"a\":1,}",
        "[,]",
        "nul",
        "NaN",
        "Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "'a'",
        "{a:1}",
        "[1 2]",
        "1 2",
        "{} []",
        "]",
        "}",
        "[}",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "// a\n1",
        "{\"\\u0000\":1}",
        "18446744073709551615 1",
        "[18446744073709551615",
        "018446744073709551615",
        "1-2",
        "--1",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(STELE_MALFORMED, support_slice(texts[i]), NULL);
    assert_refused(STELE_MALFORMED, bytes_of("\"a\0b\""), NULL);
    assert_refused(STELE_MALFORMED, bytes_of("\0"), NULL);
}

static void keys_that_come_twice_are_malformed(void **state)
{
    (void)state;
    assert_refused(STELE_MALFORMED, support_slice("{\"a\":1,\"b\":2,\"a\":3}"), NULL);
    assert_refused(STELE_MALFORMED, support_slice("[{\"x\":{\"a\":1,\"\\u0061\":3}}]"), NULL);
    assert_round_trip("[{\"a\":1},{\"a\":2}]");
}

static void invalid_utf8_is_malformed_at_its_offset(void **state)
{
    (void)state;
    assert_refused(STELE_MALFORMED, support_slice("[\"\xff\"]"), "2");
    assert_refused(STELE_MALFORMED, support_slice("{\"\xc3\":1}"), "2");
    /* An overlong slash, a surrogate, a character beyond U+10FFFF. */
    assert_refused(STELE_MALFORMED, support_slice("\"\xc0\xaf\""), "1");
    assert_refused(STELE_MALFORMED, support_slice("\"\xed\xa0\x80\""), "1");
    assert_refused(STELE_MALFORMED, support_slice("\"\xf4\x90\x80\x80\""), "1");
}

static void integers_beyond_64_bits_are_a_limit_at_their_offset(void **state)
{
    (void)state;
    assert_refused(STELE_LIMIT, support_slice("18446744073709551616"), "0");
    assert_refused(STELE_LIMIT, support_slice("[1, -9223372036854775809]"), "4");
    assert_refused(STELE_LIMIT, support_slice("{\"a\":99999999999999999999999999}"), "5");
    assert_round_trip("\"18446744073709551616\"");
}

static void reals_beyond_double_are_a_limit(void **state)
{
    (void)state;
    assert_refused(STELE_LIMIT, support_slice("1e999"), NULL);
    assert_refused(STELE_LIMIT, support_slice("[-1e400]"), NULL);
    /* Too small is zero, as everywhere. */
    assert_text("0.0", to_json(to_msgpack(support_slice("1e-999"))));
}

static void an_offset_counts_in_the_text_as_given(void **state)
{
    struct stele_slice bytes;
    stele_error *error = NULL;

    (void)state;
    /* The fault is the letter at 45, behind two wide integers. */
    assert_failure(STELE_MALFORMED,
                   stele_msgpack_from_json(support_slice("[18446744073709551615, 18446744073709551615, x]"), arena,
                                           &bytes, &error),
                   error);
    assert_string_equal("46", stele_error_get(error, "offset"));
    stele_error_free(error);
}

static struct stele_slice nested(size_t levels, bool objects)
{
    const size_t size = levels * (objects ? 6 : 2);
    char *text = stele_arena_alloc(arena, size);
    size_t at = 0;

    for (size_t i = 0; i < levels; i++) {
        if (objects && i + 1 < levels) {
            memcpy(text + at, "{\"a\":", 5);
            at += 5;
        } else {
            text[at++] = objects ? '{' : '[';
        }
    }
    memset(text + at, objects ? '}' : ']', levels);
    return (struct stele_slice){text, at + levels};
}

static void nesting_is_64_deep_at_most(void **state)
{
    (void)state;
    to_msgpack(nested(64, false));
    to_msgpack(nested(64, true));
    assert_refused(STELE_LIMIT, nested(65, false), "64");
    assert_refused(STELE_LIMIT, nested(65, true), NULL);
    assert_refused(STELE_LIMIT, nested(1000000, false), "64");
    /* Brackets in text are text, also behind an escaped quote. */
    assert_round_trip("\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");
}

static void a_text_is_16_mib_at_most(void **state)
{
    char *text = malloc(STELE_PAYLOAD_MAX + 1);
    struct stele_slice bytes;
    stele_error *error = NULL;

    (void)state;
    memset(text, ' ', STELE_PAYLOAD_MAX + 1);
    text[0] = '7';
    assert_ok(stele_msgpack_from_json((struct stele_slice){text, STELE_PAYLOAD_MAX}, arena, &bytes, &error), error);
    assert_failure(STELE_LIMIT,
                   stele_msgpack_from_json((struct stele_slice){text, STELE_PAYLOAD_MAX + 1}, arena, &bytes, &error),
                   error);
    assert_string_equal("16777216", stele_error_get(error, "limit"));
    stele_error_free(error);
    free(text);
}

static void a_text_of_too_many_values_is_a_limit(void **state)
{
    const size_t size = STELE_PAYLOAD_MAX - 1;
    char *text = malloc(size);
    struct stele_slice bytes;
    stele_error *error = NULL;

    (void)state;
    /* Five million empty objects: 15 MiB of text, but 1.6 GB as a tree. */
    for (size_t i = 0; i < size; i++)
        text[i] = ",{}"[i % 3];
    text[0] = '[';
    text[size - 1] = ']';
    assert_failure(STELE_LIMIT, stele_msgpack_from_json((struct stele_slice){text, size}, arena, &bytes, &error),
                   error);
    assert_string_equal("536870912", stele_error_get(error, "limit"));
    stele_error_free(error);
    free(text);
}

static void every_truncation_is_malformed(void **state)
{
    static const char text[] =
        "{\"a\":[1.5,-2,\"x\\u00fc\\n\",null,true,18446744073709551615],\"b\":{\"c\":\"\xc3\xbc\"}}";

    (void)state;
    assert_int_equal('}', text[sizeof(text) - 2]);
    to_msgpack(support_slice(text));
    for (size_t size = 0; size + 1 < sizeof(text); size++) {
        char *cut = malloc(size ? size : 1);

        memcpy(cut, text, size);
        assert_refused(STELE_MALFORMED, (struct stele_slice){cut, size}, NULL);
        free(cut);
    }
}

/* --- From MessagePack ------------------------------------------------------------------ */

static void msgpack_that_json_has_no_word_for_is_invalid(void **state)
{
    static const struct stele_slice cases[] = {
        {"\xc4\x01x", 3},        {"\x92\x01\xc4\x00", 4}, {"\xd4\x01x", 3},    {"\xcb\x7f\xf8\0\0\0\0\0\0", 9},
        {"\xca\xff\x80\0\0", 5}, {"\x81\x01\x02", 3},     {"\x81\xc0\xc0", 3}, {"\x81\x80\x01", 3},
        {"\x81\xa2x\0\x01", 5},
    };
    struct stele_slice text;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(stele_msgpack_is_json(cases[i]));
        assert_status(STELE_INVALID, stele_json_from_msgpack(cases[i], arena, &text, &error), error);
    }
}

static void msgpack_that_is_malformed_is_refused(void **state)
{
    struct stele_slice text;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_MALFORMED, stele_json_from_msgpack(bytes_of("\x92\x01"), arena, &text, &error), error);
    assert_status(STELE_MALFORMED, stele_json_from_msgpack(bytes_of("\x01\x01"), arena, &text, &error), error);
    assert_status(STELE_MALFORMED, stele_json_from_msgpack(bytes_of("\xa1\xff"), arena, &text, &error), error);
    assert_status(STELE_MALFORMED, stele_json_from_msgpack(bytes_of("\x81\xa1\xff\x01"), arena, &text, &error), error);
    assert_status(STELE_INVALID, stele_json_from_msgpack(bytes_of("\x01"), NULL, &text, &error), error);
    assert_status(STELE_INVALID, stele_json_from_msgpack((struct stele_slice){NULL, 0}, arena, &text, &error), error);
    assert_status(STELE_INVALID, stele_msgpack_from_json(bytes_of("1"), arena, NULL, &error), error);
}

/* --- The inside -------------------------------------------------------------------------- */

static void a_part_of_a_tree_becomes_msgpack(void **state)
{
    struct stele__json json;
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__json_parse(support_slice("{\"x\":18446744073709551614,\"data\":[0.5,18446744073709551615]}"),
                                &json, &error),
              error);
    stele__buffer_init(&buffer);
    stele__json_to_msgpack(&json, json_object_get(json.root, "data"), &buffer);
    assert_ok(stele__buffer_finish(&buffer, "data", &error), error);
    assert_int_equal(1 + 9 + 9, buffer.size);
    assert_memory_equal("\x92\xcb\x3f\xe0\0\0\0\0\0\0\xcf\xff\xff\xff\xff\xff\xff\xff\xff", buffer.data, 19);
    stele__buffer_fini(&buffer);
    stele__json_fini(&json);
    stele__json_fini(&json);
}

static void base64_is_written_between_quotes(void **state)
{
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init(&buffer);
    stele__json_write_base64(&buffer, bytes_of(""));
    stele__json_write_base64(&buffer, bytes_of("fooba"));
    assert_text("\"\"\"Zm9vYmE=\"", stele__buffer_slice(&buffer));
    stele__buffer_fini(&buffer);
}

static stele_status attempt_conversions(void *context, stele_error **error)
{
    struct stele_slice bytes;
    struct stele_slice text;
    stele_arena *own;
    stele_status status = stele_arena_new(&own, error);

    if (status != STELE_OK)
        return status;
    status = stele_msgpack_from_json(*(const struct stele_slice *)context, own, &bytes, error);
    if (status == STELE_OK)
        status = stele_json_from_msgpack(bytes, own, &text, error);
    stele_arena_free(own);
    return status;
}

static void conversions_survive_running_out_of_memory(void **state)
{
    struct stele_slice text =
        support_slice("[{\"a\":18446744073709551615},1.5,9223372036854775808,\"x\",\"yyyyyyyyyyyyyy\"]");

    (void)state;
    assert_true(support_every_allocation_fails(attempt_conversions, &text) >= 5);
}

static void random_texts_never_crash(void **state)
{
    static const char alphabet[] = "{}[]\",:\\019-+.eEtrufalsn\x80\xc3\xbc \x00";
    struct support_random random = support_seed();
    size_t parsed = 0;

    (void)state;
    for (size_t round = 0; round < 20000; round++) {
        const size_t size = 1 + support_random_below(&random, 12);
        char *text = malloc(size);
        struct stele_slice bytes;

        for (size_t i = 0; i < size; i++)
            text[i] = alphabet[support_random_below(&random, sizeof(alphabet))];
        stele_arena_reset(arena);
        if (stele_msgpack_from_json((struct stele_slice){text, size}, arena, &bytes, NULL) == STELE_OK) {
            const struct stele_slice first = to_json(bytes);

            assert_memory_equal(first.data, to_json(to_msgpack(first)).data, first.size);
            parsed++;
        }
        free(text);
    }
    assert_true(parsed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        json_test(values_of_any_shape_survive),
        json_test(the_order_of_keys_is_kept),
        json_test(integers_stay_integers_of_64_bits),
        json_test(integers_above_int64_stay_exact),
        json_test(many_wide_integers_are_all_found),
        json_test(reals_stay_reals),
        json_test(text_keeps_every_character),
        json_test(white_space_between_tokens_is_dropped),
        json_test(what_is_not_json_is_malformed),
        json_test(keys_that_come_twice_are_malformed),
        json_test(invalid_utf8_is_malformed_at_its_offset),
        json_test(integers_beyond_64_bits_are_a_limit_at_their_offset),
        json_test(reals_beyond_double_are_a_limit),
        json_test(an_offset_counts_in_the_text_as_given),
        json_test(nesting_is_64_deep_at_most),
        json_test(a_text_is_16_mib_at_most),
        json_test(a_text_of_too_many_values_is_a_limit),
        json_test(every_truncation_is_malformed),
        json_test(msgpack_that_json_has_no_word_for_is_invalid),
        json_test(msgpack_that_is_malformed_is_refused),
        json_test(a_part_of_a_tree_becomes_msgpack),
        json_test(base64_is_written_between_quotes),
        json_test(conversions_survive_running_out_of_memory),
        json_test(random_texts_never_crash),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
