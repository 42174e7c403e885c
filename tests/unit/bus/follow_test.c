/* Routes after the commit: what they are given of the log, and where they go on (C1, C2, C6, V6). */
#include "tests/unit/bus/log_stage.h"

#include <stele/subscription.h>

#include "tests/unit/sqlite/fixture.h"

static const struct stele_route all_now = {.name = "now", .on = ">", .handle = note, .delivery = STELE_AFTER_COMMIT};
static const struct stele_route all_first = {
    .name = "first", .on = ">", .handle = note, .delivery = STELE_AFTER_COMMIT, .begin = STELE_BEGIN_FIRST};
static const struct stele_route placed_only = {
    .name = "placed", .on = "order.placed", .handle = note, .delivery = STELE_AFTER_COMMIT};
static const struct stele_route durable = {
    .name = "durable", .on = ">", .handle = note, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};
static const struct stele_route durable_now = {
    .name = "durable-now", .on = ">", .handle = note, .delivery = STELE_DURABLE};

static uint64_t checkpoint(stele_store *store, const char *name)
{
    uint64_t position = 0;
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_read(store, name, &position, &error), error);
    return position;
}

/* --- Order, beginning ------------------------------------------------------------------------ */

static void C1_stored_events_come_in_the_order_of_the_log(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &all_now, &notes);
    log_stage_fill(stage.store, "order.placed", 1, 5);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 3 4 5 ");
    log_stage_append(stage.store, "order.paid", "6");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 3 4 5 6 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_route_begins_now_or_at_the_first_event(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes now = NOTES;
    struct notes first = NOTES;

    (void)state;
    log_stage_fill(stage.store, "order.placed", 1, 3);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &all_now, &now);
    log_stage_route(&stage, &all_first, &first);
    log_stage_fill(stage.store, "order.placed", 4, 5);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(now.text, "4 5 ");
    assert_string_equal(first.text, "1 2 3 4 5 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void V6_a_filter_that_matches_nothing_moves_on_with_the_log(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    struct stele_route_stats stats;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &placed_only, &notes);
    log_stage_fill(stage.store, "order.paid", 1, 1000);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(notes.count, 0);
    stats = log_stage_stats(&stage, "placed");
    assert_int_equal(stats.position, 1000);
    assert_int_equal(stats.lag, 0);
    log_stage_append(stage.store, "order.placed", "x");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "x ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static stele_status sum_up(void *resource, const stele_message *message, stele_context *context)
{
    uint64_t *last = resource;
    const uint64_t position = stele_message_position(message);

    (void)context;
    if (position != *last + 1)
        return STELE_FAILED;
    *last = position;
    return STELE_OK;
}

static void a_long_log_is_read_in_batches_with_few_in_flight(void **state)
{
    static const struct stele_route counter = {.name = "counter",
                                               .on = "order.>",
                                               .handle = sum_up,
                                               .delivery = STELE_AFTER_COMMIT,
                                               .begin = STELE_BEGIN_FIRST};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    uint64_t last = 0;
    stele_error *error = NULL;

    (void)state;
    log_stage_fill(stage.store, "order.placed", 1, 3000);
    log_stage_begin(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &counter, &last, NULL, &error), error);
    assert_ok(stele_bus_pause(stage.bus, "counter", &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_in_range(log_stage_stats(&stage, "counter").waiting, 1, 200);
    assert_int_equal(log_stage_stats(&stage, "counter").position, 0);
    assert_int_equal(log_stage_stats(&stage, "counter").lag, 3000);
    assert_ok(stele_bus_resume(stage.bus, "counter", &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(last, 3000);
    assert_int_equal(log_stage_stats(&stage, "counter").position, 3000);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_route_that_is_held_does_not_hold_up_the_others(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes held = NOTES;
    struct notes live = NOTES;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &all_now, &held);
    log_stage_route(&stage, &placed_only, &live);
    assert_ok(stele_bus_pause(stage.bus, "now", &error), error);
    log_stage_fill(stage.store, "order.placed", 1, 700);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(live.count, 700);
    assert_int_equal(held.count, 0);
    assert_ok(stele_bus_resume(stage.bus, "now", &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(held.count, 700);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

/* --- Conditions and removal ------------------------------------------------------------------- */

static void a_condition_chooses_among_stored_events_too(void **state)
{
    static const struct stele_route seven = {
        .name = "seven", .on = "order.>", .handle = note, .where = {"n", "7"}, .delivery = STELE_AFTER_COMMIT};
    static const struct stele_route eight = {
        .name = "eight", .on = "order.>", .handle = note, .where = {"n", "8"}, .delivery = STELE_AFTER_COMMIT};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes sevens = NOTES;
    struct notes eights = NOTES;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &seven, &sevens);
    log_stage_route(&stage, &eight, &eights);
    log_stage_append(stage.store, "order.placed", "a");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(sevens.text, "a ");
    assert_string_equal(eights.text, "");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_removed_route_gets_nothing_more_and_others_do(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes gone = NOTES;
    struct notes stays = NOTES;
    stele_route_id id;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &durable_now, &gone, &id, &error), error);
    log_stage_route(&stage, &all_now, &stays);
    log_stage_fill(stage.store, "order.placed", 1, 2);
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_append(stage.store, "order.placed", "3");
    assert_true(stele_bus_remove_route(stage.bus, id));
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(gone.text, "1 2 ");
    assert_string_equal(stays.text, "1 2 3 ");
    assert_int_equal(checkpoint(stage.store, "durable-now"), 2);
    /* Added again it goes on where it was. */
    log_stage_route(&stage, &durable_now, &gone);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(gone.text, "1 2 3 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void the_librarys_own_streams_are_not_given_to_routes(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    uint64_t head = 0;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &all_now, &notes);
    log_stage_append(stage.store, "order.placed", "1");
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_append(stage.store, "order.placed", "2");
    stele_runtime_run_until_idle(stage.runtime);
    /* Its letter is an event between the two, which nobody handles. */
    assert_ok(stele_wait(stage.store, 0, 0, &head, &error), error);
    assert_int_equal(head, 3);
    assert_string_equal(notes.text, "1 2 ");
    assert_int_equal(log_stage_stats(&stage, "now").position, 3);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

/* --- Durable routes ---------------------------------------------------------------------------- */

static void C2_a_durable_route_goes_on_behind_the_last_one_handled(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes before = NOTES;
    struct notes after = NOTES;

    (void)state;
    log_stage_fill(stage.store, "order.placed", 1, 2);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &before);
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_append(stage.store, "order.placed", "3");
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_end(&stage);
    assert_string_equal(before.text, "1 2 3 ");
    assert_int_equal(checkpoint(stage.store, "durable"), 3);
    log_stage_append(stage.store, "order.placed", "4");
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &after);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(after.text, "4 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_durable_route_that_begins_now_misses_nothing_from_then_on(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;

    (void)state;
    /* An empty store, and a process that ends before anything is appended. */
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable_now, &notes);
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store, "durable-now"), 0);
    log_stage_fill(stage.store, "order.placed", 1, 2);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable_now, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_checkpoint_stays_before_what_is_not_handled(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    log_stage_fill(stage.store, "order.placed", 1, 2);
    stele_runtime_run_until_idle(stage.runtime);
    assert_ok(stele_bus_pause(stage.bus, "durable", &error), error);
    log_stage_fill(stage.store, "order.placed", 3, 5);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(log_stage_stats(&stage, "durable").position, 2);
    stele_bus_stop(stage.bus, 0, NULL, NULL);
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store, "durable"), 2);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 3 4 5 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_failure_that_is_buried_does_not_stop_a_durable_route(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "2", .status = STELE_CANCELLED};

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    log_stage_fill(stage.store, "order.placed", 1, 3);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 3 ");
    log_stage_end(&stage);
    /* 4 is the letter. */
    assert_int_equal(checkpoint(stage.store, "durable"), 4);
    stele_store_close(stage.store);
}

static void little_is_written_down_while_much_comes(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    uint64_t written;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    log_stage_append(stage.store, "order.placed", "1");
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(checkpoint(stage.store, "durable"), 1);
    /* The next one waits for its time. */
    log_stage_append(stage.store, "order.placed", "2");
    stele_runtime_run_until_idle(stage.runtime);
    written = checkpoint(stage.store, "durable");
    assert_int_equal(written, 1);
    stele_runtime_advance(stage.runtime, INT64_C(1000000000));
    assert_int_equal(checkpoint(stage.store, "durable"), 2);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void C2_a_checkpoint_that_somebody_else_moves_stops_that_route_alone(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes lost = NOTES;
    struct notes other = NOTES;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &lost);
    log_stage_route(&stage, &all_now, &other);
    log_stage_append(stage.store, "order.placed", "1");
    stele_runtime_run_until_idle(stage.runtime);
    assert_ok(stele_checkpoint_write(stage.store, "durable", 1, 0, &error), error);
    log_stage_append(stage.store, "order.placed", "2");
    stele_runtime_run_until_idle(stage.runtime);
    stele_runtime_advance(stage.runtime, INT64_C(1000000000));
    log_stage_append(stage.store, "order.placed", "3");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(lost.text, "1 2 ");
    assert_string_equal(other.text, "1 2 3 ");
    assert_int_equal(log_stage_stats(&stage, "durable").last_error, STELE_CONFLICT);
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store, "durable"), 0);
    stele_store_close(stage.store);
}

/* --- Damage -------------------------------------------------------------------------------------- */

static void a_damaged_event_stops_the_routes_that_may_want_it_and_says_so(void **state)
{
    static const struct stele_route careless = {.name = "careless",
                                                .on = ">",
                                                .handle = note,
                                                .delivery = STELE_AFTER_COMMIT,
                                                .begin = STELE_BEGIN_FIRST,
                                                .on_failure = STELE_IGNORE};
    char url[4096];
    struct log_stage stage;
    struct notes careful_notes = NOTES;
    struct notes careless_notes = NOTES;
    struct stele_route_stats stats;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s?idle=0", fixture_path());
    stage.store = log_stage_store(url);
    log_stage_fill(stage.store, "order.placed", 1, 5);
    stele_store_close(stage.store);
    fixture_tamper("UPDATE event SET time = time + 1 WHERE position = 3");
    stage.store = log_stage_store(url);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &careful_notes);
    log_stage_route(&stage, &careless, &careless_notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(careful_notes.text, "1 2 ");
    assert_string_equal(careless_notes.text, "1 2 4 5 ");
    stats = log_stage_stats(&stage, "durable");
    assert_int_equal(stats.position, 2);
    assert_int_equal(stats.last_error, STELE_CORRUPT);
    assert_non_null(strstr(stats.last_error_text, "3"));
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store, "durable"), 2);
    stele_store_close(stage.store);
}

/* --- Arguments ------------------------------------------------------------------------------------ */

static void a_durable_route_needs_a_store_that_can_be_written(void **state)
{
    const struct stele_store_options read_only = {.size = sizeof(read_only), .mode = STELE_OPEN_READ_ONLY};
    char url[4096];
    struct log_stage stage;
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s", fixture_path());
    stage.store = log_stage_store(url);
    log_stage_append(stage.store, "order.placed", "1");
    stele_store_close(stage.store);
    assert_ok(stele_store_open(url, &read_only, &stage.store, &error), error);
    log_stage_begin(&stage, 0);
    assert_status(STELE_READ_ONLY, stele_bus_add_route(stage.bus, &durable, &notes, NULL, &error), error);
    log_stage_route(&stage, &all_first, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static stele_status follow_and_add(void *context, stele_error **error)
{
    stele_store *store = context;
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    struct notes notes = NOTES;
    stele_status status = stele_runtime_simulated(3, &runtime, error);

    if (status == STELE_OK)
        status = stele_bus_new(runtime, NULL, &bus, error);
    if (status == STELE_OK)
        status = stele_bus_follow(bus, store, error);
    if (status == STELE_OK)
        status = stele_bus_add_route(bus, &durable, &notes, NULL, error);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
    return status;
}

static void following_survives_a_lack_of_memory(void **state)
{
    stele_store *store = log_stage_store("memory:");
    stele_error *error = NULL;

    (void)state;
    log_stage_append(store, "order.placed", "1");
    assert_ok(follow_and_add(store, &error), error);
    assert_true(support_every_allocation_fails(follow_and_add, store) > 0);
    stele_store_close(store);
}

static void reading_goes_on_after_memory_was_out(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    bool failed = true;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    for (int i = 1; failed; i++) {
        char id[16];

        snprintf(id, sizeof(id), "%d", i);
        log_stage_append(stage.store, "order.placed", id);
        support_fail_allocation((size_t)i);
        stele_runtime_run_until_idle(stage.runtime);
        failed = support_allocation_failed();
        support_fail_allocation(0);
        stele_runtime_advance(stage.runtime, INT64_C(20000000000));
        assert_int_equal(notes.count, i);
    }
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store, "durable"), notes.count);
    stele_store_close(stage.store);
}

/* --- Detached ------------------------------------------------------------------------------- */

static void C4_a_durable_route_whose_name_was_detached_is_refused(void **state)
{
    static const char *const nothing[] = {NULL};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    stele_error *error = NULL;
    uint64_t detached = 0;

    (void)state;
    log_stage_fill(stage.store, "order.placed", 1, 1);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_end(&stage);
    assert_ok(stele_subscriptions_keep(stage.store, nothing, &detached, &error), error);
    assert_int_equal(detached, 1);
    log_stage_fill(stage.store, "order.placed", 2, 2);
    log_stage_begin(&stage, 0);
    assert_failure(STELE_CONFLICT, stele_bus_add_route(stage.bus, &durable, &notes, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "state"), "detached");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_subscription_attach(stage.store, "durable", &error), error);
    log_stage_route(&stage, &durable, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C1_stored_events_come_in_the_order_of_the_log),
        support_test(a_route_begins_now_or_at_the_first_event),
        support_test(V6_a_filter_that_matches_nothing_moves_on_with_the_log),
        support_test(a_long_log_is_read_in_batches_with_few_in_flight),
        support_test(a_route_that_is_held_does_not_hold_up_the_others),
        support_test(a_condition_chooses_among_stored_events_too),
        support_test(a_removed_route_gets_nothing_more_and_others_do),
        support_test(the_librarys_own_streams_are_not_given_to_routes),
        support_test(C2_a_durable_route_goes_on_behind_the_last_one_handled),
        support_test(a_durable_route_that_begins_now_misses_nothing_from_then_on),
        support_test(a_checkpoint_stays_before_what_is_not_handled),
        support_test(a_failure_that_is_buried_does_not_stop_a_durable_route),
        support_test(little_is_written_down_while_much_comes),
        support_test(C2_a_checkpoint_that_somebody_else_moves_stops_that_route_alone),
        support_test(a_damaged_event_stops_the_routes_that_may_want_it_and_says_so),
        support_test(a_durable_route_needs_a_store_that_can_be_written),
        support_test(following_survives_a_lack_of_memory),
        support_test(reading_goes_on_after_memory_was_out),
        support_test(C4_a_durable_route_whose_name_was_detached_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
