/* Models whose disk is full, fails, or is the last thing the process touches (C2, E4). */
#include "tests/unit/projections/model_stage.h"

#include "tests/support/fault_vfs.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 9, ROUNDS_MAX = 2000 };
#define SECONDS(n) (INT64_C(1000000000) * (n))

#define FIRST "--! projection p 1\n" BALANCES
#define SECOND "--! projection p 2\n" BALANCES

static const char expected[] = "a=18 b=15 c=12";

static void pay_all(struct stage *stage)
{
    static const char *const names[] = {"a", "b", "c"};

    for (int i = 0; i < EVENTS; i++)
        pay(stage, names[i % 3], i % 3 == 0 ? 6 : i % 3 == 1 ? 5 : 4);
}

static void open_log(struct stage *stage)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    options.clock = stele_runtime_clock(stage->runtime);
    assert_ok(stele_store_open(support_temp_path("log.db"), &options, &stage->store, &error), error);
}

static void make_log(void)
{
    struct stage stage;

    support_temp_dir();
    open_log(&stage);
    pay_all(&stage);
    end_stage(&stage);
}

/* In a child process that dies at the n-th change of any file; true if it came to its end before. */
static bool run_until_killed(const char *text, size_t n, bool rebuild)
{
    const struct fault fault = {.operations = FAULT_CHANGES, .files = FAULT_ANY_FILE, .number = n};
    const pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
        struct stage stage = {NULL, NULL};
        stele_model *model = NULL;
        stele_subscription *running = NULL;

        fault_vfs_kill();
        fault_vfs_set(&fault);
        options.batch = 2;
        options.rebuild = rebuild;
        if (stele_runtime_simulated(7, &stage.runtime, NULL) != STELE_OK ||
            stele_store_open(support_temp_path("log.db"), NULL, &stage.store, NULL) != STELE_OK ||
            stele_model_parse(stele__slice(text), "m.sql", &model, NULL) != STELE_OK ||
            stele_model_start(model, stage.store, stage.runtime, read_db(), &options, &running, NULL) != STELE_OK)
            _exit(3);
        stele_runtime_run_until_idle(stage.runtime);
        stele_subscription_free(running);
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    else
        assert_int_equal(WTERMSIG(status), SIGKILL);
    return WIFEXITED(status);
}

static void finish(const char *text)
{
    struct stage stage;
    stele_model *model = read_model(text);

    open_log(&stage);
    run_once(&stage, model, false);
    end_stage(&stage);
    stele_model_free(model);
}

static void forget_read_db(void)
{
    static const char *const names[] = {"read.db", "read.db-wal", "read.db-shm", "read.db.p.old", "read.db.p.new"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(support_temp_path(names[i]));
}

static void C2_killed_at_every_write_each_event_has_its_effect_once(void **state)
{
    size_t n = 1;

    (void)state;
    make_log();
    fault_vfs_install();
    for (bool is_done = false; !is_done; n++) {
        assert_true(n < ROUNDS_MAX);
        forget_read_db();
        is_done = run_until_killed(FIRST, n, false);
        finish(FIRST);
        assert_string_equal(balances(), expected);
    }
    fault_vfs_remove();
    assert_true(n > 20);
}

static void E4_killed_at_every_write_of_a_rebuild_one_version_is_whole(void **state)
{
    size_t n = 1;

    (void)state;
    make_log();
    fault_vfs_install();
    for (bool is_done = false; !is_done; n++) {
        assert_true(n < ROUNDS_MAX);
        forget_read_db();
        finish(FIRST);
        is_done = run_until_killed(SECOND, n, false);
        assert_string_equal(balances(), expected);
        finish(SECOND);
        assert_string_equal(balances(), expected);
        assert_string_equal(ask("SELECT version, old_version FROM stele_projection"), "2|1");
    }
    fault_vfs_remove();
    assert_true(n > 40);
}

/* A disk that refuses from the n-th write on, and is repaired a minute later. */
static void meet_a_disk_that(int code, bool goes_on)
{
    struct stage stage;
    stele_model *model = read_model(FIRST);

    begin_stage(&stage);
    pay_all(&stage);
    fault_vfs_install();
    for (size_t n = 1; n < 12; n++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC,
                                    .files = FAULT_DATABASE | FAULT_LOG,
                                    .number = n,
                                    .for_ever = true,
                                    .code = code};
        struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
        struct stele_subscription_stats stats;
        stele_subscription *running;

        forget_read_db();
        options.batch = 2;
        running = start(&stage, model, &options);
        fault_vfs_set(&fault);
        settle(&stage);
        stele_runtime_advance(stage.runtime, SECONDS(60));
        fault_vfs_set(NULL);
        stele_runtime_advance(stage.runtime, SECONDS(600));
        stele_subscription_get_stats(running, &stats);
        assert_int_equal(stats.parked, 0);
        if (goes_on)
            assert_int_equal(stats.state, STELE_SUBSCRIPTION_LIVE);
        else if (stats.state == STELE_SUBSCRIPTION_FAILED) {
            stele_error *error = NULL;

            assert_ok(stele_subscription_resume(running, &error), error);
            settle(&stage);
        }
        stele_subscription_free(running);
        assert_string_equal(balances(), expected);
    }
    fault_vfs_remove();
    end_stage(&stage);
    stele_model_free(model);
}

static void a_full_disk_is_no_events_fault_and_nothing_is_lost(void **state)
{
    (void)state;
    meet_a_disk_that(SQLITE_FULL, true);
}

static void a_disk_that_fails_is_no_events_fault_and_nothing_is_lost(void **state)
{
    (void)state;
    meet_a_disk_that(SQLITE_IOERR_WRITE, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_killed_at_every_write_each_event_has_its_effect_once),
        support_test(E4_killed_at_every_write_of_a_rebuild_one_version_is_whole),
        support_test(a_full_disk_is_no_events_fault_and_nothing_is_lost),
        support_test(a_disk_that_fails_is_no_events_fault_and_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
