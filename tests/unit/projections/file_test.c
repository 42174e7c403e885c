/* Projections in a file: effect and position together (C2), whatever goes wrong with the file. */
#include "tests/unit/projections/stage.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Change a file of views by hand. */
static void by_hand(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static const char *file(void)
{
    return support_temp_path("views.db");
}

static void begin_in_file(struct stage *stage)
{
    support_temp_dir();
    begin_stage(stage, "memory:", file());
}

/* --- Filling ---------------------------------------------------------------------------------- */

static void C2_rows_are_those_of_the_events_and_the_position_is_kept_with_them(void **state)
{
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    add(&stage, &purses, NULL);
    put_many(stage.store, 4); /* 1 and 4 are a's, 2 b's, 3 c's */
    take_out(stage.store, "b", 5);
    run(&stage);
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b -3 2; c 3 1; ");
    restart(&stage, file());
    add(&stage, &purses, NULL);
    run(&stage);
    assert_int_equal(stats_of(&stage, "purses").running.handled, 0);
    put(stage.store, "c", 1);
    run(&stage);
    assert_int_equal(stats_of(&stage, "purses").running.handled, 1);
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b -3 2; c 4 2; ");
    end_stage(&stage);
}

static void views_may_be_in_the_store_itself(void **state)
{
    static const char *const urls[] = {"memory:", "ledger.db"};

    (void)state;
    support_temp_dir();
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;

        begin_stage(&stage, i ? support_temp_path(urls[i]) : urls[i], NULL);
        add(&stage, &purses, NULL);
        put_many(stage.store, 4);
        run(&stage);
        assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 2 1; c 3 1; ");
        restart(&stage, NULL);
        add(&stage, &purses, NULL);
        put(stage.store, "b", 1);
        run(&stage);
        assert_int_equal(stats_of(&stage, "purses").running.handled, 1);
        assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 3 2; c 3 1; ");
        end_stage(&stage);
    }
}

static void a_table_is_of_one_projection_and_a_name_too(void **state)
{
    struct stele_projection other = purses;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    add(&stage, &purses, NULL);
    other.name = "others";
    assert_failure(STELE_INVALID, stele_projections_add(stage.projections, &other, NULL, &error), error);
    assert_message(error, "a table purse");
    assert_string_equal(stele_error_get(error, "table"), "purse");
    assert_string_equal(stele_error_get(error, "projection"), "others");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_projections_add(stage.projections, &purses, NULL, &error), error);
    assert_status(STELE_NOT_FOUND, stele_projections_rebuild(stage.projections, "others", &error), error);
    end_stage(&stage);
}

/* --- Failures ------------------------------------------------------------------------------------- */

static void C2_an_event_that_fails_leaves_no_trace_and_those_before_it_are_applied_once(void **state)
{
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    put_many(stage.store, 6);
    failing = (struct failing){.amount = 4, .times = 2, .status = STELE_TIMEOUT};
    add(&stage, &purses, NULL);
    run(&stage);
    assert_string_equal(dump_of(&stage, "purses"), "a 1 1; b 2 1; c 3 1; ");
    assert_false(stats_of(&stage, "purses").running.is_healthy);
    stele_runtime_advance(stage.runtime, 10 * SECOND);
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 7 2; c 9 2; ");
    assert_true(stats_of(&stage, "purses").running.is_healthy);
    assert_int_equal(stats_of(&stage, "purses").running.errors, 2);
    end_stage(&stage);
}

static void a_poisoned_event_is_parked_and_the_others_go_on(void **state)
{
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    put_many(stage.store, 6);
    failing = (struct failing){.amount = 4, .times = UINT32_MAX};
    add(&stage, &purses, NULL);
    run(&stage);
    assert_string_equal(dump_of(&stage, "purses"), "a 1 1; b 7 2; c 9 2; ");
    assert_int_equal(stats_of(&stage, "purses").running.parked, 1);
    assert_int_equal(stats_of(&stage, "purses").running.lag, 0);
    end_stage(&stage);
}

static void C2_a_second_process_with_the_same_projection_fails_and_adds_nothing(void **state)
{
    struct stele_projections_options options = STELE_OPTIONS_INIT(struct stele_projections_options);
    struct stele_subscription_stats ours;
    struct stele_subscription_stats theirs;
    const struct stele_subscription_stats *failed;
    stele_projections *second = NULL;
    stele_store *other = NULL;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    support_temp_dir();
    begin_stage(&stage, support_temp_path("ledger.db"), file());
    other = open_store(support_temp_path("ledger.db"), stage.runtime);
    options.file = file();
    assert_ok(stele_projections_new(other, stage.runtime, &options, &second, &error), error);
    add(&stage, &purses, NULL);
    assert_ok(stele_projections_add(second, &purses, NULL, &error), error);
    run(&stage);
    put(stage.store, "a", 1);
    put(other, "b", 1);
    for (int i = 0; i < 20; i++)
        stele_runtime_advance(stage.runtime, SECOND);
    ours = stats_of(&stage, "purses").running;
    stele_subscription_get_stats(stele_projections_subscription(second, "purses"), &theirs);
    /* Whichever came second. */
    failed = ours.state == STELE_SUBSCRIPTION_FAILED ? &ours : &theirs;
    assert_int_equal(failed->state, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(failed->last_error, STELE_CONFLICT);
    assert_true((failed == &ours ? &theirs : &ours)->state == STELE_SUBSCRIPTION_LIVE);
    stele_projections_free(second);
    stele_store_close(other);
    /* Alone it goes on, each event once. */
    stele_projections_free(stage.projections);
    stage.projections = NULL;
    restart(&stage, file());
    add(&stage, &purses, NULL);
    if (stats_of(&stage, "purses").running.state == STELE_SUBSCRIPTION_FAILED)
        assert_ok(stele_subscription_resume(stele_projections_subscription(stage.projections, "purses"), &error),
                  error);
    run(&stage);
    assert_string_equal(dump_of(&stage, "purses"), "a 1 1; b 1 1; ");
    end_stage(&stage);
}

static void a_file_ahead_of_the_log_is_refused(void **state)
{
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    put_many(stage.store, 5);
    add(&stage, &purses, NULL);
    run(&stage);
    end_stage(&stage);
    begin_stage(&stage, "memory:", file()); /* the backup */
    put_many(stage.store, 3);
    assert_failure(STELE_CONFLICT, stele_projections_add(stage.projections, &purses, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "position"), "5");
    assert_string_equal(stele_error_get(error, "head"), "3");
    assert_string_equal(stele_error_get(error, "projection"), "purses");
    stele_error_free(error);
    end_stage(&stage);
}

static void assert_refused_after(const char *sql, const char *why)
{
    stele_error *error = NULL;
    struct stage stage;

    support_temp_dir();
    begin_stage(&stage, "memory:", file());
    put_many(stage.store, 3);
    add(&stage, &purses, NULL);
    run(&stage);
    stele_projections_free(stage.projections);
    stage.projections = NULL;
    by_hand(file(), sql);
    restart(&stage, file());
    assert_failure(STELE_INVALID, stele_projections_add(stage.projections, &purses, NULL, &error), error);
    assert_message(error, why);
    stele_error_free(error);
    end_stage(&stage);
    support_temp_dir_remove();
}

static void views_changed_by_hand_are_refused(void **state)
{
    (void)state;
    assert_refused_after("ALTER TABLE purse ADD COLUMN more TEXT", "changed by hand");
    assert_refused_after("ALTER TABLE purse RENAME COLUMN amount TO money", "changed by hand");
    assert_refused_after("DROP TABLE purse; DELETE FROM stele_view", "changed by hand");
}

static void other_views_under_the_same_version_are_refused(void **state)
{
    struct stele_projection wider = purses;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    add(&stage, &purses, NULL);
    run(&stage);
    restart(&stage, file());
    wider.category = "purse-a";
    assert_failure(STELE_INVALID, stele_projections_add(stage.projections, &wider, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "version"), "1");
    stele_error_free(error);
    end_stage(&stage);
}

static void a_file_that_cannot_be_written_is_told(void **state)
{
    stele_error *error = NULL;
    struct stage stage;
    stele_status status;

    (void)state;
    begin_in_file(&stage);
    add(&stage, &purses, NULL);
    run(&stage);
    restart(&stage, file());
    assert_int_equal(chmod(file(), 0400), 0);
    status = stele_projections_add(stage.projections, &purses, NULL, &error);
    if (geteuid() != 0)
        assert_true(status == STELE_READ_ONLY || status == STELE_DENIED);
    stele_error_free(error);
    stele_projections_free(stage.projections);
    assert_int_equal(mkdir(support_temp_path("folder"), 0700), 0);
    stage.projections = NULL;
    restart(&stage, support_temp_path("folder"));
    error = NULL;
    assert_true(stele_projections_add(stage.projections, &purses, NULL, &error) != STELE_OK);
    assert_string_equal(stele_error_get(error, "projection"), "purses");
    stele_error_free(error);
    end_stage(&stage);
}

/* The disk is full for a while: no file may grow. */
static void a_full_file_is_tried_again_until_there_is_room(void **state)
{
    struct rlimit limit;
    struct rlimit narrow;
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    add(&stage, &purses, NULL);
    run(&stage);
    put_many(stage.store, 300);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    narrow = limit;
    narrow.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &narrow), 0);
    run(&stage);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(stats_of(&stage, "purses").running.is_healthy);
    assert_int_equal(stats_of(&stage, "purses").running.position, 0);
    stele_runtime_advance(stage.runtime, 100 * SECOND);
    assert_true(stats_of(&stage, "purses").running.is_healthy);
    assert_int_equal(stats_of(&stage, "purses").running.position, 300);
    /* 1 + 4 + ... + 298, 2 + 5 + ... + 299, 3 + 6 + ... + 300 */
    assert_string_equal(dump_of(&stage, "purses"), "a 14950 100; b 15050 100; c 15150 100; ");
    end_stage(&stage);
}

/* --- Memory ----------------------------------------------------------------------------------------------- */

static stele_status add_to_file(void *context, stele_error **error)
{
    struct stage *stage = context;
    struct stele_projections_options options = STELE_OPTIONS_INIT(struct stele_projections_options);
    stele_projections *projections = NULL;
    stele_status status;

    options.file = file();
    status = stele_projections_new(stage->store, stage->runtime, &options, &projections, error);
    if (status == STELE_OK)
        status = stele_projections_add(projections, &purses, NULL, error);
    stele_projections_free(projections);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    put_many(stage.store, 3);
    assert_ok(add_to_file(&stage, &error), error); /* the store keeps a checkpoint from now on */
    assert_true(support_every_allocation_fails(add_to_file, &stage) > 0);
    end_stage(&stage);
}

static void memory_that_is_out_while_it_is_filled_is_tried_again(void **state)
{
    struct stele_projection stopping = purses;
    struct stage stage;

    (void)state;
    begin_in_file(&stage);
    stopping.on_failure = STELE_POISON_STOP;
    add(&stage, &stopping, NULL);
    run(&stage);
    for (size_t i = 1; i <= 12; i++) {
        put(stage.store, "a", 1);
        support_fail_allocation(i);
        run(&stage);
        support_fail_allocation(0);
        stele_runtime_advance(stage.runtime, 100 * SECOND);
    }
    assert_string_equal(dump_of(&stage, "purses"), "a 12 12; ");
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_rows_are_those_of_the_events_and_the_position_is_kept_with_them),
        support_test(views_may_be_in_the_store_itself),
        support_test(a_table_is_of_one_projection_and_a_name_too),
        support_test(C2_an_event_that_fails_leaves_no_trace_and_those_before_it_are_applied_once),
        support_test(a_poisoned_event_is_parked_and_the_others_go_on),
        support_test(C2_a_second_process_with_the_same_projection_fails_and_adds_nothing),
        support_test(a_file_ahead_of_the_log_is_refused),
        support_test(views_changed_by_hand_are_refused),
        support_test(other_views_under_the_same_version_are_refused),
        support_test(a_file_that_cannot_be_written_is_told),
        support_test(a_full_file_is_tried_again_until_there_is_room),
        support_test(every_allocation_may_fail),
        support_test(memory_that_is_out_while_it_is_filled_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
