/* Rules on values: for each rule the last value that keeps it and the first that breaks it, and what the error says. */
#include "tests/support/support.h"

#include <stele/type.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_even(int64_t value)
{
    return value % 2 == 0;
}

static bool is_even_natural(uint64_t value)
{
    return value % 2 == 0;
}

static bool is_whole(double value)
{
    return floor(value) == value;
}

static bool is_upper(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(text);
}

static bool starts_with_zero(struct stele_slice bytes)
{
    return bytes.size > 0 && bytes.data[0] == '\0';
}

static bool is_version_7(const struct stele_uuid *uuid)
{
    return uuid->bytes[6] >> 4 == 7;
}

static bool is_full_second(int64_t time)
{
    return time % 1000000000 == 0;
}

/* One type per rule: the member is `value`. */
#define ONE_FIELD(type, KIND, ...) \
    struct type { \
        STELE__C_##KIND value; \
    }; \
    static const struct stele_field type##_fields[] = { \
        {.name = "value", .offset = offsetof(struct type, value), STELE__D_##KIND, __VA_ARGS__}}; \
    static const struct stele_type type##_type = { \
        .name = #type, .version = 1, .size = sizeof(struct type), .fields = type##_fields, .field_count = 1}

ONE_FIELD(positive_int, INT64, STELE_POSITIVE);
ONE_FIELD(positive_uint, UINT64, STELE_POSITIVE);
ONE_FIELD(positive_real, DOUBLE, STELE_POSITIVE);
ONE_FIELD(non_negative_int, INT64, STELE_NON_NEGATIVE);
ONE_FIELD(non_negative_real, DOUBLE, STELE_NON_NEGATIVE);
ONE_FIELD(range_int, INT64, STELE_MIN(-5), STELE_MAX(5));
ONE_FIELD(range_uint, UINT64, STELE_MIN_UINT(3), STELE_MAX_UINT(UINT64_MAX - 1));
ONE_FIELD(range_real, DOUBLE, STELE_MIN_DOUBLE(-0.5), STELE_MAX_DOUBLE(0.5));
ONE_FIELD(range_time, TIME, STELE_MIN(0), STELE_MAX(INT64_C(1000000000)));
ONE_FIELD(filled_text, TEXT, STELE_NON_EMPTY);
ONE_FIELD(sized_text, TEXT, STELE_MIN_LENGTH(2), STELE_MAX_LENGTH(3));
ONE_FIELD(currency, TEXT, STELE_ONE_OF("EUR", "USD"));
ONE_FIELD(upper, TEXT, STELE_CHECK_TEXT(is_upper, "upper case"));
ONE_FIELD(filled_bytes, BYTES, STELE_NON_EMPTY);
ONE_FIELD(sized_bytes, BYTES, STELE_MIN_LENGTH(2), STELE_MAX_LENGTH(3));
ONE_FIELD(zero_bytes, BYTES, STELE_CHECK_BYTES(starts_with_zero, "starts with zero"));
ONE_FIELD(filled_uuid, UUID, STELE_NON_EMPTY);
ONE_FIELD(version_7, UUID, STELE_CHECK_UUID(is_version_7, "of version 7"));
ONE_FIELD(even_int, INT64, STELE_CHECK_INT64(is_even, "even"));
ONE_FIELD(even_uint, UINT64, STELE_CHECK_UINT64(is_even_natural, "even"));
ONE_FIELD(whole, DOUBLE, STELE_CHECK_DOUBLE(is_whole, "whole"));
ONE_FIELD(full_second, TIME, STELE_CHECK_TIME(is_full_second, "a full second"));

static void assert_kept(const struct stele_type *type, const void *value)
{
    stele_error *error = NULL;

    assert_ok(stele_type_check(type, &error), error);
    assert_ok(stele_value_check(type, value, &error), error);
}

static void assert_broken(const struct stele_type *type, const void *value, const char *field, const char *printed,
                          const char *rule)
{
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, stele_value_check(type, value, &error), error);
    assert_string_equal(type->name, stele_error_get(error, "type"));
    assert_string_equal(field, stele_error_get(error, "field"));
    assert_string_equal(rule, stele_error_get(error, "rule"));
    if (printed)
        assert_string_equal(printed, stele_error_get(error, "value"));
    else
        assert_null(stele_error_get(error, "value"));
    assert_message(error, field);
    assert_message(error, rule);
    stele_error_free(error);
}

#define KEPT(type, ...) assert_kept(&type##_type, &(const struct type){__VA_ARGS__})
#define BROKEN(type, printed, rule, ...) \
    assert_broken(&type##_type, &(const struct type){__VA_ARGS__}, "value", printed, rule)

static void ORX06_positive(void **state)
{
    (void)state;
    KEPT(positive_int, 1);
    BROKEN(positive_int, "0", "positive", 0);
    BROKEN(positive_int, "-9223372036854775808", "positive", INT64_MIN);
    KEPT(positive_uint, 1);
    BROKEN(positive_uint, "0", "positive", 0);
    KEPT(positive_real, DBL_TRUE_MIN);
    BROKEN(positive_real, "0.0", "positive", 0.0);
    BROKEN(positive_real, "-0.0", "positive", -0.0);
}

static void ORX06_non_negative(void **state)
{
    (void)state;
    KEPT(non_negative_int, 0);
    BROKEN(non_negative_int, "-1", "not negative", -1);
    KEPT(non_negative_real, -0.0);
    BROKEN(non_negative_real, "-0.5", "not negative", -0.5);
}

static void ORX06_ranges_are_inclusive(void **state)
{
    (void)state;
    KEPT(range_int, -5);
    BROKEN(range_int, "-6", "at least -5", -6);
    KEPT(range_int, 5);
    BROKEN(range_int, "6", "at most 5", 6);
    KEPT(range_uint, 3);
    BROKEN(range_uint, "2", "at least 3", 2);
    KEPT(range_uint, UINT64_MAX - 1);
    BROKEN(range_uint, "18446744073709551615", "at most 18446744073709551614", UINT64_MAX);
    KEPT(range_real, -0.5);
    BROKEN(range_real, "-0.75", "at least -0.5", -0.75);
    KEPT(range_real, 0.5);
    BROKEN(range_real, "0.75", "at most 0.5", 0.75);
    KEPT(range_time, 0);
    BROKEN(range_time, "1969-12-31T23:59:59.999999999Z", "at least 1970-01-01T00:00:00Z", -1);
    KEPT(range_time, 1000000000);
    BROKEN(range_time, "1970-01-01T00:00:01.000000001Z", "at most 1970-01-01T00:00:01Z", 1000000001);
}

static void a_double_is_finite(void **state)
{
    (void)state;
    BROKEN(whole, "inf", "finite number", INFINITY);
    BROKEN(whole, "-inf", "finite number", -INFINITY);
    BROKEN(whole, "nan", "finite number", NAN);
}

static void ORX06_non_empty_counts_white_space_as_empty(void **state)
{
    (void)state;
    KEPT(filled_text, "x");
    KEPT(filled_text, " x ");
    /* U+200B, a zero-width space, is not of the property White_Space. */
    KEPT(filled_text, "\xe2\x80\x8b");
    BROKEN(filled_text, "", "not empty", "");
    BROKEN(filled_text, " ", "not empty", " ");
    BROKEN(filled_text, "??", "not empty", "\t\n");
    BROKEN(filled_text, "\xc2\xa0\xe3\x80\x80", "not empty", "\xc2\xa0\xe3\x80\x80");
    KEPT(filled_bytes, {" ", 1});
    BROKEN(filled_bytes, "0 bytes", "not empty", {"", 0});
    KEPT(filled_uuid, {{[15] = 1}});
    BROKEN(filled_uuid, "00000000-0000-0000-0000-000000000000", "not nil", {{0}});
}

static void ORX06_lengths_are_in_code_points(void **state)
{
    (void)state;
    KEPT(sized_text, "ab");
    BROKEN(sized_text, "a", "at least 2 code points", "a");
    KEPT(sized_text, "abc");
    BROKEN(sized_text, "abcd", "at most 3 code points", "abcd");
    /* Three characters of four bytes each; one of two bytes. */
    KEPT(sized_text, "\xf0\x9f\x8f\xa6\xf0\x9f\x8f\xa6\xf0\x9f\x8f\xa6");
    BROKEN(sized_text, "\xc3\xbc", "at least 2 code points", "\xc3\xbc");
    KEPT(sized_bytes, {"ab", 2});
    BROKEN(sized_bytes, "1 byte", "at least 2 bytes", {"a", 1});
    KEPT(sized_bytes, {"abc", 3});
    BROKEN(sized_bytes, "4 bytes", "at most 3 bytes", {"abcd", 4});
}

static void ORX06_one_of(void **state)
{
    (void)state;
    KEPT(currency, "EUR");
    KEPT(currency, "USD");
    BROKEN(currency, "eur", "one of EUR, USD", "eur");
    BROKEN(currency, "EURO", "one of EUR, USD", "EURO");
    BROKEN(currency, "EU", "one of EUR, USD", "EU");
    BROKEN(currency, "", "one of EUR, USD", "");
}

static void custom_checks_speak_in_their_own_words(void **state)
{
    (void)state;
    KEPT(even_int, -2);
    BROKEN(even_int, "-1", "even", -1);
    KEPT(even_uint, UINT64_MAX - 1);
    BROKEN(even_uint, "18446744073709551615", "even", UINT64_MAX);
    KEPT(whole, 2.0);
    BROKEN(whole, "2.5", "whole", 2.5);
    KEPT(upper, "ABC");
    BROKEN(upper, "AbC", "upper case", "AbC");
    KEPT(zero_bytes, {"\0", 1});
    BROKEN(zero_bytes, "1 byte", "starts with zero", {"1", 1});
    KEPT(version_7, {{[6] = 0x70}});
    BROKEN(version_7, "00000000-0000-4000-0000-000000000000", "of version 7", {{[6] = 0x40}});
    KEPT(full_second, -1000000000);
    BROKEN(full_second, "1970-01-01T00:00:00.000000001Z", "a full second", 1);
}

static void text_is_valid_utf8_and_present(void **state)
{
    (void)state;
    BROKEN(upper, NULL, "valid UTF-8", "A\xff");
    BROKEN(upper, NULL, "required", NULL);
    BROKEN(zero_bytes, NULL, "required", {NULL, 0});
}

static void a_long_value_is_cut_between_code_points(void **state)
{
    /* 63 letters, then a character of two bytes: 64 bytes would cut it in the middle. */
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xbc";
    char letters[64] = {0};

    (void)state;
    memset(letters, 'a', 63);
    BROKEN(upper, letters, "upper case", text);
}

/* --- Shapes ---------------------------------------------------------------------- */

#define LINE(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE) FIELD(T, OPTIONAL(TEXT), note, STELE_NON_EMPTY)
STELE_DECLARE_STRUCT(line, LINE);
STELE_DEFINE_STRUCT(line, LINE);

#define ORDER(FIELD, T) \
    FIELD(T, OPTIONAL(INT64), discount, STELE_POSITIVE) \
    FIELD(T, LIST(STRUCT(line)), lines, STELE_NON_EMPTY, STELE_MAX_LENGTH(3)) \
    FIELD(T, OPTIONAL(LIST(TEXT)), tags, STELE_MIN_LENGTH(2), STELE_ONE_OF("a", "", "c")) \
    FIELD(T, OPTIONAL(LIST(INT64)), numbers, STELE_NON_EMPTY, STELE_MAX(9)) \
    FIELD(T, OPTIONAL(STRUCT(line)), total)
STELE_DECLARE_STRUCT(order, ORDER);
STELE_DEFINE_STRUCT(order, ORDER);

static const struct line good_lines[] = {{1, NULL}, {2, "x"}, {3, NULL}, {4, NULL}};

static void an_absent_optional_value_breaks_no_rule(void **state)
{
    const struct order value = {.discount = {-1, false}, .lines = {good_lines, 1}};

    (void)state;
    assert_kept(&order_type, &value);
}

static void a_present_optional_value_keeps_its_rules(void **state)
{
    const struct order value = {.discount = {0, true}, .lines = {good_lines, 1}};

    (void)state;
    assert_broken(&order_type, &value, "discount", "0", "positive");
}

static void rules_of_size_count_the_items_of_a_list(void **state)
{
    static const char *const tags[] = {"a", "", "b"};
    struct order value = {.lines = {good_lines, 3}, .tags = {tags, 2}};

    (void)state;
    assert_kept(&order_type, &value);
    value.lines.count = 4;
    assert_broken(&order_type, &value, "lines", "4 items", "at most 3 items");
    value.lines.count = 0;
    assert_broken(&order_type, &value, "lines", "0 items", "not empty");
    value.lines.count = 1;
    value.tags.count = 1;
    assert_broken(&order_type, &value, "tags", "1 item", "at least 2 items");
}

static void other_rules_hold_for_each_item(void **state)
{
    static const char *const tags[] = {"a", "", "b"};
    static const int64_t numbers[] = {9, 10};
    struct order value = {.lines = {good_lines, 1}, .tags = {tags, 3}};

    (void)state;
    assert_broken(&order_type, &value, "tags[2]", "b", "one of a, , c");
    value.tags.count = 2;
    value.numbers.items = numbers;
    value.numbers.count = 1;
    assert_kept(&order_type, &value);
    value.numbers.count = 2;
    assert_broken(&order_type, &value, "numbers[1]", "10", "at most 9");
}

static void ORX05_the_path_names_the_nested_field(void **state)
{
    static const struct line lines[] = {{1, NULL}, {1, "\xe2\x80\x83"}, {0, NULL}};
    struct order value = {.lines = {lines, 3}};
    static const struct line total = {-1, NULL};

    (void)state;
    assert_broken(&order_type, &value, "lines[1].note", "\xe2\x80\x83", "not empty");
    value.lines.count = 1;
    value.total = &total;
    assert_broken(&order_type, &value, "total.amount", "-1", "positive");
}

static void a_list_without_items_but_a_count_is_refused(void **state)
{
    const struct order value = {.lines = {NULL, 1}};

    (void)state;
    assert_broken(&order_type, &value, "lines", NULL, "required");
}

static void the_first_broken_rule_in_field_order_is_told(void **state)
{
    static const struct line lines[] = {{0, ""}};
    const struct order value = {.discount = {0, true}, .lines = {lines, 1}};

    (void)state;
    assert_broken(&order_type, &value, "discount", "0", "positive");
}

static void missing_arguments_are_named(void **state)
{
    const struct order value = {.lines = {good_lines, 1}};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_value_check(NULL, &value, &error), error);
    assert_string_equal("type", stele_error_get(error, "argument"));
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_value_check(&order_type, NULL, &error), error);
}

static void KHO02_json_that_breaks_a_rule_is_not_decoded(void **state)
{
    static const char text[] = "{\"lines\":[{\"amount\":1},{\"amount\":0}]}";
    struct order value;
    stele_arena *arena;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_failure(STELE_INVALID, stele_json_decode(&order_type, support_slice(text), arena, &value, &error), error);
    assert_string_equal("lines[1].amount", stele_error_get(error, "field"));
    assert_string_equal("positive", stele_error_get(error, "rule"));
    assert_string_equal("order: lines[1].amount = 0 breaks the rule \"positive\"", stele_error_message(error));
    stele_error_free(error);
    stele_arena_free(arena);
}

static stele_status attempt_check(void *context, stele_error **error)
{
    static const struct currency value = {"EURO"};
    const stele_status status = stele_value_check(&currency_type, &value, error);

    (void)context;
    if (status != STELE_INVALID)
        return status;
    stele_error_free(*error);
    *error = NULL;
    return STELE_OK;
}

static void the_words_of_a_fault_survive_running_out_of_memory(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt_check, NULL) >= 2);
}

static void a_value_that_keeps_its_rules_needs_no_memory(void **state)
{
    const struct order value = {.lines = {good_lines, 3}};
    size_t before;

    (void)state;
    before = support_allocations();
    assert_int_equal(STELE_OK, stele_value_check(&order_type, &value, NULL));
    assert_int_equal(before, support_allocations());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX06_positive),
        support_test(ORX06_non_negative),
        support_test(ORX06_ranges_are_inclusive),
        support_test(a_double_is_finite),
        support_test(ORX06_non_empty_counts_white_space_as_empty),
        support_test(ORX06_lengths_are_in_code_points),
        support_test(ORX06_one_of),
        support_test(custom_checks_speak_in_their_own_words),
        support_test(text_is_valid_utf8_and_present),
        support_test(a_long_value_is_cut_between_code_points),
        support_test(an_absent_optional_value_breaks_no_rule),
        support_test(a_present_optional_value_keeps_its_rules),
        support_test(rules_of_size_count_the_items_of_a_list),
        support_test(other_rules_hold_for_each_item),
        support_test(ORX05_the_path_names_the_nested_field),
        support_test(a_list_without_items_but_a_count_is_refused),
        support_test(the_first_broken_rule_in_field_order_is_told),
        support_test(missing_arguments_are_named),
        support_test(KHO02_json_that_breaks_a_rule_is_not_decoded),
        support_test(the_words_of_a_fault_survive_running_out_of_memory),
        support_test(a_value_that_keeps_its_rules_needs_no_memory),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
