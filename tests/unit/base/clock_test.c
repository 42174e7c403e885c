/*
 * Times and RFC 3339. The seconds of known dates were computed with GNU date;
 * the examples of RFC 3339 section 5.8 are used as they stand there.
 */
#include "tests/support/support.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define NANOS INT64_C(1000000000)

static int64_t parsed(const char *text)
{
    stele_error *error = NULL;
    int64_t time = 0;

    assert_ok(stele_time_parse(support_slice(text), &time, &error), error);
    return time;
}

static void assert_prints(const char *text, int64_t time)
{
    char printed[STELE_TIME_TEXT_SIZE];

    stele_time_print(time, printed);
    assert_string_equal(text, printed);
    assert_true(parsed(text) == time);
}

static void known_dates_print_and_parse(void **state)
{
    (void)state;
    assert_prints("1970-01-01T00:00:00Z", 0);
    assert_prints("1900-01-01T00:00:00Z", INT64_C(-2208988800) * NANOS);
    assert_prints("1900-02-28T23:59:59Z", INT64_C(-2203891201) * NANOS);
    assert_prints("1900-03-01T00:00:00Z", INT64_C(-2203891200) * NANOS);
    assert_prints("2000-02-29T12:34:56Z", INT64_C(951827696) * NANOS);
    assert_prints("2100-02-28T23:59:59Z", INT64_C(4107542399) * NANOS);
    assert_prints("2100-03-01T00:00:00Z", INT64_C(4107542400) * NANOS);
    assert_prints("1937-01-01T11:40:27Z", INT64_C(-1041337173) * NANOS);
}

static void fractions_have_three_six_or_nine_digits(void **state)
{
    (void)state;
    assert_prints("1970-01-01T00:00:01.500Z", 1500000000);
    assert_prints("1970-01-01T00:00:00.001Z", 1000000);
    assert_prints("1970-01-01T00:00:00.000001Z", 1000);
    assert_prints("1970-01-01T00:00:00.000000001Z", 1);
    assert_prints("1970-01-01T00:00:00.123456789Z", 123456789);
}

static void times_before_1970_count_backwards(void **state)
{
    (void)state;
    assert_prints("1969-12-31T23:59:59.999999999Z", -1);
    assert_prints("1969-12-31T23:59:59Z", -NANOS);
    assert_prints("1969-12-31T23:59:58.999Z", -NANOS - 1000000);
    assert_prints("1969-12-31T00:00:00Z", -86400 * NANOS);
}

static void the_ends_of_the_range_print_and_parse(void **state)
{
    (void)state;
    assert_prints("1677-09-21T00:12:43.145224192Z", INT64_MIN);
    assert_prints("1677-09-21T00:12:43.145224193Z", INT64_MIN + 1);
    assert_prints("2262-04-11T23:47:16.854775807Z", INT64_MAX);
    assert_true(parsed("2262-04-12T00:47:16.854775807+01:00") == INT64_MAX);
    assert_true(parsed("1677-09-20T23:12:43.145224192-01:00") == INT64_MIN);
}

static void one_past_the_range_is_a_limit(void **state)
{
    static const char *const texts[] = {
        "1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z", "2262-04-11T23:47:17Z",
        "1677-09-21T00:12:42Z",           "0000-01-01T00:00:00Z",           "9999-12-31T23:59:59Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        stele_error *error = NULL;
        int64_t time = 42;

        assert_failure(STELE_LIMIT, stele_time_parse(support_slice(texts[i]), &time, &error), error);
        assert_string_equal(texts[i], stele_error_get(error, "actual"));
        assert_memory_equal(texts[i][0] < '2' ? "1677" : "2262", stele_error_get(error, "limit"), 4);
        assert_int_equal(42, time);
        stele_error_free(error);
    }
}

static void offsets_are_subtracted(void **state)
{
    (void)state;
    assert_true(parsed("1985-04-12T23:20:50.52Z") == INT64_C(482196050) * NANOS + 520000000);
    assert_true(parsed("1996-12-19T16:39:57-08:00") == INT64_C(851042397) * NANOS);
    assert_true(parsed("1937-01-01T12:00:27.87+00:20") == INT64_C(-1041337173) * NANOS + 870000000);
    assert_true(parsed("1970-01-01T00:00:00-00:00") == 0);
    assert_true(parsed("1970-01-01T23:59:00+23:59") == 0);
    assert_true(parsed("1970-01-01t00:00:00z") == 0);
}

static void a_leap_second_is_the_second_after_it(void **state)
{
    (void)state;
    assert_true(parsed("1990-12-31T23:59:60Z") == INT64_C(662688000) * NANOS);
    assert_true(parsed("1990-12-31T15:59:60-08:00") == INT64_C(662688000) * NANOS);
    assert_true(parsed("1991-01-01T05:29:60.25+05:30") == INT64_C(662688000) * NANOS + 250000000);
}

static void digits_beyond_the_ninth_are_dropped(void **state)
{
    (void)state;
    assert_true(parsed("1970-01-01T00:00:00.1234567899999999999999999999999999Z") == 123456789);
    assert_true(parsed("1970-01-01T00:00:00.0000000009Z") == 0);
}

static void malformed_times_name_the_offset(void **state)
{
    static const struct {
        const char *text;
        const char *offset;
    } cases[] = {
        {"", "0"},
        {"x970-01-01T00:00:00Z", "0"},
        {"197", "3"},
        {"1970/01-01T00:00:00Z", "4"},
        {"1970-00-01T00:00:00Z", "5"},
        {"1970-13-01T00:00:00Z", "5"},
        {"1970-1-01T00:00:00Z", "6"},
        {"1970-01-00T00:00:00Z", "8"},
        {"1970-01-32T00:00:00Z", "8"},
        {"1970-04-31T00:00:00Z", "8"},
        {"1900-02-29T00:00:00Z", "8"},
        {"2023-02-29T00:00:00Z", "8"},
        {"2100-02-29T00:00:00Z", "8"},
        {"2000-02-30T00:00:00Z", "8"},
        {"1970-01-01 00:00:00Z", "10"},
        {"1970-01-01", "10"},
        {"1970-01-01T24:00:00Z", "11"},
        {"1970-01-01T-1:00:00Z", "11"},
        {"1970-01-01T00:60:00Z", "14"},
        {"1970-01-01T00:00:61Z", "17"},
        {"1970-01-01T00:00:60Z", "17"},
        {"1990-12-30T23:59:60Z", "17"},
        {"1990-12-31T23:59:60-08:00", "17"},
        {"1970-01-01T00:00:00", "19"},
        {"1970-01-01T00:00:00 Z", "19"},
        {"1970-01-01T00:00:00.Z", "20"},
        {"1970-01-01T00:00:00,5Z", "19"},
        {"1970-01-01T00:00:00+24:00", "20"},
        {"1970-01-01T00:00:00+0100", "22"},
        {"1970-01-01T00:00:00+01", "22"},
        {"1970-01-01T00:00:00+01:60", "23"},
        {"1970-01-01T00:00:00ZZ", "20"},
        {"1970-01-01T00:00:00+01:00 ", "25"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_error *error = NULL;
        int64_t time = 42;

        assert_failure(STELE_MALFORMED, stele_time_parse(support_slice(cases[i].text), &time, &error), error);
        assert_string_equal(cases[i].offset, stele_error_get(error, "offset"));
        assert_int_equal(42, time);
        stele_error_free(error);
        assert_int_equal(STELE_MALFORMED, stele_time_parse(support_slice(cases[i].text), &time, NULL));
    }
}

static void an_absent_text_or_result_is_refused(void **state)
{
    stele_error *error = NULL;
    int64_t time;

    (void)state;
    assert_status(STELE_MALFORMED, stele_time_parse(support_slice(NULL), &time, &error), error);
    assert_status(STELE_INVALID, stele_time_parse(support_slice("1970-01-01T00:00:00Z"), NULL, &error), error);
}

/* A calendar that only knows how to go to the next day. */
static void every_day_of_the_range_follows_the_one_before(void **state)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1678;
    int month = 1;
    int day = 1;

    (void)state;
    /* From 1678 to 1970: 292 years; 73 of them divide by four, of which 1700, 1800 and 1900 are common years. */
    for (int64_t days = -(292 * 365 + 70); year < 2262; days++) {
        const int is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        char text[64];

        snprintf(text, sizeof(text), "%04d-%02d-%02dT00:00:00Z", year, month, day);
        assert_prints(text, days * 86400 * NANOS);
        if (++day > lengths[month - 1] + (month == 2 && is_leap)) {
            day = 1;
            month++;
        }
        if (month > 12) {
            month = 1;
            year++;
        }
    }
}

static void random_times_survive_text(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const int64_t time = (int64_t)support_random_next(&random);
        char text[STELE_TIME_TEXT_SIZE];

        stele_time_print(time, text);
        assert_true(parsed(text) == time);
    }
}

static int64_t fixed_now(void *context)
{
    return *(const int64_t *)context;
}

static void the_clock_in_use_tells_the_time(void **state)
{
    int64_t now = 1234;
    const struct stele_clock clock = {.now = fixed_now, .monotonic = fixed_now, .context = &now};
    const struct stele_clock *const system = stele_clock_system();
    int64_t monotonic;

    (void)state;
    stele__clock_use(&clock);
    assert_int_equal(1234, stele_time_now());
    stele__clock_use(NULL);
    /* 2024-01-01: this test was written later. */
    assert_true(stele_time_now() > INT64_C(1704067200) * NANOS);
    monotonic = system->monotonic(system->context);
    assert_true(system->monotonic(system->context) >= monotonic);
}

static void a_pause_takes_the_time_asked_for(void **state)
{
    const struct stele_clock *const system = stele_clock_system();
    const int64_t start = system->monotonic(system->context);

    (void)state;
    system->pause(system->context, 2000000);
    assert_true(system->monotonic(system->context) - start >= 2000000);
    system->pause(system->context, 0);
    system->pause(system->context, -1);
    system->pause(system->context, INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(known_dates_print_and_parse),
        support_test(fractions_have_three_six_or_nine_digits),
        support_test(times_before_1970_count_backwards),
        support_test(the_ends_of_the_range_print_and_parse),
        support_test(one_past_the_range_is_a_limit),
        support_test(offsets_are_subtracted),
        support_test(a_leap_second_is_the_second_after_it),
        support_test(digits_beyond_the_ninth_are_dropped),
        support_test(malformed_times_name_the_offset),
        support_test(an_absent_text_or_result_is_refused),
        support_test(every_day_of_the_range_follows_the_one_before),
        support_test(random_times_survive_text),
        support_test(the_clock_in_use_tells_the_time),
        support_test(a_pause_takes_the_time_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
