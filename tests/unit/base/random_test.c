/* Sequences of random numbers. */
#include "tests/support/support.h"

#include "base/random.h"

/* The numbers that Rosetta Code ("Pseudo-random numbers/Splitmix64") gives for this seed. */
static void a_sequence_is_that_of_splitmix64(void **state)
{
    static const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                        UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                        UINT64_C(16408922859458223821)};
    uint64_t sequence = 1234567;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(stele__random_next(&sequence), expected[i]);
}

static void numbers_below_a_limit_are_below_it_and_reach_all(void **state)
{
    unsigned seen[6] = {0};
    uint64_t sequence = 0;

    (void)state;
    for (int i = 0; i < 6000; i++) {
        const uint64_t number = stele__random_below(&sequence, 6);

        assert_true(number < 6);
        seen[number]++;
    }
    for (size_t i = 0; i < 6; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(stele__random_below(&sequence, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_sequence_is_that_of_splitmix64),
        support_test(numbers_below_a_limit_are_below_it_and_reach_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
