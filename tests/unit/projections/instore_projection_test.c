/* Projections in the store: in the transaction of each append, in every process that has them. */
#include "tests/unit/projections/stage.h"

#include <string.h>

static const char *ledger(void)
{
    return support_temp_path("ledger.db");
}

static const char *const urls[] = {"memory:", "ledger.db"};

static void begin_in(struct stage *stage, size_t which)
{
    support_temp_dir();
    begin_stage(stage, which == 0 ? urls[0] : ledger(), NULL);
}

static void C3_an_append_that_has_returned_is_in_the_view(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;

        begin_in(&stage, i);
        add(&stage, &inline_purses, NULL);
        put_many(stage.store, 4);
        assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 2 1; c 3 1; ");
        take_out(stage.store, "c", 3);
        assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 2 1; c 0 2; ");
        wait_for(&stage, "inline", 5);
        assert_state(&stage, "inline", STELE_SUBSCRIPTION_LIVE);
        assert_int_equal(stats_of(&stage, "inline").running.position, 5);
        assert_int_equal(stats_of(&stage, "inline").running.handled, 5);
        assert_null(stele_projections_subscription(stage.projections, "inline"));
        end_stage(&stage);
    }
}

static void what_was_appended_before_is_there_when_it_has_been_added(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;

        begin_in(&stage, i);
        put_many(stage.store, 3);
        add(&stage, &inline_purses, NULL);
        assert_string_equal(dump_of(&stage, "inline"), "a 1 1; b 2 1; c 3 1; ");
        restart(&stage, NULL);
        put(stage.store, "a", 4); /* without it */
        add(&stage, &inline_purses, NULL);
        assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 2 1; c 3 1; ");
        end_stage(&stage);
    }
}

static void a_function_that_fails_has_the_append_refused_and_nothing_is_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        stele_message *event = NULL;
        stele_error *error = NULL;
        struct stage stage;

        begin_in(&stage, i);
        add(&stage, &inline_purses, NULL);
        put_many(stage.store, 2);
        event = new_put("a", 66);
        failing = (struct failing){.amount = 66, .times = 1};
        assert_failure(STELE_REJECTED, stele_append(stage.store, "purse-a", stele_expect_any(), event, NULL, &error),
                       error);
        assert_message(error, "projection inline");
        assert_message(error, "66 is a bad amount");
        stele_error_free(error);
        error = NULL;
        assert_string_equal(dump_of(&stage, "inline"), "a 1 1; b 2 1; ");
        assert_false(stats_of(&stage, "inline").running.is_healthy);
        assert_int_equal(stats_of(&stage, "inline").running.errors, 1);
        assert_int_equal(stats_of(&stage, "inline").running.last_error, STELE_REJECTED);
        assert_ok(stele_append(stage.store, "purse-a", stele_expect_any(), event, NULL, &error), error);
        assert_string_equal(dump_of(&stage, "inline"), "a 67 2; b 2 1; ");
        assert_true(stats_of(&stage, "inline").running.is_healthy);
        stele_message_unref(event);
        end_stage(&stage);
    }
}

static void C3_waiting_brings_in_what_another_process_appended_without_it(void **state)
{
    const char *const names[] = {"inline", NULL};
    stele_error *error = NULL;
    stele_store *other;
    struct stage stage;

    (void)state;
    begin_in(&stage, 1);
    add(&stage, &inline_purses, NULL);
    put_many(stage.store, 2);
    other = open_store(ledger(), NULL);
    put(other, "c", 3);
    assert_string_equal(dump_of(&stage, "inline"), "a 1 1; b 2 1; ");
    wait_for(&stage, "inline", 3);
    assert_string_equal(dump_of(&stage, "inline"), "a 1 1; b 2 1; c 3 1; ");
    put(other, "c", 4);
    put(stage.store, "a", 5); /* after what it missed */
    assert_string_equal(dump_of(&stage, "inline"), "a 6 2; b 2 1; c 7 2; ");
    assert_failure(STELE_LATE, stele_projections_wait(stage.projections, names, 6, 10, &error), error);
    assert_string_equal(stele_error_get(error, "projection"), "inline");
    stele_error_free(error);
    stele_store_close(other);
    end_stage(&stage);
}

static void C2_two_handles_with_the_same_projection_apply_each_event_once(void **state)
{
    stele_projections *second = NULL;
    stele_error *error = NULL;
    stele_store *other;
    struct stage stage;

    (void)state;
    begin_in(&stage, 1);
    add(&stage, &inline_purses, NULL);
    other = open_store(ledger(), NULL);
    assert_ok(stele_projections_new(other, stage.runtime, NULL, &second, &error), error);
    assert_ok(stele_projections_add(second, &inline_purses, NULL, &error), error);
    for (int i = 1; i <= 10; i++)
        put(i % 2 ? stage.store : other, "a", i);
    assert_string_equal(dump_of(&stage, "inline"), "a 55 10; ");
    stele_projections_free(second);
    stele_store_close(other);
    end_stage(&stage);
}

static void E4_building_anew_in_the_store_gives_the_same_and_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stele_projection next = inline_purses;
        stele_error *error = NULL;
        struct stage stage;

        begin_in(&stage, i);
        add(&stage, &inline_purses, NULL);
        put_many(stage.store, 4);
        assert_ok(stele_projections_rebuild(stage.projections, "inline", &error), error);
        assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 2 1; c 3 1; ");
        put(stage.store, "b", 5);
        assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 7 2; c 3 1; ");
        assert_status(STELE_INVALID, stele_projections_rollback(stage.projections, "inline", &error), error);
        restart(&stage, NULL);
        put(stage.store, "c", 6);
        next.version = 2;
        next.category = "purse-c";
        add(&stage, &next, NULL);
        assert_string_equal(dump_of(&stage, "inline"), "c 9 2; ");
        put_many(stage.store, 3);
        assert_string_equal(dump_of(&stage, "inline"), "c 12 3; ");
        restart(&stage, NULL);
        add(&stage, &inline_purses, NULL); /* and back */
        assert_string_equal(dump_of(&stage, "inline"), "a 6 3; b 9 3; c 12 3; ");
        end_stage(&stage);
    }
}

static void a_build_that_fails_leaves_what_there_was(void **state)
{
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in(&stage, 1);
    add(&stage, &inline_purses, NULL);
    put_many(stage.store, 4);
    failing = (struct failing){.amount = 3, .times = 1};
    assert_status(STELE_REJECTED, stele_projections_rebuild(stage.projections, "inline", &error), error);
    assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 2 1; c 3 1; ");
    put(stage.store, "b", 5);
    assert_string_equal(dump_of(&stage, "inline"), "a 5 2; b 7 2; c 3 1; ");
    end_stage(&stage);
}

static void what_is_wrong_with_it_is_told(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_projection other = inline_purses;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in(&stage, 1);
    add(&stage, &inline_purses, NULL);
    other.name = "other";
    assert_failure(STELE_INVALID, stele_projections_add(stage.projections, &other, NULL, &error), error);
    assert_message(error, "a table purse");
    stele_error_free(error);
    error = NULL;
    other = inline_purses;
    other.name = "parked";
    other.on_failure = STELE_POISON_SKIP;
    assert_status(STELE_INVALID, stele_projections_add(stage.projections, &other, NULL, &error), error);
    end_stage(&stage);
    assert_ok(stele_runtime_simulated(1, &stage.runtime, &error), error);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_store_open(ledger(), &options, &stage.store, &error), error);
    assert_ok(stele_projections_new(stage.store, stage.runtime, NULL, &stage.projections, &error), error);
    assert_status(STELE_READ_ONLY, stele_projections_add(stage.projections, &inline_purses, NULL, &error), error);
    end_stage(&stage);
}

static stele_status add_inline(void *context, stele_error **error)
{
    struct stage *stage = context;
    stele_projections *projections = NULL;
    stele_status status = stele_projections_new(stage->store, stage->runtime, NULL, &projections, error);

    if (status == STELE_OK)
        status = stele_projections_add(projections, &inline_purses, NULL, error);
    if (status == STELE_OK)
        status = stele_projections_rebuild(projections, "inline", error);
    stele_projections_free(projections);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_in(&stage, 1);
    put_many(stage.store, 3);
    /* The store keeps its tables from now on. */
    assert_ok(add_inline(&stage, &error), error);
    assert_ok(add_inline(&stage, &error), error);
    assert_true(support_every_allocation_fails(add_inline, &stage) > 0);
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C3_an_append_that_has_returned_is_in_the_view),
        support_test(what_was_appended_before_is_there_when_it_has_been_added),
        support_test(a_function_that_fails_has_the_append_refused_and_nothing_is_kept),
        support_test(C3_waiting_brings_in_what_another_process_appended_without_it),
        support_test(C2_two_handles_with_the_same_projection_apply_each_event_once),
        support_test(E4_building_anew_in_the_store_gives_the_same_and_goes_on),
        support_test(a_build_that_fails_leaves_what_there_was),
        support_test(what_is_wrong_with_it_is_told),
        support_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
