/*
 * Power cuts while a view is written along with appends: at each operation of a
 * workload, with each kind of damage, the view of what is left is the fold of
 * the events that are left, nothing acknowledged is missing, and it goes on.
 * STELE_CRASH_VIEWS says how many images are checked (default 4000).
 */
#include "tests/support/support.h"

#include "tests/crash/check.h"
#include "tests/support/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RECORD_VFS "part-record"
#define CHECK_VFS "part-check"

enum { STEPS = 40, EVENTS_MAX = 3, STREAMS = 4, BATCH = 2 };

struct run {
    struct crash_disk *record, *check;
    struct crash_image image;
    struct support_random random;
    size_t created;        /* operations that made the empty store */
    size_t ends[STEPS];    /* operations done when each step was acknowledged */
    uint64_t heads[STEPS]; /* the last position then */
    size_t points, wanted;
};

/* --- The workload ---------------------------------------------------------------------- */

static stele_message *new_event(bool refused)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = refused ? TALLY_REFUSED : "t", .format = STELE_PAYLOAD_NONE};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    return event;
}

static void append_some(struct run *run, stele_store *store, bool refused)
{
    static const char *const streams[STREAMS] = {"a", "b", "c", "d"};
    struct stele_write writes[EVENTS_MAX];
    struct stele_batch batch = {.writes = writes, .write_count = 1 + support_random_below(&run->random, EVENTS_MAX)};
    stele_error *error = NULL;

    for (size_t i = 0; i < batch.write_count; i++)
        writes[i] = (struct stele_write){streams[support_random_below(&run->random, STREAMS)],
                                         new_event(refused && i + 1 == batch.write_count)};
    if (refused)
        assert_status(STELE_REJECTED, stele_append_batch(store, &batch, NULL, &error), error);
    else
        assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    for (size_t i = 0; i < batch.write_count; i++)
        stele_message_unref((stele_message *)(uintptr_t)writes[i].event);
}

/* The part is away at times: then it has something to catch up with. */
static void record(struct run *run, const struct opening *opening)
{
    struct verdict verdict = {FINDING_NONE, ""};
    stele_store *store = check_open(opening, &verdict);
    struct tally tally = {.joined = false};
    struct stele_stats stats;
    stele_error *error = NULL;

    assert_non_null(store);
    run->created = crash_disk_operations(run->record);
    for (size_t i = 0; i < STEPS; i++) {
        if (tally.joined && support_random_below(&run->random, 8) == 0)
            tally_close(&tally);
        else if (!tally.joined && support_random_below(&run->random, 3) == 0)
            assert_ok(tally_open(&tally, store, BATCH, &error), error);
        if (support_random_below(&run->random, 6) == 0)
            check_checkpoint_next(store);
        append_some(run, store, tally.joined && support_random_below(&run->random, 5) == 0);
        run->ends[i] = crash_disk_operations(run->record);
        assert_ok(stele_stats(store, &stats, &error), error);
        run->heads[i] = stats.head;
    }
    if (tally.joined)
        tally_close(&tally);
    stele_store_close(store);
}

/* --- An image ----------------------------------------------------------------------------- */

static uint64_t acknowledged_by(const struct run *run, size_t operations)
{
    uint64_t head = 0;

    for (size_t i = 0; i < STEPS && run->ends[i] <= operations; i++)
        head = run->heads[i];
    return head;
}

static void check_image(struct run *run, const struct opening *opening, size_t operations)
{
    struct verdict verdict = {FINDING_NONE, ""};
    char why[TALLY_TEXT];
    struct tally tally;
    struct stele_stats stats;
    stele_store *store;
    stele_error *error = NULL;

    crash_disk_load(run->check, &run->image);
    store = check_open(opening, &verdict);
    if (!store)
        fail_msg("operation %zu: %s", operations, verdict.text);
    if (!tally_is_right(store, false, why))
        fail_msg("operation %zu: %s", operations, why);
    assert_ok(stele_stats(store, &stats, &error), error);
    assert_true(stats.head >= acknowledged_by(run, operations));
    assert_ok(tally_open(&tally, store, BATCH, &error), error);
    append_some(run, store, false);
    if (!tally_is_right(store, true, why))
        fail_msg("operation %zu, going on: %s", operations, why);
    tally_close(&tally);
    stele_store_close(store);
    run->points++;
}

static void run_workload(struct run *run)
{
    const struct crash_options options = {.sector = support_random_below(&run->random, 2) ? 512 : 4096,
                                          .power_safe = support_random_below(&run->random, 2) == 0,
                                          .recording = true,
                                          .seed = run->random.state};
    struct crash_options checking = options;
    const int pages = 8 + (int)support_random_below(&run->random, 60);
    const struct opening recorded = {.disk = run->record, .vfs = RECORD_VFS, .sync = "full", .checkpoint_pages = pages};
    const struct opening checked = {.disk = run->check, .vfs = CHECK_VFS, .sync = "full", .checkpoint_pages = pages};
    struct crash_replay *replay;

    checking.recording = false;
    crash_disk_format(run->record, &options);
    crash_disk_format(run->check, &checking);
    record(run, &recorded);
    replay = crash_replay_new(run->record);
    while (run->points < run->wanted && crash_replay_step(replay)) {
        const size_t operations = crash_replay_done(replay);

        for (int damage = 0; damage < CRASH_DAMAGES && operations >= run->created; damage++) {
            crash_replay_image(replay, (enum crash_damage)damage, &run->random.state, &run->image);
            check_image(run, &checked, operations);
        }
    }
    crash_replay_free(replay);
}

static void C2_a_power_cut_at_any_operation_leaves_views_of_exactly_the_events(void **state)
{
    const struct crash_options plain = {.sector = 4096};
    struct run run = {.random = support_seed(), .wanted = check_wanted("STELE_CRASH_VIEWS", 4000)};

    (void)state;
    run.record = crash_disk_new(RECORD_VFS, &plain);
    run.check = crash_disk_new(CHECK_VFS, &plain);
    while (run.points < run.wanted)
        run_workload(&run);
    print_message("%zu images\n", run.points);
    crash_image_fini(&run.image);
    crash_disk_free(run.check);
    crash_disk_free(run.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_a_power_cut_at_any_operation_leaves_views_of_exactly_the_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
