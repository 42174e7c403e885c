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

/* Under its temporary name a store is made by the same steps: when it gets its name, nothing of it may be pending. */
static void D4_a_store_just_created_is_wholly_on_disk(void **state)
{
    (void)state;
    const struct crash_options options = {.sector = 4096, .power_safe = true};
    struct crash_disk *disk = crash_disk_new("crash-create", &options);
    const struct opening opening = {.disk = disk, .vfs = "crash-create", .sync = "full"};
    struct verdict verdict = {FINDING_NONE, ""};
    struct crash_image lost = {0};
    struct crash_image kept = {0};
    uint64_t random = 0;

    stele_store *store = check_open(&opening, &verdict);
    assert_non_null(store);
    crash_disk_image(disk, CRASH_ALL_LOST, &random, &lost);
    crash_disk_image(disk, CRASH_ALL_KEPT, &random, &kept);
    const struct crash_image_file *one = crash_image_find(&lost, "/ledger");
    const struct crash_image_file *other = crash_image_find(&kept, "/ledger");
    assert_non_null(one);
    assert_non_null(other);
    assert_int_equal(other->size, one->size);
    assert_memory_equal(other->bytes, one->bytes, one->size);
    stele_store_close(store);
    crash_image_fini(&lost);
    crash_image_fini(&kept);
    crash_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D4_a_store_just_created_is_wholly_on_disk),
        support_test(D1_A8_nothing_acknowledged_is_lost_by_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
