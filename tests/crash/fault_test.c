/*
 * Failing operations: at operation n a write, truncation or sync fails, once or
 * for ever; the disk is full; a write is short; a sync fails and drops its data
 * while reads still see it (contract D3). The workload goes on as a program
 * would: it repeats what is unknown after opening the store again, on the same
 * disk or after a power cut. At the end power fails, and all is checked.
 * STELE_CRASH_FAULTS says how many faults are tried (default 3,000).
 */
#include "tests/support/support.h"

#include "tests/crash/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VFS "crash-fault"

enum { STEPS = 26, TAIL = 3, OPERATIONS = 260, REOPENING_OPERATIONS = 40, PATIENCE = 3 };

/* One run of a workload with one fault. */
struct run {
    struct crash_disk *disk;
    struct plan *plan;
    struct journal journal;
    struct opening opening;
    struct crash_image image;
    stele_store *store;
    uint64_t random;
    size_t full; /* appends refused for lack of space */
    bool struck;
    bool cuts_reopening; /* power may fail while the store is opened again */
    struct verdict verdict;
};

static struct totals {
    size_t struck, unknown, poisoned, full, reopened, power_cuts;
} totals;

/* --- Going on after a failure -------------------------------------------------------- */

/* After an unknown outcome nothing is accepted until the store is opened again, but reads go on (contract D3). */
static void check_poisoned(struct run *run, size_t next)
{
    struct entry *entry = &run->journal.entries[next];

    totals.poisoned++;
    if (!journal_run(&run->journal, run->store, next, true, &run->verdict))
        return;
    if (entry->status != STELE_IO && entry->status != STELE_OK)
        found(&run->verdict, FINDING_ANSWER, "step %zu after an unknown outcome: %s instead of IO", next,
              stele_status_name(entry->status));
    else if (entry->outcome == ACKNOWLEDGED)
        found(&run->verdict, FINDING_ANSWER, "step %zu was acknowledged after an unknown outcome", next);
    else
        check_log(&run->journal, run->store, NULL, &run->verdict);
}

static void cut_power(struct run *run)
{
    totals.power_cuts++;
    crash_disk_image(run->disk, (enum crash_damage)crash_random_below(&run->random, CRASH_DAMAGES), &run->random,
                     &run->image);
    stele_store_close(run->store);
    run->store = NULL;
    crash_disk_load(run->disk, &run->image);
}

/* Power fails while the store is opened and unknown steps are settled. */
static void cut_power_in_reopening(struct run *run)
{
    struct verdict ignored = {FINDING_NONE, ""};
    bool present[PLAN_STEPS_MAX];

    stele_store_close(run->store);
    crash_disk_fail(run->disk, CRASH_POWER_CUT,
                    crash_disk_operations(run->disk) + 1 + crash_random_below(&run->random, REOPENING_OPERATIONS),
                    true);
    run->store = check_open(&run->opening, &ignored);
    if (run->store != NULL && check_log(&run->journal, run->store, present, &ignored))
        check_settle(&run->journal, run->store, present, true, &ignored);
    cut_power(run);
}

/* Open again, on the same disk or after a power cut, and settle what is unknown. */
static void reopen(struct run *run, bool powerless)
{
    bool present[PLAN_STEPS_MAX];

    totals.reopened++;
    run->struck = run->struck || crash_disk_failed(run->disk);
    crash_disk_fail(run->disk, CRASH_NO_FAULT, 0, false);
    if (powerless)
        cut_power(run);
    else if (run->cuts_reopening && crash_random_below(&run->random, 2) == 0)
        cut_power_in_reopening(run);
    stele_store_close(run->store);
    run->store = check_open(&run->opening, &run->verdict);
    if (run->store != NULL && check_log(&run->journal, run->store, present, &run->verdict))
        check_settle(&run->journal, run->store, present, false, &run->verdict);
}

static void run_step(struct run *run, size_t *step)
{
    const size_t number = (*step)++;
    const struct entry *entry = &run->journal.entries[number];

    journal_run(&run->journal, run->store, number, true, &run->verdict);
    if (run->verdict.finding != FINDING_NONE)
        return;
    if (entry->outcome == UNKNOWN) {
        totals.unknown++;
        if (*step < STEPS)
            check_poisoned(run, (*step)++);
    } else if (entry->status == STELE_FULL) {
        totals.full++;
        run->struck = true;
        if (++run->full == PATIENCE)
            crash_disk_fail(run->disk, CRASH_NO_FAULT, 0, false);
        return;
    }
    if (run->verdict.finding == FINDING_NONE && (entry->status == STELE_IO || entry->status == STELE_UNKNOWN))
        reopen(run, crash_random_below(&run->random, 2) == 0);
}

static void run_workload(struct run *run, enum crash_fault fault, size_t at, bool for_ever)
{
    run->store = check_open(&run->opening, &run->verdict);
    crash_disk_fail(run->disk, fault, crash_disk_operations(run->disk) + at, for_ever);
    for (size_t step = 0; step < STEPS && run->store != NULL && run->verdict.finding == FINDING_NONE;)
        run_step(run, &step);
    totals.struck += run->struck || crash_disk_failed(run->disk);
    if (run->verdict.finding == FINDING_NONE)
        reopen(run, true);
    if (run->verdict.finding == FINDING_NONE)
        check_store(&run->journal, run->store, STEPS, &run->verdict);
    stele_store_close(run->store);
    run->store = NULL;
}

/* --- All of them ---------------------------------------------------------------------------- */

static void try_fault(struct run *run, uint64_t seed, enum crash_fault fault, bool for_ever)
{
    const struct plan_options plan_options = {.steps = STEPS + TAIL};
    struct support_random random = {.state = seed};
    const struct crash_options options = {.sector = support_random_below(&random, 2) == 0 ? 512 : 4096,
                                          .power_safe = support_random_below(&random, 2) == 0,
                                          .seed = seed};
    const size_t at = 1 + (size_t)support_random_below(&random, OPERATIONS);

    run->plan = plan_new(seed / 16, &plan_options);
    memset(&run->journal, 0, sizeof run->journal);
    memset(&run->verdict, 0, sizeof run->verdict);
    run->journal.plan = run->plan;
    run->random = seed ^ 0xd1ce; /* not the numbers that choose the disk */
    run->full = 0;
    run->struck = false;
    /* Where torn writes spoil their neighbours, a lying sync and a power cut together are more than a store can bear. */
    run->cuts_reopening = options.power_safe || fault != CRASH_LYING_SYNC;
    run->opening.checkpoint_pages = 8 + (int)support_random_below(&random, 60);
    crash_disk_format(run->disk, &options);
    run_workload(run, fault, at, for_ever);
    plan_free(run->plan);
    if (run->verdict.finding != FINDING_NONE)
        fail_msg("fault %d %s at operation %zu, seed %" PRIu64 " (sectors of %u, %s): %s: %s", (int)fault,
                 for_ever ? "for ever" : "once", at, seed, options.sector,
                 options.power_safe ? "power-safe" : "not power-safe", finding_name(run->verdict.finding),
                 run->verdict.text);
}

static void try_faults(enum crash_fault fault)
{
    const struct crash_options plain = {.sector = 4096};
    const struct support_random random = support_seed();
    struct run run = {.disk = crash_disk_new(VFS, &plain)};

    memset(&totals, 0, sizeof totals);
    run.opening = (struct opening){.disk = run.disk, .vfs = VFS, .sync = "full"};
    for (size_t i = 0; i < check_wanted("STELE_CRASH_FAULTS", 3000) / 4; i++)
        try_fault(&run, random.state + i, fault, i % 2 == 1);
    crash_image_fini(&run.image);
    crash_disk_free(run.disk);
    print_message("%zu faults struck: %zu outcomes unknown, %zu appends refused as full, opened again %zu times, "
                  "%zu of them after a power cut\n",
                  totals.struck, totals.unknown, totals.full, totals.reopened, totals.power_cuts);
    assert_true(totals.struck > 0);
}

static void D3_A8_failed_writes_truncations_and_syncs_lose_nothing(void **state)
{
    (void)state;
    try_faults(CRASH_IO_ERROR);
    assert_true(totals.unknown > 0);
}

static void A8_a_full_disk_refuses_appends_and_loses_nothing(void **state)
{
    (void)state;
    try_faults(CRASH_DISK_FULL);
    assert_true(totals.full > 0);
}

static void A8_short_writes_lose_nothing(void **state)
{
    (void)state;
    try_faults(CRASH_SHORT_WRITE);
    assert_true(totals.full > 0);
}

static void D3_a_sync_that_fails_and_drops_its_data_loses_nothing(void **state)
{
    (void)state;
    try_faults(CRASH_LYING_SYNC);
    assert_true(totals.unknown > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D3_A8_failed_writes_truncations_and_syncs_lose_nothing),
        support_test(A8_a_full_disk_refuses_appends_and_loses_nothing),
        support_test(A8_short_writes_lose_nothing),
        support_test(D3_a_sync_that_fails_and_drops_its_data_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
