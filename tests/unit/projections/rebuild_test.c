/* Versions beside each other, built anew, put back; incremental equals built anew (E4). */
#include "tests/unit/projections/stage.h"

#include <string.h>
#include <unistd.h>

static const char *file(void)
{
    return support_temp_path("views.db");
}

static bool is_there(const char *name)
{
    return access(support_temp_path(name), F_OK) == 0;
}

/* The views in a file, or in the store itself, which is in a file too. */
static void begin_in(struct stage *stage, bool in_store)
{
    support_temp_dir();
    begin_stage(stage, support_temp_path("ledger.db"), in_store ? NULL : file());
}

/* The second version counts b's alone. */
static struct stele_projection second_version(void)
{
    struct stele_projection second = purses;

    second.version = 2;
    second.category = "purse-b";
    return second;
}

static void E4_a_new_version_is_built_beside_and_swapped_at_the_head(void **state)
{
    (void)state;
    for (int in_store = 0; in_store < 2; in_store++) {
        const struct stele_projection second = second_version();
        struct stele_projection_stats stats;
        struct stage stage;

        begin_in(&stage, in_store);
        add(&stage, &purses, NULL);
        put_many(stage.store, 6);
        run(&stage);
        restart(&stage, in_store ? NULL : file());
        add(&stage, &second, NULL);
        stats = stats_of(&stage, "purses");
        assert_true(stats.is_building);
        assert_int_equal(stats.version, 2);
        assert_int_equal(stats.old_version, 1);
        assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 7 2; c 9 2; "); /* the old one serves */
        wait_for(&stage, "purses", 6);
        stats = stats_of(&stage, "purses");
        assert_false(stats.is_building);
        assert_int_equal(stats.old_version, 0);
        assert_string_equal(dump_of(&stage, "purses"), "b 7 2; ");
        put(stage.store, "b", 7);
        run(&stage);
        assert_string_equal(dump_of(&stage, "purses"), "b 14 3; ");
        end_stage(&stage);
        support_temp_dir_remove();
    }
}

static void a_swap_waits_for_the_head_where_the_last_events_are_of_others(void **state)
{
    const struct stele_projection second = second_version();
    struct stage stage;

    (void)state;
    begin_in(&stage, false);
    add(&stage, &purses, NULL);
    put_many(stage.store, 3); /* the last one is c's */
    run(&stage);
    restart(&stage, file());
    add(&stage, &second, NULL);
    wait_for(&stage, "purses", 3);
    assert_string_equal(dump_of(&stage, "purses"), "b 2 1; ");
    end_stage(&stage);
}

static void a_build_cut_short_is_continued(void **state)
{
    struct stele_projection second = second_version();
    struct stage stage;

    (void)state;
    begin_in(&stage, false);
    add(&stage, &purses, NULL);
    put_many(stage.store, 6);
    run(&stage);
    restart(&stage, file());
    failing = (struct failing){.amount = 5, .times = 1};
    second.on_failure = STELE_POISON_STOP;
    second.category = NULL;
    add(&stage, &second, NULL);
    run(&stage);
    assert_state(&stage, "purses", STELE_SUBSCRIPTION_FAILED);
    assert_true(is_there("views.db.purses.new"));
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 7 2; c 9 2; ");
    restart(&stage, file());
    add(&stage, &second, NULL);
    assert_true(stats_of(&stage, "purses").is_building);
    {
        stele_error *error = NULL;

        assert_ok(stele_subscription_resume(stele_projections_subscription(stage.projections, "purses"), &error),
                  error);
    }
    wait_for(&stage, "purses", 6);
    assert_int_equal(stats_of(&stage, "purses").running.handled, 2); /* 5 and 6 */
    assert_false(is_there("views.db.purses.new"));
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 7 2; c 9 2; ");
    end_stage(&stage);
}

static void a_rebuild_puts_right_what_was_changed_and_the_old_one_serves_meanwhile(void **state)
{
    (void)state;
    for (int in_store = 0; in_store < 2; in_store++) {
        stele_error *error = NULL;
        struct stage stage;
        const char *text;

        begin_in(&stage, in_store);
        add(&stage, &purses, NULL);
        put_many(stage.store, 6);
        run(&stage);
        put(stage.store, "a", 10);
        assert_ok(stele_projections_rebuild(stage.projections, "purses", &error), error);
        assert_status(STELE_INVALID, stele_projections_rebuild(stage.projections, "purses", &error), error);
        assert_true(stats_of(&stage, "purses").is_building);
        assert_int_equal(stats_of(&stage, "purses").old_version, 1);
        text = dump_of(&stage, "purses");
        assert_string_equal(text, "a 5 2; b 7 2; c 9 2; ");
        wait_for(&stage, "purses", 7);
        assert_string_equal(dump_of(&stage, "purses"), "a 15 3; b 7 2; c 9 2; ");
        put(stage.store, "c", 1);
        wait_for(&stage, "purses", 8);
        assert_string_equal(dump_of(&stage, "purses"), "a 15 3; b 7 2; c 10 3; ");
        end_stage(&stage);
        support_temp_dir_remove();
    }
}

static void a_rollback_puts_the_version_before_back_and_it_goes_on_from_there(void **state)
{
    const struct stele_projection second = second_version();
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in(&stage, false);
    add(&stage, &purses, NULL);
    assert_status(STELE_NOT_FOUND, stele_projections_rollback(stage.projections, "purses", &error), error);
    put_many(stage.store, 6);
    run(&stage);
    restart(&stage, file());
    add(&stage, &second, NULL);
    wait_for(&stage, "purses", 6);
    put(stage.store, "b", 7);
    wait_for(&stage, "purses", 7);
    assert_ok(stele_projections_rollback(stage.projections, "purses", &error), error);
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 7 2; c 9 2; ");
    run(&stage);
    assert_state(&stage, "purses", STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats_of(&stage, "purses").running.last_error, STELE_CONFLICT);
    restart(&stage, file());
    add(&stage, &purses, NULL);
    wait_for(&stage, "purses", 7);
    assert_string_equal(dump_of(&stage, "purses"), "a 5 2; b 14 3; c 9 2; ");
    assert_int_equal(stats_of(&stage, "purses").running.handled, 1);
    end_stage(&stage);
}

static void a_second_rollback_undoes_the_first(void **state)
{
    const struct stele_projection second = second_version();
    const char *const names[] = {"purses", NULL};
    stele_error *error = NULL;
    struct stage stage;
    uint64_t position;

    (void)state;
    begin_in(&stage, false);
    add(&stage, &purses, NULL);
    put_many(stage.store, 6);
    run(&stage);
    restart(&stage, file());
    add(&stage, &second, NULL);
    wait_for(&stage, "purses", 6);
    assert_ok(stele_projections_rollback(stage.projections, "purses", &error), error);
    run(&stage);
    position = put(stage.store, "b", 1);
    assert_status(STELE_FAILED, stele_projections_wait(stage.projections, names, position, 1000, &error), error);
    assert_ok(stele_projections_rollback(stage.projections, "purses", &error), error);
    assert_string_equal(dump_of(&stage, "purses"), "b 7 2; ");
    assert_ok(stele_subscription_resume(stele_projections_subscription(stage.projections, "purses"), &error), error);
    wait_for(&stage, "purses", position);
    assert_string_equal(dump_of(&stage, "purses"), "b 8 3; ");
    end_stage(&stage);
}

static void E4_for_random_logs_incremental_equals_built_anew_for_all_kinds(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    support_temp_dir();
    for (int round = 0; round < 10; round++) {
        static const char *const accounts[] = {"a", "b", "c", "d"};
        struct totals model = {0};
        struct totals before;
        char views[2][8192];
        stele_error *error = NULL;
        struct stage stage;

        begin_stage(&stage, support_temp_path("ledger.db"), file());
        add(&stage, &purses, NULL);
        add(&stage, &inline_purses, NULL);
        add(&stage, &totals, &model);
        for (int i = 0; i < 60; i++) {
            const char *account = accounts[support_random_below(&random, 4)];
            const int64_t amount = (int64_t)support_random_below(&random, 1000);

            if (support_random_below(&random, 3))
                put(stage.store, account, amount);
            else
                take_out(stage.store, account, amount);
            if (support_random_below(&random, 5) == 0)
                run(&stage);
        }
        run(&stage);
        snprintf(views[0], sizeof(views[0]), "%s", dump_of(&stage, "purses"));
        snprintf(views[1], sizeof(views[1]), "%s", dump_of(&stage, "inline"));
        assert_string_equal(views[0], views[1]);
        before = model;
        assert_ok(stele_projections_rebuild(stage.projections, "purses", &error), error);
        assert_ok(stele_projections_rebuild(stage.projections, "inline", &error), error);
        assert_ok(stele_projections_rebuild(stage.projections, "totals", &error), error);
        assert_ok(stele_projections_wait(stage.projections, NULL, 60, 60000, &error), error);
        assert_string_equal(views[0], dump_of(&stage, "purses"));
        assert_string_equal(views[0], dump_of(&stage, "inline"));
        assert_int_equal(before.sum, model.sum);
        assert_int_equal(before.count, model.count);
        assert_string_equal(before.order, model.order);
        end_stage(&stage);
        support_temp_dir_remove();
        support_temp_dir();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(E4_a_new_version_is_built_beside_and_swapped_at_the_head),
        support_test(a_swap_waits_for_the_head_where_the_last_events_are_of_others),
        support_test(a_build_cut_short_is_continued),
        support_test(a_rebuild_puts_right_what_was_changed_and_the_old_one_serves_meanwhile),
        support_test(a_rollback_puts_the_version_before_back_and_it_goes_on_from_there),
        support_test(a_second_rollback_undoes_the_first),
        support_test(E4_for_random_logs_incremental_equals_built_anew_for_all_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
