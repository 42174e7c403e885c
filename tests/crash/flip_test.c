/*
 * One flipped bit anywhere in a store or its log. STELE_CRASH_FLIP_STRIDE says
 * how far apart the bytes are (default 41; 1 takes each in turn).
 */
#include "tests/support/support.h"

#include "tests/crash/flip.h"

#include <stdio.h>
#include <stdlib.h>

static void flip_all(const char *file)
{
    const char *text = getenv("STELE_CRASH_FLIP_STRIDE");
    const size_t stride = text == NULL ? 41 : (size_t)strtoull(text, NULL, 10);
    struct flip_result result = {0};

    flip_run(support_seed().state, file, stride, &result);
    print_message("%zu bytes flipped: %zu times refused, %zu reported, %zu harmless, %zu newest commits cut off\n",
                  result.flips, result.refused, result.reported, result.harmless, result.shortened);
    for (int i = 1; i < FINDINGS; i++)
        if (result.findings[i] != 0)
            print_message("%s: %zu\n", finding_name((enum finding)i), result.findings[i]);
    if (result.first[0] != '\0')
        fail_msg("%s", result.first);
    assert_true(result.flips > 0 && result.refused > 0 && result.harmless > 0);
}

static void D5_a_flipped_bit_of_the_file_never_gives_a_wrong_event(void **state)
{
    (void)state;
    flip_all("/ledger");
}

static void D5_a_flipped_bit_of_the_log_never_gives_a_wrong_event(void **state)
{
    (void)state;
    flip_all("/ledger-wal");
}

/* Also where the number in it is even, so that one bit makes it the next: as if the log were just beginning anew. */
static void D5_no_flipped_bit_of_the_header_hides_a_commit(void **state)
{
    (void)state;
    for (size_t restarts = 0; restarts < 3; restarts++) {
        struct flip_result result = {0};

        flip_header(support_seed().state, restarts, false, &result);
        assert_string_equal(result.first, "");
        assert_int_equal(result.flips, 256);
        assert_int_equal(result.refused, 256);
    }
}

static void D5_what_looks_like_a_new_beginning_is_one_if_all_commits_are_in_the_file(void **state)
{
    size_t even = 0;

    (void)state;
    for (size_t restarts = 0; restarts < 3; restarts++) {
        struct flip_result result = {0};

        flip_header(support_seed().state, restarts, true, &result);
        assert_string_equal(result.first, "");
        assert_int_equal(result.harmless, 1 - result.number % 2);
        assert_int_equal(result.refused + result.harmless, 256);
        even += result.number % 2 == 0;
    }
    assert_in_range(even, 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D5_a_flipped_bit_of_the_file_never_gives_a_wrong_event),
        support_test(D5_a_flipped_bit_of_the_log_never_gives_a_wrong_event),
        support_test(D5_no_flipped_bit_of_the_header_hides_a_commit),
        support_test(D5_what_looks_like_a_new_beginning_is_one_if_all_commits_are_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
