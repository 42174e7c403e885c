/* Projections in memory: folded from the first event on, held by readers, as of a time (ORX-32 to 36, 50, 51). */
#include "tests/unit/projections/stage.h"

#include <stele/bus.h>
#include <stele/deadletters.h>
#include <stele/upcast.h>

/* --- Folding ----------------------------------------------------------------------------------- */

static void ORX32_functions_are_found_by_exact_type_and_others_count_as_seen(void **state)
{
    const struct stele_raw_message other = {.kind = STELE_EVENT, .type = "purse.put_in.twice"};
    stele_message *event = NULL;
    stele_error *error = NULL;
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    assert_ok(stele_message_new_raw(&other, NULL, &event, &error), error);
    put(stage.store, "a", 5);
    assert_ok(stele_append(stage.store, "purse-a", stele_expect_any(), event, NULL, &error), error);
    take_out(stage.store, "a", 2);
    add(&stage, &totals, &model);
    run(&stage);
    assert_string_equal(model.order, "5 -2 ");
    assert_int_equal(stats_of(&stage, "totals").running.handled, 2);
    stele_message_unref(event);
    assert_ok(stele_message_new_raw(&other, NULL, &event, &error), error);
    assert_ok(stele_append(stage.store, "purse-a", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
    run(&stage);
    assert_int_equal(stats_of(&stage, "totals").running.position, 4);
    end_stage(&stage);
}

static void C4_it_catches_up_and_then_follows(void **state)
{
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    add(&stage, &totals, &model);
    assert_state(&stage, "totals", STELE_SUBSCRIPTION_CATCHING_UP);
    run(&stage);
    assert_state(&stage, "totals", STELE_SUBSCRIPTION_LIVE);
    assert_string_equal(model.order, "1 2 3 ");
    take_out(stage.store, "a", 4);
    run(&stage);
    assert_string_equal(model.order, "1 2 3 -4 ");
    assert_int_equal(model.sum, 2);
    end_stage(&stage);
}

static void ORX33_a_restart_folds_anew_from_the_first_event(void **state)
{
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    add(&stage, &totals, &model);
    run(&stage);
    restart(&stage, NULL);
    put(stage.store, "a", 4);
    model.order[0] = 'x';
    add(&stage, &totals, &model);
    run(&stage);
    assert_string_equal(model.order, "1 2 3 4 ");
    assert_int_equal(model.resets, 2);
    end_stage(&stage);
}

static void a_category_is_the_beginning_of_names_of_streams(void **state)
{
    struct stele_projection some = totals;
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    some.category = "purse-b";
    put_many(stage.store, 6); /* 2 and 5 are b's */
    add(&stage, &some, &model);
    run(&stage);
    assert_string_equal(model.order, "2 5 ");
    end_stage(&stage);
}

/* --- Failures -------------------------------------------------------------------------------------- */

static void ORX35_the_third_of_five_fails_two_are_applied_and_it_is_unhealthy_until_a_success(void **state)
{
    struct stele_projection stopping = totals;
    struct stele_subscription_stats stats;
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    stopping.on_failure = STELE_POISON_STOP;
    put_many(stage.store, 5);
    failing = (struct failing){.amount = 3, .times = 1};
    add(&stage, &stopping, &model);
    run(&stage);
    stats = stats_of(&stage, "totals").running;
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED); /* a rejection is not tried again */
    assert_string_equal(model.order, "1 2 ");
    assert_int_equal(stats.position, 2);
    assert_int_equal(stats.errors, 1);
    assert_false(stats.is_healthy);
    assert_int_equal(stats.last_error_position, 3);
    assert_non_null(strstr(stats.last_error_text, "projection totals, position 3: 3 is a bad amount"));
    assert_ok(stele_subscription_resume(stele_projections_subscription(stage.projections, "totals"), &error), error);
    run(&stage);
    stats = stats_of(&stage, "totals").running;
    assert_string_equal(model.order, "1 2 3 4 5 ");
    assert_true(stats.is_healthy);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.errors, 1);
    end_stage(&stage);
}

static void ORX34_events_before_a_failed_one_of_their_batch_are_applied_once(void **state)
{
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 5);
    failing = (struct failing){.amount = 4, .times = 2, .status = STELE_BUSY};
    add(&stage, &totals, &model);
    run(&stage);
    assert_state(&stage, "totals", STELE_SUBSCRIPTION_RETRYING);
    assert_string_equal(model.order, "1 2 3 ");
    stele_runtime_advance(stage.runtime, 10 * SECOND);
    assert_string_equal(model.order, "1 2 3 4 5 ");
    assert_int_equal(model.resets, 1);
    end_stage(&stage);
}

static void a_poisoned_event_is_passed_over_by_policy_and_the_others_are_applied(void **state)
{
    struct stele_projection skipping = totals;
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    skipping.on_failure = STELE_POISON_SKIP;
    put_many(stage.store, 5);
    failing = (struct failing){.amount = 3, .times = UINT32_MAX};
    add(&stage, &skipping, &model);
    run(&stage);
    assert_string_equal(model.order, "1 2 4 5 ");
    assert_int_equal(stats_of(&stage, "totals").running.skipped, 1);
    assert_true(stats_of(&stage, "totals").running.is_healthy);
    end_stage(&stage);
}

static void one_that_fails_does_not_keep_another_from_going_on(void **state)
{
    struct stele_projection stopping = totals;
    struct letters out = {""};
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    stopping.on_failure = STELE_POISON_STOP;
    put_many(stage.store, 3);
    failing = (struct failing){.amount = 1, .times = 1};
    add(&stage, &stopping, &model);
    run(&stage);
    add(&stage, &letters, &out);
    run(&stage);
    assert_state(&stage, "totals", STELE_SUBSCRIPTION_FAILED);
    assert_string_equal(out.text, "letters:1 letters:2 letters:3 ");
    end_stage(&stage);
}

static void a_parked_event_that_is_sent_again_is_applied_once_more(void **state)
{
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;
    struct stele_dead_query filter = STELE_OPTIONS_INIT(struct stele_dead_query);
    uint64_t requeued = 0;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 5);
    failing = (struct failing){.amount = 3, .times = 1};
    add(&stage, &totals, &model);
    run(&stage);
    assert_string_equal(model.order, "1 2 4 5 ");
    assert_int_equal(stats_of(&stage, "totals").running.parked, 1);
    filter.route = "totals:1";
    assert_ok(stele_dead_requeue_in(stage.store, &filter, &requeued, &error), error);
    assert_int_equal(requeued, 1);
    run(&stage);
    stele_runtime_advance(stage.runtime, 10 * SECOND);
    assert_string_equal(model.order, "1 2 4 5 3 ");
    end_stage(&stage);
}

/* --- Building anew ------------------------------------------------------------------------------------- */

static void ORX36_a_model_built_anew_is_the_same(void **state)
{
    const char *const names[] = {"totals", NULL};
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 5);
    add(&stage, &totals, &model);
    run(&stage);
    model.sum = -1;
    assert_ok(stele_projections_rebuild(stage.projections, "totals", &error), error);
    assert_true(stats_of(&stage, "totals").is_building);
    assert_status(STELE_INVALID, stele_projections_rebuild(stage.projections, "totals", &error), error);
    assert_ok(stele_projections_wait(stage.projections, names, 5, 1000, &error), error);
    assert_false(stats_of(&stage, "totals").is_building);
    assert_string_equal(model.order, "1 2 3 4 5 ");
    assert_int_equal(model.sum, 15);
    assert_int_equal(model.resets, 2);
    put(stage.store, "a", 6);
    run(&stage);
    assert_int_equal(model.sum, 21);
    end_stage(&stage);
}

static void an_empty_log_is_built_anew_at_once(void **state)
{
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    add(&stage, &totals, &model);
    run(&stage);
    assert_ok(stele_projections_rebuild(stage.projections, "totals", &error), error);
    run(&stage);
    assert_false(stats_of(&stage, "totals").is_building);
    assert_ok(stele_projections_hold(stage.projections, "totals", &error), error);
    stele_projections_release(stage.projections, "totals");
    end_stage(&stage);
}

static void a_model_is_let_go_when_building_it_stops_half_way(void **state)
{
    struct stele_projection stopping = totals;
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    stopping.on_failure = STELE_POISON_STOP;
    stopping.batch = 1;
    put_many(stage.store, 5);
    add(&stage, &stopping, &model);
    run(&stage);
    failing = (struct failing){.amount = 3, .times = 1};
    assert_ok(stele_projections_rebuild(stage.projections, "totals", &error), error);
    run(&stage);
    assert_state(&stage, "totals", STELE_SUBSCRIPTION_FAILED);
    assert_ok(stele_projections_hold(stage.projections, "totals", &error), error);
    assert_string_equal(model.order, "1 2 ");
    stele_projections_release(stage.projections, "totals");
    assert_ok(stele_subscription_resume(stele_projections_subscription(stage.projections, "totals"), &error), error);
    run(&stage);
    assert_string_equal(model.order, "1 2 3 4 5 ");
    assert_false(stats_of(&stage, "totals").is_building);
    end_stage(&stage);
}

/* --- Readers -------------------------------------------------------------------------------------------- */

static void a_held_model_does_not_change(void **state)
{
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    add(&stage, &totals, &model);
    run(&stage);
    assert_ok(stele_projections_hold(stage.projections, "totals", &error), error);
    put(stage.store, "a", 1);
    run(&stage);
    assert_int_equal(model.count, 0);
    stele_projections_release(stage.projections, "totals");
    /* In a simulation nothing would have ended the wait, so it was given up. */
    stele_runtime_advance(stage.runtime, 10 * SECOND);
    assert_int_equal(model.count, 1);
    end_stage(&stage);
}

static void only_a_model_in_memory_is_held(void **state)
{
    struct letters out = {""};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    add(&stage, &letters, &out);
    assert_status(STELE_INVALID, stele_projections_hold(stage.projections, "letters", &error), error);
    assert_status(STELE_NOT_FOUND, stele_projections_hold(stage.projections, "others", &error), error);
    assert_status(STELE_INVALID, stele_projections_open(stage.projections, "letters", &(stele_views *){NULL}, &error),
                  error);
    end_stage(&stage);
}

/* --- As it was --------------------------------------------------------------------------------------------- */

static void ORX50_a_model_as_of_a_position_is_the_fold_up_to_there(void **state)
{
    struct stele_query until = STELE_OPTIONS_INIT(struct stele_query);
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 5);
    until.until = 3;
    assert_ok(stele_project_until(stage.store, &totals, &model, &until, &error), error);
    assert_string_equal(model.order, "1 2 3 ");
    until.until = 0;
    until.stream = "purse-b";
    assert_ok(stele_project_until(stage.store, &totals, &model, &until, &error), error);
    assert_string_equal(model.order, "2 5 ");
    assert_ok(stele_project_until(stage.store, &totals, &model, NULL, &error), error);
    assert_string_equal(model.order, "1 2 3 4 5 ");
    end_stage(&stage);
}

static void ORX50_a_model_between_events_three_and_four_is_the_fold_of_three(void **state)
{
    struct stele_query until = STELE_OPTIONS_INIT(struct stele_query);
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    for (int64_t i = 1; i <= 5; i++) {
        const struct put_in payload = {.account = "a", .amount = i};
        struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
        stele_message *event = NULL;

        options.has_time = true;
        options.time = i * SECOND;
        assert_ok(put_in_message(&payload, &options, &event, &error), error);
        assert_ok(stele_append(stage.store, "purse-a", stele_expect_any(), event, NULL, &error), error);
        stele_message_unref(event);
    }
    until.has_until_time = true;
    until.until_time = 3 * SECOND + SECOND / 2;
    assert_ok(stele_project_until(stage.store, &totals, &model, &until, &error), error);
    assert_string_equal(model.order, "1 2 3 ");
    end_stage(&stage);
}

static void a_fold_up_to_a_place_ends_with_the_first_failure_and_takes_no_other_orders(void **state)
{
    struct stele_query until = STELE_OPTIONS_INIT(struct stele_query);
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 5);
    failing = (struct failing){.amount = 3, .times = 1};
    assert_failure(STELE_REJECTED, stele_project_until(stage.store, &totals, &model, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "position"), "3");
    assert_string_equal(stele_error_get(error, "projection"), "totals");
    assert_string_equal(stele_error_get(error, "type"), "purse.put_in");
    stele_error_free(error);
    error = NULL;
    assert_string_equal(model.order, "1 2 ");
    until.backwards = true;
    assert_status(STELE_INVALID, stele_project_until(stage.store, &totals, &model, &until, &error), error);
    assert_status(STELE_INVALID, stele_project_until(stage.store, &letters, &model, NULL, &error), error);
    assert_status(STELE_INVALID, stele_project_until(NULL, &totals, &model, NULL, &error), error);
    end_stage(&stage);
}

static void ORX51_the_whole_log_is_read_in_order_from_a_position(void **state)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 5); /* in streams a, b, c, a, b */
    query.after = 2;
    assert_ok(stele_read(stage.store, &query, &cursor, &error), error);
    for (uint64_t position = 3; position <= 5; position++) {
        assert_ok(stele_cursor_next(cursor, &event, &error), error);
        assert_int_equal(stele_message_position(event), position);
    }
    assert_ok(stele_cursor_next(cursor, &event, &error), error);
    assert_null(event);
    stele_cursor_close(cursor);
    end_stage(&stage);
}

/* --- Memory --------------------------------------------------------------------------------------------------- */

static stele_status add_and_fold(void *context, stele_error **error)
{
    struct stage *stage = context;
    struct totals model = {0};
    stele_projections *projections = NULL;
    stele_status status = stele_projections_new(stage->store, stage->runtime, NULL, &projections, error);

    if (status == STELE_OK)
        status = stele_projections_add(projections, &totals, &model, error);
    stele_projections_free(projections);
    return status;
}

static stele_status fold_until(void *context, stele_error **error)
{
    const struct stage *stage = context;
    struct totals model = {0};

    return stele_project_until(stage->store, &totals, &model, NULL, error);
}

static void every_allocation_may_fail(void **state)
{
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    assert_ok(add_and_fold(&stage, &error), error); /* the store keeps a checkpoint from now on */
    assert_true(support_every_allocation_fails(add_and_fold, &stage) > 0);
    assert_true(support_every_allocation_fails(fold_until, &stage) > 0);
    end_stage(&stage);
}

static void memory_that_is_out_while_it_is_folded_is_tried_again(void **state)
{
    struct stele_projection stopping = totals;
    struct totals model = {0};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    stopping.on_failure = STELE_POISON_STOP;
    add(&stage, &stopping, &model);
    run(&stage);
    for (size_t i = 1; i <= 8; i++) {
        put(stage.store, "a", (int64_t)i);
        support_fail_allocation(i);
        run(&stage);
        support_fail_allocation(0);
        stele_runtime_advance(stage.runtime, 100 * SECOND);
    }
    assert_string_equal(model.order, "1 2 3 4 5 6 7 8 ");
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX32_functions_are_found_by_exact_type_and_others_count_as_seen),
        support_test(C4_it_catches_up_and_then_follows),
        support_test(ORX33_a_restart_folds_anew_from_the_first_event),
        support_test(a_category_is_the_beginning_of_names_of_streams),
        support_test(ORX35_the_third_of_five_fails_two_are_applied_and_it_is_unhealthy_until_a_success),
        support_test(ORX34_events_before_a_failed_one_of_their_batch_are_applied_once),
        support_test(a_poisoned_event_is_passed_over_by_policy_and_the_others_are_applied),
        support_test(one_that_fails_does_not_keep_another_from_going_on),
        support_test(a_parked_event_that_is_sent_again_is_applied_once_more),
        support_test(ORX36_a_model_built_anew_is_the_same),
        support_test(an_empty_log_is_built_anew_at_once),
        support_test(a_model_is_let_go_when_building_it_stops_half_way),
        support_test(a_held_model_does_not_change),
        support_test(only_a_model_in_memory_is_held),
        support_test(ORX50_a_model_as_of_a_position_is_the_fold_up_to_there),
        support_test(ORX50_a_model_between_events_three_and_four_is_the_fold_of_three),
        support_test(a_fold_up_to_a_place_ends_with_the_first_failure_and_takes_no_other_orders),
        support_test(ORX51_the_whole_log_is_read_in_order_from_a_position),
        support_test(every_allocation_may_fail),
        support_test(memory_that_is_out_while_it_is_folded_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
