/* Delays between attempts, and the settings they are made of. Times here are in milliseconds. */
#include "tests/support/support.h"

#include <stele/intercept.h>

#include <limits.h>
#include <math.h>

#define MS INT64_C(1000000)

/* A random number that picks the last of 0 to n. */
static uint64_t last_of(int64_t n)
{
    return (uint64_t)n;
}

static void assert_delays(const struct stele_retry *settings, const int64_t *expected, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(expected[i] * MS, stele_retry_delay(settings, i, 0));
}

static void ORX41_exponential_doubles_from_one_second_up_to_a_minute(void **state)
{
    const struct stele_retry settings = {.jitter = STELE_JITTER_NONE};
    const int64_t expected[] = {0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

    (void)state;
    assert_delays(&settings, expected, 9);
}

static void ORX41_linear_adds_a_second_each_time_up_to_a_minute(void **state)
{
    const struct stele_retry settings = {.backoff = STELE_BACKOFF_LINEAR, .jitter = STELE_JITTER_NONE};
    const int64_t expected[] = {0, 1000, 2000, 3000, 4000};

    (void)state;
    assert_delays(&settings, expected, 5);
    assert_int_equal(59000 * MS, stele_retry_delay(&settings, 59, 0));
    assert_int_equal(60000 * MS, stele_retry_delay(&settings, 60, 0));
    assert_int_equal(60000 * MS, stele_retry_delay(&settings, 61, 0));
}

static void ORX41_fixed_stays_at_one_second(void **state)
{
    const struct stele_retry settings = {.backoff = STELE_BACKOFF_FIXED, .jitter = STELE_JITTER_NONE};
    const int64_t expected[] = {0, 1000, 1000, 1000, 1000};

    (void)state;
    assert_delays(&settings, expected, 5);
}

static void ORX41_none_does_not_wait(void **state)
{
    const struct stele_retry settings = {.backoff = STELE_BACKOFF_NONE};
    const int64_t expected[] = {0, 0, 0, 0};

    (void)state;
    assert_delays(&settings, expected, 4);
    assert_int_equal(0, stele_retry_delay(&settings, 3, UINT64_MAX));
}

static void ORX41_attempt_0_waits_for_nothing(void **state)
{
    (void)state;
    for (unsigned backoff = STELE_BACKOFF_EXPONENTIAL; backoff <= STELE_BACKOFF_NONE; backoff++) {
        const struct stele_retry settings = {.backoff = (enum stele_backoff)backoff, .jitter = STELE_JITTER_NONE};

        assert_int_equal(0, stele_retry_delay(&settings, 0, UINT64_MAX));
    }
}

static void own_settings_replace_the_defaults(void **state)
{
    const struct stele_retry tripled = {.jitter = STELE_JITTER_NONE, .delay_ms = 10, .factor = 3, .max_delay_ms = 100};
    const struct stele_retry stepped = {.backoff = STELE_BACKOFF_LINEAR,
                                        .jitter = STELE_JITTER_NONE,
                                        .delay_ms = 5,
                                        .increment_ms = 20,
                                        .max_delay_ms = 50};
    const int64_t tripling[] = {0, 10, 30, 90, 100, 100};
    const int64_t stepping[] = {0, 5, 25, 45, 50};

    (void)state;
    assert_delays(&tripled, tripling, 6);
    assert_delays(&stepped, stepping, 5);
}

static void no_settings_are_the_defaults_with_full_jitter(void **state)
{
    (void)state;
    assert_int_equal(0, stele_retry_delay(NULL, 1, 0));
    assert_int_equal(1000 * MS, stele_retry_delay(NULL, 1, last_of(1000 * MS)));
    assert_int_equal(2000 * MS, stele_retry_delay(NULL, 2, last_of(2000 * MS)));
}

static void ORX42_full_jitter_is_from_0_to_the_delay(void **state)
{
    const struct stele_retry settings = {.jitter = STELE_JITTER_FULL};

    (void)state;
    assert_int_equal(0, stele_retry_delay(&settings, 3, 0));
    assert_int_equal(1, stele_retry_delay(&settings, 3, 1));
    assert_int_equal(4000 * MS, stele_retry_delay(&settings, 3, last_of(4000 * MS)));
    assert_int_equal(0, stele_retry_delay(&settings, 3, last_of(4000 * MS) + 1));
}

static void ORX42_equal_jitter_is_from_half_the_delay(void **state)
{
    const struct stele_retry settings = {.jitter = STELE_JITTER_EQUAL};

    (void)state;
    assert_int_equal(2000 * MS, stele_retry_delay(&settings, 3, 0));
    assert_int_equal(2000 * MS + 1, stele_retry_delay(&settings, 3, 1));
    assert_int_equal(4000 * MS, stele_retry_delay(&settings, 3, last_of(2000 * MS)));
    assert_int_equal(2000 * MS, stele_retry_delay(&settings, 3, last_of(2000 * MS) + 1));
}

static void ORX42_jitter_is_never_above_the_cap(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        const struct stele_retry settings = {.backoff = (enum stele_backoff)support_random_below(&random, 4),
                                             .jitter = (enum stele_jitter)support_random_below(&random, 3),
                                             .delay_ms = (uint32_t)support_random_below(&random, 5000),
                                             .increment_ms = (uint32_t)support_random_next(&random),
                                             .factor = 1 + (double)support_random_below(&random, 100) / 10,
                                             .max_delay_ms = 700};
        const int64_t delay =
            stele_retry_delay(&settings, (unsigned)support_random_below(&random, 50), support_random_next(&random));

        assert_in_range(delay, 0, 700 * MS);
    }
}

/* The cap is applied last: half of 64 s is 32 s, which it cuts to 10 s. */
static void ORX42_cap_comes_after_jitter(void **state)
{
    const struct stele_retry settings = {.jitter = STELE_JITTER_EQUAL, .max_delay_ms = 10000};

    (void)state;
    assert_int_equal(10000 * MS, stele_retry_delay(&settings, 7, 0));
}

static void delays_beyond_all_numbers_are_the_cap(void **state)
{
    const struct stele_retry steep = {
        .jitter = STELE_JITTER_NONE, .delay_ms = UINT32_MAX, .factor = 1e300, .max_delay_ms = UINT32_MAX};
    const struct stele_retry straight = {.backoff = STELE_BACKOFF_LINEAR,
                                         .jitter = STELE_JITTER_FULL,
                                         .delay_ms = UINT32_MAX,
                                         .increment_ms = UINT32_MAX,
                                         .max_delay_ms = UINT32_MAX};
    const struct stele_retry flat = {.jitter = STELE_JITTER_NONE, .factor = 1};

    (void)state;
    assert_int_equal(UINT32_MAX * MS, stele_retry_delay(&steep, UINT_MAX, 0));
    assert_int_equal(UINT32_MAX * MS, stele_retry_delay(&straight, UINT_MAX, INT64_MAX));
    assert_int_equal(1000 * MS, stele_retry_delay(&flat, UINT_MAX, 0));
}

static void ORX41_settings_out_of_range_are_named(void **state)
{
    const struct {
        struct stele_retry settings;
        const char *name;
    } cases[] = {
        {{.backoff = (enum stele_backoff)4}, "backoff"},
        {{.jitter = (enum stele_jitter)3}, "jitter"},
        {{.factor = 0.5}, "factor"},
        {{.factor = -2}, "factor"},
        {{.factor = NAN}, "factor"},
        {{.factor = INFINITY}, "factor"},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_failure(STELE_INVALID, stele_retry_check(&cases[i].settings, &error), error);
        assert_string_equal(cases[i].name, stele_error_get(error, "argument"));
        stele_error_free(error);
        error = NULL;
    }
    assert_ok(stele_retry_check(NULL, &error), error);
    assert_ok(stele_retry_check(&(const struct stele_retry){.factor = 1}, &error), error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX41_exponential_doubles_from_one_second_up_to_a_minute),
        support_test(ORX41_linear_adds_a_second_each_time_up_to_a_minute),
        support_test(ORX41_fixed_stays_at_one_second),
        support_test(ORX41_none_does_not_wait),
        support_test(ORX41_attempt_0_waits_for_nothing),
        support_test(own_settings_replace_the_defaults),
        support_test(no_settings_are_the_defaults_with_full_jitter),
        support_test(ORX42_full_jitter_is_from_0_to_the_delay),
        support_test(ORX42_equal_jitter_is_from_half_the_delay),
        support_test(ORX42_jitter_is_never_above_the_cap),
        support_test(ORX42_cap_comes_after_jitter),
        support_test(delays_beyond_all_numbers_are_the_cap),
        support_test(ORX41_settings_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
