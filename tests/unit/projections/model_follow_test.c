/* Models that follow a log: exactly once, versions beside each other, and whatever is wrong with the file. */
#include "tests/unit/projections/model_stage.h"

#include <stele/deadletters.h>
#include <stele/view.h>

#include <sys/stat.h>
#include <unistd.h>

#define FIRST "--! projection p 1\n" BALANCES
/* The same tables, twice the money. */
#define SECOND \
    "--! projection p 2\n" \
    "CREATE TABLE balance(account TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT;\n" \
    "--! on paid\n" \
    "INSERT INTO balance VALUES(:account, 2 * :amount)\n" \
    "    ON CONFLICT(account) DO UPDATE SET amount = amount + excluded.amount;\n"

static void assert_mark(const char *file, const char *expected)
{
    assert_string_equal(ask_file(file, "SELECT version, position, old_version FROM stele_projection"), expected);
}

static bool is_there(const char *name)
{
    return access(support_temp_path(name), F_OK) == 0;
}

static void assert_start(struct stage *stage, const stele_model *model, stele_status expected, const char *why)
{
    stele_subscription *subscription = NULL;
    stele_error *error = NULL;

    assert_failure(expected,
                   stele_model_start(model, stage->store, stage->runtime, read_db(), NULL, &subscription, &error),
                   error);
    assert_message(error, why);
    assert_null(subscription);
    stele_error_free(error);
}

/* --- Exactly once ------------------------------------------------------------------------- */

static void C2_a_model_goes_on_where_it_stopped(void **state)
{
    struct stage stage;
    stele_model *model = read_model(FIRST);

    (void)state;
    begin_stage(&stage); /* position 1 registers the type */
    pay(&stage, "a", 5);
    pay(&stage, "b", 7);
    run_once(&stage, model, false);
    assert_string_equal(balances(), "a=5 b=7");
    assert_mark("read.db", "1|3|0");
    pay(&stage, "a", 10);
    run_once(&stage, model, false);
    run_once(&stage, model, false);
    assert_string_equal(balances(), "a=15 b=7");
    assert_mark("read.db", "1|4|0");
    stele_model_free(model);
    end_stage(&stage);
}

static void a_model_that_runs_follows_live(void **state)
{
    struct stage stage;
    stele_model *model = read_model(FIRST);
    stele_subscription *subscription;

    (void)state;
    begin_stage(&stage);
    subscription = start(&stage, model, NULL);
    settle(&stage);
    pay(&stage, "a", 5);
    settle(&stage);
    assert_string_equal(balances(), "a=5");
    stele_subscription_free(subscription);
    stele_model_free(model);
    end_stage(&stage);
}

static void E4_what_grew_with_a_random_log_equals_what_is_rebuilt(void **state)
{
    struct support_random random = support_seed();
    struct stage stage;
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    stele_model *model = read_model("--! projection p 1\n"
                                    "CREATE TABLE balance(account TEXT, amount INTEGER, seen INTEGER);\n"
                                    "--! on paid\n"
                                    "INSERT INTO balance VALUES(:account, :amount, :position);\n"
                                    "UPDATE balance SET amount = amount + :amount WHERE account < :account;\n"
                                    "DELETE FROM balance WHERE amount % 7 = 0 AND rowid % 2;\n");
    static const char question[] = "SELECT count(*), group_concat(rowid || account || amount || seen) FROM balance";
    char grown[512];

    (void)state;
    begin_stage(&stage);
    for (int round = 0; round < 8; round++) {
        stele_subscription *subscription;

        for (uint64_t i = support_random_below(&random, 6); i > 0; i--) {
            const char name[2] = {(char)('a' + support_random_below(&random, 5)), '\0'};

            pay(&stage, name, (int64_t)support_random_below(&random, 50));
        }
        options.batch = 1 + support_random_below(&random, 4);
        subscription = start(&stage, model, &options);
        settle(&stage);
        stele_subscription_free(subscription);
    }
    snprintf(grown, sizeof(grown), "%s", ask(question));
    run_once(&stage, model, true);
    assert_string_equal(ask(question), grown);
    stele_model_free(model);
    end_stage(&stage);
}

/* --- Versions -------------------------------------------------------------------------------- */

static void E4_a_new_version_is_built_beside_while_the_old_one_serves(void **state)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_model *second = read_model(SECOND);
    stele_subscription *subscription;

    (void)state;
    begin_stage(&stage);
    for (int i = 0; i < 4; i++)
        pay(&stage, "a", 5);
    run_once(&stage, first, false);

    options.batch = 1;
    subscription = start(&stage, second, &options);
    stele_runtime_run(stage.runtime, 2);
    assert_true(is_there("read.db.p.new"));
    assert_string_equal(balances(), "a=20");
    stele_subscription_free(subscription); /* cut short */
    assert_mark("read.db", "1|5|0");

    run_once(&stage, second, false);
    assert_string_equal(balances(), "a=40");
    assert_mark("read.db", "2|5|1");
    assert_false(is_there("read.db.p.new"));
    pay(&stage, "a", 1);
    run_once(&stage, second, false);
    assert_string_equal(balances(), "a=42");
    stele_model_free(first);
    stele_model_free(second);
    end_stage(&stage);
}

static void E4_the_old_version_goes_on_while_a_new_one_is_half_built(void **state)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_model *second = read_model(SECOND);
    stele_subscription *subscription;

    (void)state;
    begin_stage(&stage);
    for (int i = 0; i < 4; i++)
        pay(&stage, "a", 5);
    run_once(&stage, first, false);
    options.batch = 1;
    subscription = start(&stage, second, &options);
    stele_runtime_run(stage.runtime, 2);
    stele_subscription_free(subscription); /* cut short */
    pay(&stage, "a", 1);

    run_once(&stage, first, false);
    assert_mark("read.db", "1|6|0");
    assert_string_equal(balances(), "a=21");
    assert_string_equal(ask_file("read.db.p.new", "SELECT version FROM stele_projection"), "2");
    run_once(&stage, second, false);
    assert_mark("read.db", "2|6|1");
    assert_string_equal(balances(), "a=42");
    stele_model_free(first);
    stele_model_free(second);
    end_stage(&stage);
}

static void E4_a_rollback_puts_the_old_version_back_which_goes_on(void **state)
{
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_model *second = read_model(SECOND);
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage);
    pay(&stage, "a", 5);
    run_once(&stage, first, false);
    assert_status(STELE_NOT_FOUND, stele_model_rollback(read_db(), "p", &error), error);
    run_once(&stage, second, false);
    pay(&stage, "a", 1);
    run_once(&stage, second, false);
    assert_string_equal(balances(), "a=12");
    assert_ok(stele_model_rollback(read_db(), "p", &error), error);
    assert_string_equal(balances(), "a=5");
    run_once(&stage, first, false);
    assert_string_equal(balances(), "a=6");
    assert_status(STELE_NOT_FOUND, stele_model_rollback(read_db(), "q", &error), error);
    assert_status(STELE_NOT_FOUND, stele_model_rollback(support_temp_path("none.db"), "q", &error), error);
    stele_model_free(first);
    stele_model_free(second);
    end_stage(&stage);
}

static void a_rollback_stops_the_program_that_runs_the_present_version(void **state)
{
    struct stele_subscription_stats stats;
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_model *second = read_model(SECOND);
    stele_subscription *subscription;
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage);
    pay(&stage, "a", 5);
    run_once(&stage, first, false);
    subscription = start(&stage, second, NULL);
    settle(&stage);
    assert_ok(stele_model_rollback(read_db(), "p", &error), error);
    pay(&stage, "a", 1);
    stele_runtime_advance(stage.runtime, INT64_C(1000000000) * 600);
    stele_subscription_get_stats(subscription, &stats);
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED);
    assert_string_equal(balances(), "a=5");
    stele_subscription_free(subscription);
    stele_model_free(first);
    stele_model_free(second);
    end_stage(&stage);
}

static void the_same_version_with_another_text_is_refused_unless_it_is_to_be_rebuilt(void **state)
{
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_model *other = read_model(FIRST "-- another\n");

    (void)state;
    begin_stage(&stage);
    pay(&stage, "a", 5);
    run_once(&stage, first, false);
    assert_start(&stage, other, STELE_INVALID, "projection p: ");
    run_once(&stage, other, true);
    assert_mark("read.db", "1|2|1");
    assert_start(&stage, first, STELE_INVALID, "projection p: ");
    stele_model_free(first);
    stele_model_free(other);
    end_stage(&stage);
}

struct listed {
    char text[128];
};

static bool list(void *context, const struct stele_model_record *record)
{
    struct listed *listed = context;

    snprintf(listed->text + strlen(listed->text), sizeof(listed->text) - strlen(listed->text), "%s %u %u %u%s;",
             record->name, (unsigned)record->version, (unsigned)record->position, (unsigned)record->old_version,
             record->is_building ? " building" : "");
    return true;
}

static void what_is_in_a_read_database_is_listed(void **state)
{
    struct listed listed = {""};
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage);
    assert_status(STELE_NOT_FOUND, stele_model_list(read_db(), list, &listed, &error), error);
    pay(&stage, "a", 5);
    run_once(&stage, first, false);
    run_once(&stage, first, true);
    assert_ok(stele_model_list(read_db(), list, &listed, &error), error);
    assert_string_equal(listed.text, "p 1 2 1;");
    stele_model_free(first);
    end_stage(&stage);
}

/* --- Events that fail ------------------------------------------------------------------------------ */

static void fail_by(enum stele_poison_policy policy, enum stele_subscription_state expected, const char *left)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    struct stele_subscription_stats stats;
    struct stage stage;
    stele_model *model = read_model(FIRST);
    stele_subscription *subscription;

    begin_stage(&stage);
    pay(&stage, "a", 5);
    pay(&stage, "a", 1000); /* CHECK(amount < 1000) */
    pay(&stage, "b", 7);
    options.on_failure = policy;
    subscription = start(&stage, model, &options);
    settle(&stage);
    stele_subscription_get_stats(subscription, &stats);
    assert_int_equal(stats.state, expected);
    assert_int_equal(stats.parked, policy == STELE_POISON_PARK);
    assert_int_equal(stats.skipped, policy == STELE_POISON_SKIP);
    assert_int_equal(stats.last_error, STELE_INVALID);
    assert_int_equal(stats.last_error_position, 3);
    assert_non_null(strstr(stats.last_error_text, "m.sql:5: CHECK constraint failed"));
    assert_string_equal(balances(), left);
    stele_subscription_free(subscription);
    stele_model_free(model);
    end_stage(&stage);
}

static void C4_an_event_that_fails_is_parked(void **state)
{
    (void)state;
    fail_by(STELE_POISON_PARK, STELE_SUBSCRIPTION_LIVE, "a=5 b=7");
}

static void C4_an_event_that_fails_is_skipped(void **state)
{
    (void)state;
    fail_by(STELE_POISON_SKIP, STELE_SUBSCRIPTION_LIVE, "a=5 b=7");
}

static void C4_an_event_that_fails_stops_the_model_in_front_of_it(void **state)
{
    (void)state;
    fail_by(STELE_POISON_STOP, STELE_SUBSCRIPTION_FAILED, "a=5");
}

/* --- What is wrong with the file --------------------------------------------------------------------- */

static void a_read_database_changed_by_hand_is_refused(void **state)
{
    static const struct {
        const char *sql, *why;
        stele_status status;
    } changes[] = {
        {"ALTER TABLE balance ADD COLUMN more TEXT", "changed by hand", STELE_INVALID},
        {"DROP INDEX by_amount", "changed by hand", STELE_INVALID},
        {"CREATE INDEX other ON balance(amount)", "changed by hand", STELE_INVALID},
        {"DROP TABLE balance", "changed by hand", STELE_INVALID},
        {"UPDATE stele_projection SET digest = zeroblob(16)", "made from something else", STELE_INVALID},
        {"UPDATE stele_projection SET position = -1", "changed by hand", STELE_CORRUPT},
        {"UPDATE stele_projection SET tables = ''", "changed by hand", STELE_INVALID},
        {"UPDATE stele_projection SET tables = 'balance,stele_projection'", "changed by hand", STELE_INVALID},
        {"UPDATE stele_projection SET position = 4", "log ends at 2", STELE_CONFLICT},
        {"DELETE FROM stele_projection", "table balance already", STELE_INVALID},
        {"CREATE TRIGGER g AFTER INSERT ON balance BEGIN DELETE FROM balance; END", "triggers", STELE_FOREIGN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct stage stage;
        stele_model *model = read_model(FIRST);

        begin_stage(&stage);
        pay(&stage, "a", 5);
        run_once(&stage, model, false);
        ask(changes[i].sql);
        assert_start(&stage, model, changes[i].status, changes[i].why);
        if (i != 3)
            assert_string_equal(ask("SELECT amount FROM balance"), "5");
        stele_model_free(model);
        end_stage(&stage);
        support_temp_dir_remove();
    }
}

static void E4_a_table_in_the_way_of_a_new_version_is_told_and_no_event_is_parked_for_it(void **state)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    struct stele_subscription_stats stats;
    struct stage stage;
    stele_model *first = read_model(FIRST);
    stele_model *second = read_model("--! projection p 2\nCREATE TABLE extra(x TEXT);\n" BALANCES);
    stele_error *error = NULL;
    stele_subscription *subscription;

    (void)state;
    begin_stage(&stage);
    pay(&stage, "a", 5);
    pay(&stage, "b", 6);
    run_once(&stage, first, false);
    ask("CREATE TABLE extra(x)");
    options.until = STELE_UNTIL_HEAD;
    subscription = start(&stage, second, &options);
    settle(&stage);
    stele_runtime_advance(stage.runtime, INT64_C(1000000000) * 600);
    stele_subscription_get_stats(subscription, &stats);
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats.parked, 0);
    assert_non_null(strstr(stats.last_error_text, "table extra: is there"));
    assert_mark("read.db", "1|3|0");
    stele_subscription_free(subscription);
    ask("DROP TABLE extra");
    subscription = start(&stage, second, &options);
    assert_ok(stele_subscription_resume(subscription, &error), error);
    settle(&stage);
    stele_subscription_free(subscription);
    assert_mark("read.db", "2|4|1"); /* the failure is in the log */
    assert_string_equal(balances(), "a=5 b=6");
    stele_model_free(second);
    stele_model_free(first);
    end_stage(&stage);
}

static void a_file_that_is_none_of_ours_is_left_alone(void **state)
{
    struct stage stage;
    stele_model *model = read_model(FIRST);
    FILE *file;
    struct stat facts;

    (void)state;
    begin_stage(&stage);
    file = fopen(read_db(), "w");
    fputs("dear diary", file);
    fclose(file);
    assert_start(&stage, model, STELE_FOREIGN, "read.db");
    assert_int_equal(stat(read_db(), &facts), 0);
    assert_int_equal(facts.st_size, 10);
    stele_model_free(model);
    end_stage(&stage);
}

static void a_table_changed_while_the_model_runs_stops_it_with_nothing_lost(void **state)
{
    struct stele_subscription_stats stats;
    struct stage stage;
    stele_model *model = read_model(FIRST);
    stele_subscription *subscription;

    (void)state;
    begin_stage(&stage);
    pay(&stage, "a", 5);
    subscription = start(&stage, model, NULL);
    settle(&stage);
    ask("DROP TABLE balance");
    pay(&stage, "a", 6);
    stele_runtime_advance(stage.runtime, INT64_C(1000000000) * 600);
    stele_subscription_get_stats(subscription, &stats);
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats.parked, 0);
    assert_non_null(strstr(stats.last_error_text, "changed by hand"));
    assert_mark("read.db", "1|2|0");
    stele_subscription_free(subscription);
    stele_model_free(model);
    end_stage(&stage);
}

/* Two programs, two handles of one store; neither has committed when the other starts. */
static void C2_of_two_that_build_the_same_one_fails_and_nothing_is_doubled(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_subscription_stats stats;
    struct stage stages[2];
    stele_subscription *subscriptions[2];
    stele_model *model = read_model(FIRST);
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    for (int i = 0; i < 2; i++) {
        assert_ok(stele_runtime_simulated(7, &stages[i].runtime, &error), error);
        options.clock = stele_runtime_clock(stages[i].runtime);
        assert_ok(stele_store_open(support_temp_path("log.db"), &options, &stages[i].store, &error), error);
    }
    pay(&stages[0], "a", 5);
    for (int i = 0; i < 2; i++)
        subscriptions[i] = start(&stages[i], model, NULL);
    settle(&stages[0]);
    assert_string_equal(balances(), "a=5");
    stele_runtime_advance(stages[1].runtime, INT64_C(1000000000));
    stele_subscription_get_stats(subscriptions[1], &stats);
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats.last_error, STELE_CONFLICT);
    assert_string_equal(balances(), "a=5");
    for (int i = 0; i < 2; i++) {
        stele_subscription_free(subscriptions[i]);
        end_stage(&stages[i]);
    }
    stele_model_free(model);
}

static void two_models_share_a_file(void **state)
{
    struct stage stage;
    stele_model *model = read_model(FIRST);
    stele_model *other =
        read_model("--! projection q 1\nCREATE TABLE t(n);\n--! on paid\nINSERT INTO t VALUES(:amount)");
    stele_model *thief = read_model("--! projection r 1\nCREATE TABLE BALANCE(n);\n--! on paid\nDELETE FROM balance");

    (void)state;
    begin_stage(&stage);
    pay(&stage, "a", 5);
    run_once(&stage, model, false);
    run_once(&stage, other, false);
    assert_string_equal(ask("SELECT amount, n FROM balance, t"), "5|5");
    assert_start(&stage, thief, STELE_INVALID, "BALANCE");
    assert_string_equal(balances(), "a=5");
    stele_model_free(model);
    stele_model_free(other);
    stele_model_free(thief);
    end_stage(&stage);
}

static void arguments_are_checked(void **state)
{
    struct stage stage;
    stele_model *model = read_model(FIRST);
    stele_subscription *out = NULL;
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage);
    assert_status(STELE_INVALID, stele_model_start(NULL, stage.store, stage.runtime, "x", NULL, &out, &error), error);
    assert_status(STELE_INVALID, stele_model_start(model, NULL, stage.runtime, "x", NULL, &out, &error), error);
    assert_status(STELE_INVALID, stele_model_start(model, stage.store, NULL, "x", NULL, &out, &error), error);
    assert_status(STELE_INVALID, stele_model_start(model, stage.store, stage.runtime, NULL, NULL, &out, &error), error);
    assert_status(STELE_INVALID, stele_model_start(model, stage.store, stage.runtime, "x", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_model_list("x", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_model_rollback(NULL, "p", &error), error);
    stele_model_free(model);
    end_stage(&stage);
}

/* With a store and a runtime of its own: a store remembers who has started on it. */
static stele_status start_once(void *context, stele_error **error)
{
    struct stage stage = {NULL, NULL};
    stele_model *model = NULL;
    stele_subscription *subscription = NULL;
    stele_status status = stele_model_parse(stele__slice(FIRST), "m.sql", &model, error);

    (void)context;
    if (status == STELE_OK)
        status = stele_runtime_simulated(7, &stage.runtime, error);
    if (status == STELE_OK)
        status = stele_store_open("memory:", NULL, &stage.store, error);
    if (status == STELE_OK)
        status = stele_model_start(model, stage.store, stage.runtime, read_db(), NULL, &subscription, error);
    stele_subscription_free(subscription);
    end_stage(&stage);
    stele_model_free(model);
    return status;
}

static void starting_survives_every_failed_allocation(void **state)
{
    (void)state;
    support_temp_dir();
    assert_true(support_every_allocation_fails(start_once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_a_model_goes_on_where_it_stopped),
        support_test(a_model_that_runs_follows_live),
        support_test(E4_what_grew_with_a_random_log_equals_what_is_rebuilt),
        support_test(E4_a_new_version_is_built_beside_while_the_old_one_serves),
        support_test(E4_the_old_version_goes_on_while_a_new_one_is_half_built),
        support_test(E4_a_rollback_puts_the_old_version_back_which_goes_on),
        support_test(a_rollback_stops_the_program_that_runs_the_present_version),
        support_test(the_same_version_with_another_text_is_refused_unless_it_is_to_be_rebuilt),
        support_test(what_is_in_a_read_database_is_listed),
        support_test(C4_an_event_that_fails_is_parked),
        support_test(C4_an_event_that_fails_is_skipped),
        support_test(C4_an_event_that_fails_stops_the_model_in_front_of_it),
        support_test(a_read_database_changed_by_hand_is_refused),
        support_test(E4_a_table_in_the_way_of_a_new_version_is_told_and_no_event_is_parked_for_it),
        support_test(a_file_that_is_none_of_ours_is_left_alone),
        support_test(a_table_changed_while_the_model_runs_stops_it_with_nothing_lost),
        support_test(C2_of_two_that_build_the_same_one_fails_and_nothing_is_doubled),
        support_test(two_models_share_a_file),
        support_test(arguments_are_checked),
        support_test(starting_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
