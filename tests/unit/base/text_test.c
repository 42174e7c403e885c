/* UTF-8, names, numbers, doubles, base64. */
#include "tests/support/support.h"

#include "base/text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_valid(const char *bytes, size_t size, size_t *offset)
{
    return stele__utf8_valid((struct stele_slice){bytes, size}, offset);
}

/* Unicode, table 3-7: the ends of each row. */
static void utf8_at_the_ends_of_every_row_is_valid(void **state)
{
    static const char *const texts[] = {
        "",
        "\x01",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xE0\xBF\xBF",
        "\xE1\x80\x80",
        "\xEC\xBF\xBF",
        "\xED\x80\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF0\xBF\xBF\xBF",
        "\xF1\x80\x80\x80",
        "\xF3\xBF\xBF\xBF",
        "\xF4\x80\x80\x80",
        "\xF4\x8F\xBF\xBF",
    };
    size_t offset;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(is_valid(texts[i], strlen(texts[i]), &offset));
    assert_true(is_valid("a\0b", 3, &offset));
    assert_true(stele__utf8_valid((struct stele_slice){NULL, 0}, &offset));
}

static void utf8_past_the_ends_of_every_row_is_invalid(void **state)
{
    static const char *const texts[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2",
        "\xC2\x7F",
        "\xC2\xC0",
        "\xDF\xC0",
        "\xE0\x9F\xBF",
        "\xE0\xA0",
        "\xE0\xA0\x7F",
        "\xE1\x80",
        "\xE1\x80\xC0",
        "\xE1\x7F\x80",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xEF\xC0\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF0\x90\x80",
        "\xF0\x90\x80\x7F",
        "\xF0\x90\xC0\x80",
        "\xF1\x80\x80",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        /* At every place of a word of eight bytes, with and without more behind it. */
        for (int before = 0; before < 20; before++) {
            const int size = snprintf(text, sizeof(text), "%.*s%s%s", before, "aaaaaaaaaaaaaaaaaaaa", texts[i],
                                      i % 2 ? "" : "bbbbbbbbbbbbbbbb");
            size_t offset = 99;

            assert_false(is_valid(text, (size_t)size, &offset));
            assert_int_equal(before, offset);
        }
    }
}

static void a_character_cut_by_the_end_of_the_slice_is_invalid(void **state)
{
    size_t offset = 99;

    (void)state;
    assert_false(is_valid("\xE2\x82\xAC", 2, &offset));
    assert_int_equal(0, offset);
    assert_false(is_valid("12345678\xF0\x9F\x98\x80", 11, &offset));
    assert_int_equal(8, offset);
}

static void length_counts_code_points(void **state)
{
    (void)state;
    assert_int_equal(0, stele__utf8_length(support_slice("")));
    assert_int_equal(3, stele__utf8_length(support_slice("abc")));
    assert_int_equal(4, stele__utf8_length(support_slice("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80")));
}

/* Unicode, PropList.txt: the 25 code points of White_Space. */
static void white_space_is_blank_and_nothing_else_is(void **state)
{
    static const char *const blank[] = {
        "",
        "\t\n\v\f\r ",
        "\xC2\x85",
        "\xC2\xA0",
        "\xE1\x9A\x80",
        "\xE2\x80\x80",
        "\xE2\x80\x8A",
        "\xE2\x80\xA8",
        "\xE2\x80\xA9",
        "\xE2\x80\xAF",
        "\xE2\x81\x9F",
        "\xE3\x80\x80 \xE2\x80\x83",
    };
    static const char *const filled[] = {
        "a",
        " a",
        "\x08",
        "\x0E",
        "\x1F",
        "\xC2\x84",
        "\xC2\xA1",
        "\xE1\xA0\x8E",
        "\xE2\x80\x8B",
        "\xE2\x81\xA0",
        "\xE2\x80\xB0",
        "\xEF\xBB\xBF",
        "\xE3\x80\x81",
        " \xE2\x80\x8B",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++)
        assert_true(stele__utf8_blank(support_slice(blank[i])));
    for (size_t i = 0; i < sizeof(filled) / sizeof(filled[0]); i++)
        assert_false(stele__utf8_blank(support_slice(filled[i])));
}

static void names_are_text_without_control_characters(void **state)
{
    static const struct {
        const char *name;
        const char *offset; /* NULL if the name is good */
    } cases[] = {
        {"account-7", NULL}, {"a b", NULL},    {"\xC2\xA0", NULL},    {"\xE2\x82\xAC", NULL}, {"$x", NULL},
        {"\x1F", "0"},       {"ab\n", "2"},    {"a\x7F", "1"},        {"a\xC2\x80", "1"},     {"\xC2\x9F", "0"},
        {"abc\xFF", "3"},    {"abc\xC2", "3"}, {"\xED\xA0\x80", "0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_error *error = NULL;
        const struct stele_slice name = support_slice(cases[i].name);

        if (!cases[i].offset) {
            assert_ok(stele__name_check(name, "stream", 1024, &error), error);
            continue;
        }
        assert_failure(STELE_INVALID, stele__name_check(name, "stream", 1024, &error), error);
        assert_string_equal(cases[i].offset, stele_error_get(error, "offset"));
        assert_string_equal("stream", stele_error_get(error, "field"));
        stele_error_free(error);
        assert_int_equal(STELE_INVALID, stele__name_check(name, "stream", 1024, NULL));
    }
}

static void names_are_neither_empty_nor_longer_than_their_limit(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele__name_check(support_slice(""), "type", 5, &error), error);
    assert_message(error, "must not be empty");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele__name_check(support_slice("12345"), "type", 5, &error), error);
    assert_failure(STELE_LIMIT, stele__name_check(support_slice("123456"), "type", 5, &error), error);
    assert_string_equal("6", stele_error_get(error, "actual"));
    assert_string_equal("5", stele_error_get(error, "limit"));
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele__name_check((struct stele_slice){"a\0b", 3}, "type", 5, &error), error);
}

static void numbers_parse_up_to_the_ends_of_their_range(void **state)
{
    uint64_t u64 = 0;
    int64_t i64 = 0;

    (void)state;
    assert_true(stele__parse_u64(support_slice("0"), &u64) && u64 == 0);
    assert_true(stele__parse_u64(support_slice("18446744073709551615"), &u64) && u64 == UINT64_MAX);
    assert_true(stele__parse_i64(support_slice("9223372036854775807"), &i64) && i64 == INT64_MAX);
    assert_true(stele__parse_i64(support_slice("-9223372036854775808"), &i64) && i64 == INT64_MIN);
    assert_true(stele__parse_i64(support_slice("-1"), &i64) && i64 == -1);
    assert_true(stele__parse_i64(support_slice("-0"), &i64) && i64 == 0);
    assert_true(stele__parse_u64((struct stele_slice){"1234", 2}, &u64) && u64 == 12);
}

static void malformed_numbers_and_those_out_of_range_are_refused(void **state)
{
    static const char *const unsigned_texts[] = {
        "",
        "-",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "0x10",
        "1e3",
        "18446744073709551616",
        "99999999999999999999",
        "184467440737095516150",
    };
    static const char *const signed_texts[] = {
        "", "-", "--1", "+1", "- 1", "1-", "9223372036854775808", "-9223372036854775809", "18446744073709551615",
    };
    uint64_t u64 = 42;
    int64_t i64 = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(unsigned_texts) / sizeof(unsigned_texts[0]); i++)
        assert_false(stele__parse_u64(support_slice(unsigned_texts[i]), &u64));
    for (size_t i = 0; i < sizeof(signed_texts) / sizeof(signed_texts[0]); i++)
        assert_false(stele__parse_i64(support_slice(signed_texts[i]), &i64));
    assert_false(stele__parse_u64(support_slice(NULL), &u64));
    assert_true(u64 == 42 && i64 == 42);
}

static void assert_double(const char *text, double value)
{
    char printed[STELE__DOUBLE_TEXT_SIZE];

    assert_int_equal(strlen(text), stele__print_double(value, printed));
    assert_string_equal(text, printed);
}

static void doubles_print_shortest_and_stay_real(void **state)
{
    (void)state;
    assert_double("0.0", 0.0);
    assert_double("-0.0", -0.0);
    assert_double("1.0", 1.0);
    assert_double("-3.0", -3.0);
    assert_double("0.1", 0.1);
    assert_double("0.30000000000000004", 0.1 + 0.2);
    assert_double("0.3333333333333333", 1.0 / 3.0);
    assert_double("100000.0", 100000.0);
    assert_double("9007199254740992.0", 9007199254740992.0);
    assert_double("1e+22", 1e22);
    assert_double("1.5e-07", 1.5e-7);
    assert_double("1.7976931348623157e+308", DBL_MAX);
    assert_double("2.2250738585072014e-308", DBL_MIN);
    assert_double("5e-324", 4.9406564584124654e-324);
    assert_double("-5e-324", -4.9406564584124654e-324);
}

static void random_doubles_survive_text(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = support_random_next(&random);
        char text[STELE__DOUBLE_TEXT_SIZE];
        double value;
        double back;

        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        assert_in_range(stele__print_double(value, text), 3, STELE__DOUBLE_TEXT_SIZE - 1);
        back = strtod(text, NULL);
        assert_memory_equal(&value, &back, sizeof(value));
    }
}

static void doubles_do_not_depend_on_the_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8"};
    const char *found = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++)
        found = setlocale(LC_NUMERIC, names[i]);
    if (!found)
        skip();
    assert_double("0.1", 0.1);
    assert_double("1.5e-07", 1.5e-7);
    assert_double("2.0", 2.0);
    setlocale(LC_NUMERIC, "C");
}

/* RFC 4648, section 10, and all that has both extra characters. */
static const struct {
    const char *bytes;
    const char *text;
} base64_vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xFB\xEF\xBE\xFF\xFF\xFF", "++++////"},
};

static void base64_agrees_with_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(base64_vectors) / sizeof(base64_vectors[0]); i++) {
        const struct stele_slice bytes = support_slice(base64_vectors[i].bytes);
        const struct stele_slice text = support_slice(base64_vectors[i].text);
        char encoded[16];
        char decoded[16];
        size_t size = 99;
        size_t offset = 0;

        assert_int_equal(text.size, stele__base64_size(bytes.size));
        stele__base64_encode(bytes, encoded);
        assert_memory_equal(text.data, encoded, text.size);
        assert_true(stele__base64_decode(text, decoded, &size, &offset));
        assert_int_equal(bytes.size, size);
        assert_memory_equal(bytes.data, decoded, size);
    }
}

static void malformed_base64_names_the_offset(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"Z", 1},        {"Zg", 2},   {"Zg=", 2},      {"Zm9vY", 5},   {"Zg==Zg==", 2}, {"Z===", 1},
        {"====", 0},     {"Zh==", 1}, {"Zm9=", 2},     {"Zm9v\n", 4},  {"Zm 9", 2},     {"Zm-_", 2},
        {"Zm9vYh==", 5}, {"=", 0},    {"Zm9v====", 4}, {"Zm9\xC3", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char bytes[16];
        size_t size = 99;
        size_t offset = 99;

        if (stele__base64_decode(support_slice(cases[i].text), bytes, &size, &offset))
            fail_msg("%s was decoded", cases[i].text);
        if (offset != cases[i].offset)
            fail_msg("%s: offset %zu", cases[i].text, offset);
        assert_int_equal(99, size);
    }
}

static void random_bytes_survive_base64(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    for (size_t size = 0; size < 300; size++) {
        char bytes[300];
        char decoded[300];
        char *text = malloc(stele__base64_size(size) + 1);
        size_t decoded_size;
        size_t offset;

        assert_non_null(text);
        support_random_bytes(&random, bytes, size);
        stele__base64_encode((struct stele_slice){bytes, size}, text);
        assert_true(stele__base64_decode((struct stele_slice){text, stele__base64_size(size)}, decoded, &decoded_size,
                                         &offset));
        assert_int_equal(size, decoded_size);
        assert_memory_equal(bytes, decoded, size);
        free(text);
    }
}

static void slices_are_ordered_by_their_bytes(void **state)
{
    (void)state;
    assert_true(stele__slice_compare(stele__slice("a"), stele__slice("b")) < 0);
    assert_true(stele__slice_compare(stele__slice("b"), stele__slice("ab")) > 0);
    assert_true(stele__slice_compare(stele__slice("a"), stele__slice("ab")) < 0);
    assert_true(stele__slice_compare(stele__slice("\xff"), stele__slice("a")) > 0);
    assert_true(stele__slice_compare(stele__slice(NULL), stele__slice("a")) < 0);
    assert_int_equal(0, stele__slice_compare(stele__slice("ab"), stele__slice("ab")));
    assert_int_equal(0, stele__slice_compare(stele__slice(NULL), stele__slice("")));
}

static void a_text_begins_with_its_prefixes_and_itself(void **state)
{
    (void)state;
    assert_true(stele__slice_begins_with(stele__slice("account-7"), stele__slice("account-")));
    assert_true(stele__slice_begins_with(stele__slice("account-7"), stele__slice("account-7")));
    assert_true(stele__slice_begins_with(stele__slice("a"), stele__slice("")));
    assert_true(stele__slice_begins_with(stele__slice(NULL), stele__slice("")));
    assert_false(stele__slice_begins_with(stele__slice("account"), stele__slice("account-")));
    assert_false(stele__slice_begins_with(stele__slice("account"), stele__slice("b")));
}

static void assert_fits(size_t size, const char *text, const char *expected)
{
    char out[16];

    stele__utf8_fit(out, size, text);
    assert_string_equal(out, expected);
}

static void a_text_is_cut_between_characters_and_made_utf8(void **state)
{
    (void)state;
    assert_fits(16, "", "");
    assert_fits(1, "abc", "");
    assert_fits(4, "abc", "abc");
    assert_fits(3, "abc", "ab");
    assert_fits(4, "ab\xC3\xA4", "ab");
    assert_fits(5, "ab\xC3\xA4", "ab\xC3\xA4");
    assert_fits(7,
                "ab\xF0\x9F\x98\x80"
                "c",
                "ab\xF0\x9F\x98\x80");
    assert_fits(6,
                "ab\xF0\x9F\x98\x80"
                "c",
                "ab");
    assert_fits(2, "\xF0\x9F\x98\x80", "");
    assert_fits(16,
                "a\xFF\xFE"
                "b\xC3",
                "a??b?");
    assert_fits(4, "\x80\x80\x80\x80\x80\x80", "");
    assert_fits(8, "\x80\x80\x80\x80\x80\x80\x80\x80\x80", "????");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(slices_are_ordered_by_their_bytes),
        support_test(a_text_begins_with_its_prefixes_and_itself),
        support_test(a_text_is_cut_between_characters_and_made_utf8),
        support_test(utf8_at_the_ends_of_every_row_is_valid),
        support_test(utf8_past_the_ends_of_every_row_is_invalid),
        support_test(a_character_cut_by_the_end_of_the_slice_is_invalid),
        support_test(length_counts_code_points),
        support_test(white_space_is_blank_and_nothing_else_is),
        support_test(names_are_text_without_control_characters),
        support_test(names_are_neither_empty_nor_longer_than_their_limit),
        support_test(numbers_parse_up_to_the_ends_of_their_range),
        support_test(malformed_numbers_and_those_out_of_range_are_refused),
        support_test(doubles_print_shortest_and_stay_real),
        support_test(random_doubles_survive_text),
        support_test(doubles_do_not_depend_on_the_locale),
        support_test(base64_agrees_with_the_vectors),
        support_test(malformed_base64_names_the_offset),
        support_test(random_bytes_survive_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
