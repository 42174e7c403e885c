/*
 * Power cuts and kills while a projection fills views behind the log. Whatever
 * is left, the views are the fold of the events up to the position that is kept with them, and
 * when it goes on, of all events: each has its effect once. In the store's own file a power is cut at each operation
 * of a workload; with a file beside the store, a process that appends and projects dies by SIGKILL.
 * STELE_CRASH_PROJECTIONS says how many images are checked (default 6000), STELE_CRASH_KILLS how many kills (default 40).
 */
#include "tests/unit/projections/stage.h"

#include "projections/marks.h"
#include "projections/views.h"
#include "tests/crash/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECORD_VFS "projection-record"
#define CHECK_VFS "projection-check"

enum { STEPS = 25, ACCOUNTS = 4 };

static const char *const accounts[ACCOUNTS] = {"a", "b", "c", "d"};

/* --- What must be there --------------------------------------------------------------------- */

struct expected {
    int64_t amount[ACCOUNTS];
    int64_t changes[ACCOUNTS];
    char text[512];
};

static stele_status expect(struct expected *model, const struct put_in *event, stele_projecting *at)
{
    (void)at;
    model->amount[event->account[0] - 'a'] += event->amount;
    model->changes[event->account[0] - 'a']++;
    return STELE_OK;
}
STELE_DEFINE_PROJECT_WITH(expect, put_in, expected)

static void reset_expected(void *model)
{
    memset(model, 0, sizeof(struct expected));
}

static const struct stele_projection_on expected_on[] = {{&put_in_type, expect_project}};
static const struct stele_projection expected_purses = {
    .name = "expected",
    .version = 1,
    .kind = STELE_PROJECTION_IN_MEMORY,
    .on = expected_on,
    .on_count = 1,
    .reset = reset_expected,
};

/* As dump() writes it. */
static void print(struct expected *expected)
{
    expected->text[0] = '\0';
    for (size_t i = 0; i < ACCOUNTS; i++) {
        const size_t used = strlen(expected->text);

        if (expected->changes[i])
            snprintf(expected->text + used, sizeof(expected->text) - used, "%s %" PRId64 " %" PRId64 "; ", accounts[i],
                     expected->amount[i], expected->changes[i]);
    }
}

/* Up to a position; 0: nothing. */
static void fold_log(stele_store *store, uint64_t until, struct expected *out)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_error *error = NULL;

    query.until = until;
    reset_expected(out);
    if (until)
        assert_ok(stele_project_until(store, &expected_purses, out, &query, &error), error);
    print(out);
}

/* The rows, and the position that is kept with them, belong together. */
static void check_views(stele_store *store, stele_views *views)
{
    struct stele__mark mark = {0};
    struct expected expected;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(stele_arena_new(&arena, &error), error);
    status = stele__mark_read(views, "purses", arena, &mark, &error);
    if (status == STELE_NOT_FOUND) { /* it had not begun */
        stele_error_free(error);
    } else {
        assert_ok(status, error);
        fold_log(store, mark.position, &expected);
        assert_string_equal(dump(views), expected.text);
    }
    stele_arena_free(arena);
}

/* Going on, it comes to the fold of all. */
static void check_going_on(struct stage *stage)
{
    struct expected expected;

    add(stage, &purses, NULL);
    wait_for(stage, "purses", put(stage->store, "a", 1));
    fold_log(stage->store, STELE_VERSION_MAX, &expected);
    assert_string_equal(dump_of(stage, "purses"), expected.text);
}

/* --- Power cuts ------------------------------------------------------------------------------------ */

struct cuts {
    struct crash_disk *record, *check;
    struct crash_image image;
    struct support_random random;
    size_t created, points, wanted;
};

static void begin_on(struct stage *stage, const struct opening *opening)
{
    struct verdict verdict = {FINDING_NONE, ""};
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    stage->store = check_open(opening, &verdict);
    if (!stage->store)
        fail_msg("%s", verdict.text);
    assert_ok(stele_projections_new(stage->store, stage->runtime, NULL, &stage->projections, &error), error);
}

static void record_steps(struct cuts *cuts, const struct opening *opening)
{
    struct stage stage;

    begin_on(&stage, opening);
    cuts->created = crash_disk_operations(cuts->record);
    add(&stage, &purses, NULL);
    for (int i = 1; i <= STEPS; i++) {
        put(stage.store, accounts[support_random_below(&cuts->random, ACCOUNTS)], i);
        if (support_random_below(&cuts->random, 3) == 0)
            run(&stage);
        if (support_random_below(&cuts->random, 6) == 0)
            check_checkpoint_next(stage.store);
        if (support_random_below(&cuts->random, 12) == 0) {
            restart(&stage, NULL);
            add(&stage, &purses, NULL);
        }
    }
    run(&stage);
    end_stage(&stage);
}

static void check_image(struct cuts *cuts, const struct opening *opening)
{
    stele_views *views = NULL;
    stele_error *error = NULL;
    struct stage stage;

    crash_disk_load(cuts->check, &cuts->image);
    begin_on(&stage, opening);
    assert_ok(stele_views_of_store(stage.store, &views, &error), error);
    check_views(stage.store, views);
    stele_views_close(views);
    check_going_on(&stage);
    end_stage(&stage);
    cuts->points++;
}

static void cut_one_workload(struct cuts *cuts)
{
    const struct crash_options options = {.sector = 4096, .recording = true, .seed = cuts->random.state};
    struct crash_options checking = options;
    const struct opening recorded = {.disk = cuts->record, .vfs = RECORD_VFS, .sync = "full", .checkpoint_pages = 20};
    const struct opening checked = {.disk = cuts->check, .vfs = CHECK_VFS, .sync = "full", .checkpoint_pages = 20};
    struct crash_replay *replay;

    checking.recording = false;
    crash_disk_format(cuts->record, &options);
    crash_disk_format(cuts->check, &checking);
    record_steps(cuts, &recorded);
    replay = crash_replay_new(cuts->record);
    while (cuts->points < cuts->wanted && crash_replay_step(replay)) {
        const size_t operations = crash_replay_done(replay);

        for (int damage = 0; damage < CRASH_DAMAGES && operations >= cuts->created; damage++) {
            crash_replay_image(replay, (enum crash_damage)damage, &cuts->random.state, &cuts->image);
            check_image(cuts, &checked);
        }
    }
    crash_replay_free(replay);
}

static void C2_a_power_cut_at_any_operation_leaves_each_event_its_effect_once(void **state)
{
    const struct crash_options plain = {.sector = 4096};
    struct cuts cuts = {.random = support_seed(), .wanted = check_wanted("STELE_CRASH_PROJECTIONS", 6000)};

    (void)state;
    failing = (struct failing){0};
    cuts.record = crash_disk_new(RECORD_VFS, &plain);
    cuts.check = crash_disk_new(CHECK_VFS, &plain);
    while (cuts.points < cuts.wanted)
        cut_one_workload(&cuts);
    print_message("%zu images\n", cuts.points);
    crash_image_fini(&cuts.image);
    crash_disk_free(cuts.check);
    crash_disk_free(cuts.record);
}

/* --- Kills -------------------------------------------------------------------------------------------- */

/* The process that dies: it appends, and projects on threads of its own, until then. */
static void append_until_killed(const char *file)
{
    struct stage stage;

    begin_stage_with(&stage, support_temp_path("ledger.db"), file, 2);
    add(&stage, &purses, NULL);
    for (int64_t i = 1;; i++)
        put(stage.store, accounts[i % ACCOUNTS], i);
}

static void kill_one(const char *file, uint64_t microseconds)
{
    const struct timespec pause = {.tv_nsec = (long)microseconds * 1000};
    const pid_t child = fork();
    int status;

    if (child == 0) {
        append_until_killed(file);
        _exit(1);
    }
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void check_after_kill(const char *file)
{
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    stele_views *views = NULL;
    stele_error *error = NULL;
    struct stage stage;
    stele_status status;

    begin_stage(&stage, support_temp_path("ledger.db"), file);
    options.mode = STELE_OPEN_READ_ONLY;
    status =
        file ? stele_views_open(file, &options, &views, &error) : stele_views_of_store(stage.store, &views, &error);
    if (status == STELE_NOT_FOUND)
        stele_error_free(error);
    else
        assert_ok(status, error);
    if (views)
        check_views(stage.store, views);
    stele_views_close(views);
    check_going_on(&stage);
    end_stage(&stage);
}

static void C2_a_process_killed_at_any_time_leaves_each_event_its_effect_once(void **state)
{
    const size_t kills = check_wanted("STELE_CRASH_KILLS", 40);
    struct support_random random = support_seed();

    (void)state;
    for (int in_store = 0; in_store < 2; in_store++) {
        support_temp_dir();
        for (size_t i = 0; i < kills / 2; i++) {
            const char *file = in_store ? NULL : support_temp_path("views.db");

            kill_one(file, 1 + support_random_below(&random, 60000));
            check_after_kill(file);
        }
        support_temp_dir_remove();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_a_power_cut_at_any_operation_leaves_each_event_its_effect_once),
        support_test(C2_a_process_killed_at_any_time_leaves_each_event_its_effect_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
