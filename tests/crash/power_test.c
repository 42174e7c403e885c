/*
 * Power cuts at every operation of many workloads. STELE_CRASH_POINTS says how
 * many images are checked (default 20,000), STELE_TEST_SEED which workloads.
 */
#include "tests/support/support.h"

#include "tests/crash/power.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void D1_A8_nothing_acknowledged_is_lost_by_a_power_cut(void **state)
{
    (void)state;
    const struct power_options options = {.seed = support_seed().state,
                                          .points = check_wanted("STELE_CRASH_POINTS", 20000),
                                          .sync = "full",
                                          .second_cuts = true};
    struct power_result result;
    struct timespec start;
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &start);
    power_run(&options, &result);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    print_message("%zu images after power cuts at %zu operations of %zu workloads, %zu with a second cut, in %.1f s\n",
                  result.points, result.operations, result.workloads, result.second_cuts, seconds);
    print_message("unknown outcomes settled: %zu, of which stored: %zu\n", result.settled, result.stored);
    for (int i = 1; i < FINDINGS; i++)
        if (result.findings[i] != 0)
            print_message("%s: %zu\n", finding_name((enum finding)i), result.findings[i]);
    if (result.first[0] != '\0')
        fail_msg("%s", result.first);
    assert_true(result.settled > 0 && result.stored > 0 && result.stored < result.settled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D1_A8_nothing_acknowledged_is_lost_by_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
