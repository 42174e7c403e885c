/*
 * Power cuts at every operation (see power.h).
 *
 *     plan -> run on the recording disk -> operations, journal
 *     replay: operation n -> image per kind of damage -> check disk -> open, check, go on, check again
 *
 * Images that equal one already checked for the same state of the journal are
 * not counted and not checked again.
 */
#include "tests/crash/power.h"

#include "tests/support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_VFS "crash-record"
#define CHECK_VFS "crash-check"

enum { TAIL = 3, SEEN = 4096, SECOND_CUT_ONE_IN = 16, SECOND_CUT_WITHIN = 40 };

/* One workload with what is needed to check its images. */
struct run {
    const struct power_options *options;
    struct power_result *result;
    struct crash_disk *record, *check;
    struct crash_image image;
    struct plan *plan;
    struct journal journal;
    size_t created; /* operations that made the empty store */
    size_t steps;   /* those of the workload; the rest of the plan is for after the crash */
    int checkpoint_pages;
    struct crash_options record_options;
    bool cut_again; /* at the point in hand */
    bool stopped;
    uint64_t random;
    uint64_t seen[SEEN]; /* hashes of images checked, with the state of the journal */
};

static struct opening opening_of(const struct run *run, bool recording)
{
    return (struct opening){
        .disk = recording ? run->record : run->check,
        .vfs = recording ? RECORD_VFS : CHECK_VFS,
        .sync = run->options->sync,
        .checkpoint_pages = run->checkpoint_pages,
    };
}

static void note(struct run *run, const struct verdict *verdict, size_t operation, const char *damage)
{
    struct power_result *result = run->result;

    result->findings[verdict->finding]++;
    if (verdict->finding == FINDING_NONE || result->first[0] != '\0')
        return;
    snprintf(result->first, sizeof result->first,
             "workload %" PRIu64 " (sectors of %u, %s), operation %zu, %s%s: %s: %s", run->plan->seed,
             run->record_options.sector, run->record_options.power_safe ? "power-safe" : "not power-safe", operation,
             damage, run->cut_again ? ", cut again" : "", finding_name(verdict->finding), verdict->text);
}

/* --- The workload ------------------------------------------------------------------------- */

static void format(struct run *run)
{
    struct support_random random = {.state = run->plan->seed ^ 0x5eed};
    const struct crash_options options = {
        .sector = support_random_below(&random, 2) == 0 ? 512 : 4096,
        .power_safe = support_random_below(&random, 2) == 0,
        .recording = true,
        .seed = run->plan->seed,
        .swallows_syncs = run->options->swallows_syncs,
    };
    struct crash_options checking = options;

    run->record_options = options;
    checking.recording = false;
    checking.swallows_syncs = false;
    crash_disk_format(run->record, &options);
    crash_disk_format(run->check, &checking);
    run->checkpoint_pages = 8 + (int)support_random_below(&random, 80);
}

static bool record(struct run *run, struct verdict *verdict)
{
    const struct opening opening = opening_of(run, true);
    stele_store *store = check_open(&opening, verdict);

    if (store == NULL)
        return false;
    run->created = crash_disk_operations(run->record);
    for (size_t i = 0; i < run->steps && verdict->finding == FINDING_NONE; i++) {
        struct entry *entry = &run->journal.entries[i];
        entry->begin = crash_disk_operations(run->record);
        journal_run(&run->journal, store, i, false, verdict);
        entry->end = crash_disk_operations(run->record);
    }
    stele_store_close(store);
    return verdict->finding == FINDING_NONE;
}

/* --- One image -------------------------------------------------------------------------------- */

/* Power fails again while the store is opened and goes on: what is left then is checked instead. */
static void cut_again(struct run *run, struct journal *journal)
{
    const struct opening opening = opening_of(run, false);
    struct verdict ignored = {FINDING_NONE, ""};
    bool present[PLAN_STEPS_MAX];
    stele_store *store;

    crash_disk_fail(run->check, CRASH_POWER_CUT, 1 + crash_random_below(&run->random, SECOND_CUT_WITHIN), true);
    store = check_open(&opening, &ignored);
    if (store != NULL && check_log(journal, store, present, &ignored))
        check_settle(journal, store, present, true, &ignored);
    stele_store_close(store);
    crash_disk_image(run->check, (enum crash_damage)crash_random_below(&run->random, CRASH_DAMAGES), &run->random,
                     &run->image);
    crash_disk_load(run->check, &run->image);
    run->result->second_cuts++;
    run->cut_again = true;
}

/* The oldest unknown step; plan->count if there is none. */
static size_t unknown_step(const struct journal *journal)
{
    size_t step = 0;

    while (step < journal->plan->count && journal->entries[step].outcome != UNKNOWN)
        step++;
    return step;
}

static void check_image(struct run *run, struct journal *journal, struct verdict *verdict)
{
    const struct opening opening = opening_of(run, false);
    const size_t unknown = unknown_step(journal);
    stele_store *store;

    run->cut_again = false;
    crash_disk_load(run->check, &run->image);
    if (run->options->second_cuts && crash_random_below(&run->random, SECOND_CUT_ONE_IN) == 0)
        cut_again(run, journal);
    store = check_open(&opening, verdict);
    if (store == NULL)
        return;
    if (unknown < run->plan->count) {
        bool present[PLAN_STEPS_MAX];
        run->result->settled++;
        if (check_log(journal, store, present, verdict))
            run->result->stored += present[unknown];
    }
    if (verdict->finding == FINDING_NONE)
        check_store(journal, store, run->steps, verdict);
    stele_store_close(store);
}

/* Whether the image was checked already in the same state of the journal. */
static bool is_known(struct run *run, const struct journal *journal)
{
    uint64_t hash = crash_image_hash(&run->image);

    for (size_t i = 0; i < journal->plan->count; i++)
        hash = (hash ^ (uint64_t)journal->entries[i].outcome) * 0x9E3779B97F4A7C15U;
    uint64_t *place = &run->seen[hash % SEEN];
    if (*place == hash)
        return true;
    *place = hash;
    return false;
}

static void check_point(struct run *run, struct crash_replay *replay, enum crash_damage damage)
{
    const size_t operation = crash_replay_done(replay);
    struct verdict verdict = {FINDING_NONE, ""};
    struct journal journal = run->journal;

    crash_replay_image(replay, damage, &run->random, &run->image);
    journal_cut(&journal, operation);
    if (is_known(run, &journal))
        return;
    run->result->points++;
    check_image(run, &journal, &verdict);
    note(run, &verdict, operation, crash_damage_name(damage));
}

/* --- All of them ---------------------------------------------------------------------------------- */

static bool is_enough(const struct run *run)
{
    const struct power_result *result = run->result;

    return result->points >= run->options->points || (run->options->stop_at_first && result->first[0] != '\0');
}

static void check_all(struct run *run)
{
    struct crash_replay *replay = crash_replay_new(run->record);

    while (!is_enough(run) && crash_replay_step(replay)) {
        if (crash_replay_done(replay) < run->created)
            continue;
        run->result->operations++;
        for (int damage = 0; damage < CRASH_DAMAGES && !is_enough(run); damage++)
            check_point(run, replay, (enum crash_damage)damage);
    }
    crash_replay_free(replay);
}

static void run_workload(struct run *run, uint64_t seed)
{
    const struct plan_options options = {0};
    struct verdict verdict = {FINDING_NONE, ""};

    run->plan = plan_new(seed, &options);
    run->steps = run->plan->count - TAIL;
    run->random = seed ^ 0xd1ce; /* not the numbers that choose the plan */
    memset(&run->journal, 0, sizeof run->journal);
    memset(run->seen, 0, sizeof run->seen);
    run->journal.plan = run->plan;
    format(run);
    run->result->workloads++;
    run->stopped = !record(run, &verdict);
    if (run->stopped)
        note(run, &verdict, crash_disk_operations(run->record), "undisturbed");
    else
        check_all(run);
    plan_free(run->plan);
}

void power_run(const struct power_options *options, struct power_result *result)
{
    const struct crash_options plain = {.sector = 4096};
    struct run *run = calloc(1, sizeof *run);

    assert_non_null(run);
    memset(result, 0, sizeof *result);
    run->options = options;
    run->result = result;
    run->record = crash_disk_new(RECORD_VFS, &plain);
    run->check = crash_disk_new(CHECK_VFS, &plain);
    /* A workload that fails undisturbed is no ground to cut power on. */
    for (uint64_t seed = options->seed; !is_enough(run) && !run->stopped; seed++)
        run_workload(run, seed);
    crash_image_fini(&run->image);
    crash_disk_free(run->check);
    crash_disk_free(run->record);
    free(run);
}
